//! The consumer protocol (KIP-848) as its clients use it.

use std::collections::BTreeSet;

use farlog_wire::{ErrorCode, Uuid};

use super::classic::Now;
use super::consumer::{
    Assignor, ConsumerGroup, ConsumerHeartbeat, ConsumerOutcome, ConsumerRefusal, ConsumerRules,
    Partitions, Topics,
};
use super::coordinate::random_uuid;
use super::log::{self, NewRecord, Written};
use super::{Group, Groups, Inner, Kind};
use crate::catalog::Catalog;
use crate::name_pattern::NamePattern;

/// A ConsumerGroupHeartbeat request.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerHeartbeatRequest {
    pub(crate) group: String,
    /// Empty if the group is to make one up.
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<String>>,
    /// Empty where none is wanted any more.
    pub(crate) pattern: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<BTreeSet<(Uuid, i32)>>,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerHeartbeatAnswer {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) heartbeat_interval_ms: i32,
    /// `None` if it has not changed.
    pub(crate) assignment: Option<Partitions>,
}

impl Groups {
    pub(super) fn consumer_rules(&self) -> ConsumerRules {
        let settings = &self.settings;
        let interval_ms = settings.group_consumer_heartbeat_interval_ms;
        ConsumerRules {
            session_timeout_ms: settings.group_consumer_session_timeout_ms,
            heartbeat_interval_ms: i32::try_from(interval_ms).unwrap_or(i32::MAX),
            members_max: usize::try_from(settings.group_max_size).unwrap_or(usize::MAX),
        }
    }

    /// A member of a consumer group says what it wants and has, and is told what it gets, when that
    /// is durable.
    ///
    /// # Errors
    /// What Kafka would say.
    pub(crate) async fn consumer_heartbeat(
        &self,
        catalog: &Catalog,
        request: ConsumerHeartbeatRequest,
    ) -> Result<ConsumerHeartbeatAnswer, ConsumerRefusal> {
        let plain = |code: ErrorCode| (code, code.message().to_owned());
        let assignor = request.assignor.as_deref().map(|name| {
            Assignor::from_name(name).ok_or_else(|| {
                let message = format!(
                    "ServerAssignor {name} is not supported. Supported assignors: uniform, range."
                );
                (ErrorCode::UNSUPPORTED_ASSIGNOR, message)
            })
        });
        let assignor = assignor.transpose()?;
        check_pattern(request.pattern.as_deref())?;
        self.ensure_topic(catalog).await.map_err(plain)?;
        let (id, member_id) = (request.group, request.member_id);
        let member_id = match member_id.is_empty() {
            true => random_uuid(self.clock.now_ms()),
            false => member_id,
        };
        let heartbeat = ConsumerHeartbeat {
            member_id: member_id.clone(),
            epoch: request.epoch,
            instance_id: request.instance_id,
            rack_id: request.rack_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            topics: request.topics,
            pattern: request.pattern,
            assignor,
            owned: request.owned,
        };
        let (outcome, written) = {
            let (mut inner, now) = (self.lock(), self.now());
            let outcome = self.beat(catalog, &mut inner, &id, &heartbeat, now);
            inner.forget_if_unused(&id);
            outcome?
        };
        if let Some(written) = written {
            written.settle().await.map_err(plain)?;
        }
        Ok(ConsumerHeartbeatAnswer {
            member_id,
            epoch: outcome.epoch,
            // Who leaves need not come again.
            heartbeat_interval_ms: match outcome.epoch {
                ..0 => 0,
                _ => self.consumer_rules().heartbeat_interval_ms,
            },
            assignment: outcome.assignment,
        })
    }

    fn beat(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        id: &str,
        heartbeat: &ConsumerHeartbeat,
        now: Now,
    ) -> Result<(ConsumerOutcome, Option<Written>), ConsumerRefusal> {
        let plain = |code: ErrorCode| (code, code.message().to_owned());
        self.ensure_consumer(catalog, inner, id, heartbeat.epoch == 0, now)?;
        let group = inner.groups.get_mut(id).ok_or_else(|| not_found(id))?;
        let Kind::Consumer(consumer) = &mut group.kind else { return Err(not_a_consumer(id)) };
        let outcome = consumer.heartbeat(heartbeat, catalog, now)?;
        let written = write(catalog, id, consumer, now).map_err(plain)?;
        self.tell_timer(inner, id);
        Ok((outcome, written))
    }

    /// Makes a consumer group of what is none yet, if nobody is in it.
    fn ensure_consumer(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        id: &str,
        may_make: bool,
        now: Now,
    ) -> Result<(), ConsumerRefusal> {
        let plain = |code: ErrorCode| (code, code.message().to_owned());
        if !may_make {
            return Ok(());
        }
        let group = inner.group_or_new(id, self.rules(), now).map_err(plain)?;
        let Kind::Classic(classic) = &group.kind else { return Ok(()) };
        if !classic.is_vacant() {
            return Err(not_a_consumer(id));
        }
        take_back(catalog, id, group, now).map_err(plain)?;
        group.kind = Kind::Consumer(ConsumerGroup::new(self.consumer_rules(), now));
        Ok(())
    }

    /// Makes a classic group of a consumer group that nobody is in.
    ///
    /// # Errors
    /// `INCONSISTENT_GROUP_PROTOCOL` if somebody is.
    pub(super) fn ensure_classic(
        &self,
        catalog: &Catalog,
        id: &str,
        group: &mut Group,
        now: Now,
    ) -> Result<(), ErrorCode> {
        let Kind::Consumer(consumer) = &group.kind else { return Ok(()) };
        if !consumer.is_vacant() {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        take_back(catalog, id, group, now)?;
        group.kind = Group::new(self.rules(), now).kind;
        Ok(())
    }
}

impl Topics for Catalog {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        let topic = self.topic(name)?;
        Some((topic.id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
    }

    fn matching(&self, pattern: &NamePattern) -> BTreeSet<String> {
        let topics = self.topics();
        let names = topics.iter().map(|topic| &topic.name);
        names.filter(|name| pattern.matches(name)).cloned().collect()
    }
}

fn check_pattern(pattern: Option<&str>) -> Result<(), ConsumerRefusal> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(()) };
    NamePattern::new(pattern).map(drop).map_err(|why| {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {why}.");
        (ErrorCode::INVALID_REGULAR_EXPRESSION, message)
    })
}

/// Takes back what the log says of a group, its offsets apart.
fn take_back(catalog: &Catalog, id: &str, group: &Group, now: Now) -> Result<(), ErrorCode> {
    if group.was_written() {
        let records = group.tombstones(id)?;
        // What follows in the same partition is awaited, and is durable later than this.
        let written = log::append(catalog, id, &records, now.wall_ms)?;
        super::store::settle_in_background(Some(written));
    }
    Ok(())
}

/// Writes what changed of a group.
pub(super) fn write(
    catalog: &Catalog,
    id: &str,
    group: &mut ConsumerGroup,
    now: Now,
) -> Result<Option<Written>, ErrorCode> {
    let changes = group.changes(id).map_err(|error| log::unwritable(&error))?;
    if changes.is_empty() {
        return Ok(None);
    }
    let records = changes.iter().map(|(key, value)| {
        let key = key.to_bytes().map_err(|error| log::unwritable(&error))?;
        Ok((key, value.clone()))
    });
    let records: Result<Vec<NewRecord>, ErrorCode> = records.collect();
    let written = log::append(catalog, id, &records?, now.wall_ms)?;
    group.have_written(changes);
    Ok(Some(written))
}

fn not_found(group: &str) -> ConsumerRefusal {
    (ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} not found."))
}

fn not_a_consumer(group: &str) -> ConsumerRefusal {
    (ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} is not a consumer group."))
}
