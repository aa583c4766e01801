//! The classic protocol as its clients use it: requests wait here for what the machine answers.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::messages::leave_group_request::MemberIdentity;
use farlog_wire::messages::sync_group_response::SyncGroupResponse;

use super::classic::{
    Answer, ClassicGroup, Effects, Join, Now, Protocol, Sync, join_refused, sync_refused,
};
use super::{Groups, Inner, Kind};
use crate::catalog::Catalog;
use crate::settings::BrokerSettings;

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: String,
    /// Name and metadata; what it likes best comes first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) requires_known_member_id: bool,
    pub(crate) can_skip_assignment: bool,
}

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: BTreeMap<String, Bytes>,
}

impl Groups {
    /// Joins a group and waits until it has settled.
    pub(crate) async fn join(&self, catalog: &Catalog, request: JoinRequest) -> JoinGroupResponse {
        let member_id = request.member_id.clone();
        let answer = self.try_join(catalog, request).await;
        answer.unwrap_or_else(|code| join_refused(code, &member_id))
    }

    async fn try_join(
        &self,
        catalog: &Catalog,
        request: JoinRequest,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        super::check_group_id(&request.group)?;
        let session = i64::from(request.session_timeout_ms);
        let BrokerSettings { group_min_session_timeout_ms, group_max_session_timeout_ms, .. } =
            self.settings;
        if !(group_min_session_timeout_ms..=group_max_session_timeout_ms).contains(&session) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        self.ensure_topic(catalog).await?;
        let receiver = {
            let (mut inner, now) = (self.lock(), self.now());
            let is_known = inner.groups.contains_key(&request.group);
            if !is_known && !request.member_id.is_empty() {
                return Err(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            let group = inner.group_or_new(&request.group, self.rules(), now)?;
            self.ensure_classic(catalog, &request.group, group, now)?;
            let (waiter, receiver) = inner.new_waiter();
            let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
            let new_member_id = format!("{name}-{}", random_uuid(now.wall_ms));
            // The frame that they are slices of is not worth keeping.
            let protocols = request.protocols.into_iter().map(|(name, metadata)| Protocol {
                name,
                metadata: Bytes::copy_from_slice(&metadata),
            });
            let join = Join {
                waiter,
                member_id: request.member_id,
                new_member_id,
                instance_id: request.instance_id,
                client_id: request.client_id,
                client_host: request.client_host,
                session_timeout_ms: request.session_timeout_ms,
                rebalance_timeout_ms: request.rebalance_timeout_ms,
                protocol_type: request.protocol_type,
                protocols: protocols.collect(),
                requires_known_member_id: request.requires_known_member_id,
                can_skip_assignment: request.can_skip_assignment,
            };
            self.change(catalog, &mut inner, &request.group, now, |group, effects| {
                group.join(join, now, effects);
            })?;
            receiver
        };
        match receiver.await {
            Ok(Answer::Join(_, response)) => Ok(response),
            Ok(Answer::Sync(..)) | Err(_) => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    /// Asks for an assignment and waits until the leader has made it.
    pub(crate) async fn sync(&self, catalog: &Catalog, request: SyncRequest) -> SyncGroupResponse {
        self.try_sync(catalog, request).await.unwrap_or_else(sync_refused)
    }

    async fn try_sync(
        &self,
        catalog: &Catalog,
        request: SyncRequest,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        super::check_group_id(&request.group)?;
        let receiver = {
            let (mut inner, now) = (self.lock(), self.now());
            let (waiter, receiver) = inner.new_waiter();
            let assignments = request.assignments.into_iter();
            let sync = Sync {
                waiter,
                member_id: request.member_id,
                instance_id: request.instance_id,
                generation: request.generation,
                protocol_type: request.protocol_type,
                protocol: request.protocol,
                assignments: assignments
                    .map(|(member, assignment)| (member, Bytes::copy_from_slice(&assignment)))
                    .collect(),
            };
            let changed =
                self.change(catalog, &mut inner, &request.group, now, |group, effects| {
                    group.sync(sync, now, effects);
                });
            if let Err(code) = changed {
                inner.waiting.remove(&waiter);
                return Err(code);
            }
            receiver
        };
        match receiver.await {
            Ok(Answer::Sync(_, response)) => Ok(response),
            Ok(Answer::Join(..)) | Err(_) => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    /// A member says that it is alive.
    ///
    /// # Errors
    /// What Kafka would say.
    pub(crate) fn heartbeat(
        &self,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        super::check_group_id(group)?;
        let (mut inner, now) = (self.lock(), self.now());
        let group = inner.groups.get_mut(group).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        group.classic_mut()?.heartbeat(member_id, instance_id, generation, now)
    }

    /// Members leave; answers with the outcome of each.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID` if there is no such group.
    pub(crate) fn leave(
        &self,
        catalog: &Catalog,
        group: &str,
        leaving: &[MemberIdentity],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        super::check_group_id(group)?;
        let (mut inner, now) = (self.lock(), self.now());
        self.change(catalog, &mut inner, group, now, |group, effects| {
            group.leave(leaving, now, effects)
        })
    }

    /// Changes a classic group, and does what follows from it.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID` if there is no such group, or it is not classic.
    pub(super) fn change<T>(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        id: &str,
        now: Now,
        transition: impl FnOnce(&mut ClassicGroup, &mut Effects) -> T,
    ) -> Result<T, ErrorCode> {
        let group = inner.groups.get_mut(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let classic = group.classic_mut()?;
        let mut effects = Effects::default();
        let outcome = transition(classic, &mut effects);
        let value = effects.persist.then(|| classic.to_value());
        self.tell_timer(inner, id);
        let waiting = effects.answers.into_iter().filter_map(|answer| {
            let (Answer::Join(waiter, _) | Answer::Sync(waiter, _)) = &answer;
            Some((inner.waiting.remove(waiter)?, answer))
        });
        let waiting: Vec<_> = waiting.collect();
        match value {
            Some(value) => self.persist(catalog, inner, (id, &value), now, waiting),
            None => {
                inner.answer(id, waiting);
                inner.forget_if_unused(id);
            }
        }
        Ok(outcome)
    }
}

impl super::Group {
    /// # Errors
    /// `UNKNOWN_MEMBER_ID` for groups of another protocol: its members are no members of theirs.
    pub(super) fn classic_mut(&mut self) -> Result<&mut ClassicGroup, ErrorCode> {
        match &mut self.kind {
            Kind::Classic(classic) => Ok(classic),
            Kind::Consumer(_) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }
}

/// An id that no other member has, from the standard library's random keys; in the form of Java's
/// `UUID.randomUUID`.
pub(super) fn random_uuid(now_ms: i64) -> String {
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_i64(now_ms);
        half.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
    format!("{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
}
