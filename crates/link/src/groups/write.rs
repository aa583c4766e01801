//! Commits what a group is due at the target: only over what Farlog committed there itself, and
//! only while the group has no members.

use std::collections::BTreeMap;
use std::sync::Mutex;

use farlog_client::admin::{CommittedOffset, GroupMemberDescription};
use farlog_client::{BrokerError, Cluster, RequestError, TopicPartition};
use farlog_wire::error_code::ErrorCode;

use super::board::{Due, GroupId, Outcome, Residents};
use super::checkpoint::{Checkpoint, CheckpointKey, Checkpoints};
use crate::ownership::LeaseVerdict;
use crate::partition::LinkContext;
use crate::plan::MirrorTopic;
use crate::topic_writer::TopicWriter;

/// Members of one group that are named.
const MEMBERS_NAMED_MAX: usize = 5;

/// What writing needs beside the link.
pub(crate) struct Desk {
    pub(crate) writer: TopicWriter,
    pub(crate) checkpoints: Mutex<Checkpoints>,
}

/// A due offset, and its place at the target.
struct Placed {
    due: Due,
    target: TopicPartition,
    key: CheckpointKey,
    before: Option<i64>,
}

/// Brings a group's offsets up to date at the target.
pub(crate) async fn write(
    context: &LinkContext,
    desk: &Desk,
    group: &GroupId,
    due: Vec<(Due, MirrorTopic)>,
) -> Outcome {
    match try_write(context, desk, group, due).await {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Failed(why),
    }
}

async fn try_write(
    context: &LinkContext,
    desk: &Desk,
    group: &GroupId,
    due: Vec<(Due, MirrorTopic)>,
) -> Result<Outcome, String> {
    let mut placed: Vec<Placed> = due.into_iter().map(|one| Placed::new(group, one)).collect();
    let targets = placed.iter().map(|one| &one.target);
    let there = context.target.group_offsets_of(group, targets).await;
    let there = there.map_err(|error| told(&error, group))?;
    let mut foreign = Vec::new();
    placed.retain_mut(|one| {
        one.before = there.get(&one.target).map(|committed| committed.offset);
        let ours = one.before.is_none_or(|offset| desk.explains(&one.key, offset));
        if !ours {
            foreign.extend(one.before.map(|offset| (one.due.partition.clone(), offset)));
        }
        ours
    });
    if placed.is_empty() {
        return Ok(Outcome::Written { committed: Vec::new(), foreign });
    }
    desk.write_ahead(&context.options.name, &placed).await?;
    if context.lease.allows(false) != LeaseVerdict::Granted {
        return Err("the link may be another instance's".to_owned());
    }
    let offsets: BTreeMap<TopicPartition, CommittedOffset> =
        placed.iter().map(|one| (one.target.clone(), one.to_commit())).collect();
    let results = context.target.commit_group_offsets(group, &offsets).await;
    let mut results = results.map_err(|error| told(&error, group))?;
    let mut committed = Vec::new();
    for one in placed {
        match results.remove(&one.target) {
            Some(Ok(())) => {
                desk.committed(&one.key);
                committed.push(one.due);
            }
            Some(Err(refused)) if lives_there(refused.code) => {
                return Ok(Outcome::LivesThere(residents(context, group).await));
            }
            Some(Err(refused)) => return Err(with_way_out(&refused, group)),
            None => return Err(format!("the coordinator's answer leaves {} out", one.target)),
        }
    }
    Ok(Outcome::Written { committed, foreign })
}

/// Whether a commit without a member was refused because the group has members.
fn lives_there(code: ErrorCode) -> bool {
    [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::STALE_MEMBER_EPOCH,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::FENCED_MEMBER_EPOCH,
    ]
    .contains(&code)
}

/// Who is in the group at either end.
async fn residents(context: &LinkContext, group: &GroupId) -> Residents {
    let options = &context.options;
    let at_source = members(&context.source, group).await;
    let at_target = members(&context.target, group).await;
    Residents {
        lives_in_both: !at_source.is_empty() && !at_target.is_empty(),
        who: format!(
            "members at {}: {}; at {}: {}",
            options.source_alias,
            list(&at_source),
            options.target_alias,
            list(&at_target),
        ),
    }
}

/// The members of a classic group; those of others are not told by this question.
async fn members(cluster: &Cluster, group: &GroupId) -> Vec<String> {
    let described = cluster.describe_groups(&[group.to_string()]).await;
    let described = described.ok().and_then(|mut groups| groups.remove(&**group));
    let members = described.and_then(Result::ok).map(|group| group.members).unwrap_or_default();
    let name = |member: GroupMemberDescription| {
        let name = member.instance_id.unwrap_or(member.client_id);
        format!("{name}{}", member.client_host)
    };
    members.into_iter().take(MEMBERS_NAMED_MAX).map(name).collect()
}

fn list(members: &[String]) -> String {
    match members {
        [] => "none known".to_owned(),
        members => members.join(", "),
    }
}

fn told(error: &RequestError, group: &str) -> String {
    match error {
        RequestError::Broker(refused) => with_way_out(refused, group),
        error => error.to_string(),
    }
}

fn with_way_out(refused: &BrokerError, group: &str) -> String {
    let needed = match refused.code {
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            format!("; the link's principal needs READ on group {group} at the target")
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "; the link's principal needs READ on mirror topics to commit offsets of them"
                .to_owned()
        }
        _ => String::new(),
    };
    format!("{refused}{needed}")
}

impl Placed {
    fn new(group: &GroupId, (due, mirror): (Due, MirrorTopic)) -> Self {
        let partition = due.partition.partition;
        let key = CheckpointKey {
            group: GroupId::clone(group),
            target_topic_id: mirror.target_topic_id,
            partition,
        };
        let target = TopicPartition::new(mirror.target_topic, partition);
        Self { due, target, key, before: None }
    }

    fn to_commit(&self) -> CommittedOffset {
        // A leader epoch of the source's would make Java consumers wait for it for ever.
        let metadata = self.due.metadata.clone();
        CommittedOffset { offset: self.due.target_offset, leader_epoch: None, metadata }
    }

    fn to_checkpoint(&self) -> Checkpoint {
        Checkpoint {
            topic: self.target.topic.to_string(),
            source_offset: self.due.source_offset,
            target_offset: self.due.target_offset,
            before: self.before,
        }
    }
}

impl Desk {
    /// What was committed for a group in a partition of the target.
    pub(crate) fn last(&self, key: &CheckpointKey) -> Option<Checkpoint> {
        self.lock().get(key).cloned()
    }

    fn explains(&self, key: &CheckpointKey, offset: i64) -> bool {
        self.lock().get(key).is_some_and(|last| last.explains(offset))
    }

    /// What was written ahead is there: what was before it no longer explains anything.
    fn committed(&self, key: &CheckpointKey) {
        if let Some(last) = self.lock().get_mut(key) {
            last.before = None;
        }
    }

    /// Writes down what will be committed, where that is not written down already.
    async fn write_ahead(&self, link: &str, placed: &[Placed]) -> Result<(), String> {
        let mut writing = Vec::new();
        for one in placed {
            let checkpoint = one.to_checkpoint();
            let known = self.last(&one.key);
            let is_known = known.is_some_and(|known| {
                (known.source_offset, known.target_offset)
                    == (checkpoint.source_offset, checkpoint.target_offset)
            });
            if !is_known {
                let written = self.writer.enqueue(one.key.to_bytes(link), checkpoint.to_bytes());
                writing.push((one.key.clone(), checkpoint, written));
            }
        }
        for (key, checkpoint, written) in writing {
            written.await.map_err(|error| error.to_string())?;
            self.lock().insert(key, checkpoint);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Checkpoints> {
        self.checkpoints.lock().expect("no holder of this lock panics")
    }
}
