//! One group of the consumer protocol (KIP-848), as a state machine: members say what they want
//! and what they have, the group says what they get.
//!
//! Three numbers follow each other: the group's epoch rises when what is wanted changes, the
//! target's epoch says for which of them the assignment was made, and each member's epoch says how
//! far it has come. A partition is given away when nobody holds it any more.

mod assignor;
mod heartbeat;
mod pattern;
mod reconcile;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use farlog_wire::{ErrorCode, Uuid};

use super::classic::{Committer, Now};
use super::record::Key;
use crate::name_pattern::NamePattern;
pub(super) use assignor::Assignor;
pub(super) use heartbeat::{ConsumerHeartbeat, ConsumerOutcome, ConsumerRefusal};
use pattern::Resolved;

/// Partitions of any topics.
pub(super) type Partitions = BTreeSet<(Uuid, i32)>;

/// The topics that there are.
pub(super) trait Topics {
    /// A topic's id, and how many partitions it has.
    fn find(&self, name: &str) -> Option<(Uuid, i32)>;

    /// The names that a pattern stands for.
    fn matching(&self, pattern: &NamePattern) -> BTreeSet<String>;
}

/// The epoch with which a member leaves.
const LEAVES: i32 = -1;

/// The epoch with which a static member leaves for a while.
const LEAVES_FOR_A_WHILE: i32 = -2;

/// What the operator of the broker decides about these groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConsumerRules {
    pub(super) session_timeout_ms: i64,
    pub(super) heartbeat_interval_ms: i32,
    pub(super) members_max: usize,
}

/// How far a member is with what it shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has it.
    Stable,
    /// It still has to give up some.
    Unrevoked,
    /// Others still have to give up some of it.
    Unreleased,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerMember {
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: BTreeSet<String>,
    /// Whose topics it reads besides.
    pub(crate) pattern: Option<String>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(super) assignor: Option<Assignor>,
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Partitions,
    /// What it was told to give up.
    pub(crate) pending_revocation: Partitions,
    /// When its session ends.
    deadline_ms: i64,
    /// Until when it may take to give up what it was told to.
    revocation_deadline_ms: Option<i64>,
}

/// A group.
#[derive(Debug)]
pub(super) struct ConsumerGroup {
    rules: ConsumerRules,
    epoch: i32,
    /// Of the topics that are wanted: when it changes, the assignment has to.
    metadata_hash: i64,
    target_epoch: i32,
    target_since_wall_ms: i64,
    target: BTreeMap<String, Partitions>,
    members: BTreeMap<String, ConsumerMember>,
    /// What the members' patterns stand for.
    patterns: BTreeMap<String, Resolved>,
    /// When the last member left.
    vacant_since_wall_ms: i64,
    /// What the log says of the group.
    written: BTreeMap<Key, Bytes>,
}

impl MemberState {
    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
        }
    }

    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Stable,
        }
    }
}

impl ConsumerGroup {
    /// A group without members.
    pub(super) fn new(rules: ConsumerRules, now: Now) -> Self {
        Self {
            rules,
            // Kafka's begin there, too: the first member comes in the second epoch.
            epoch: 1,
            metadata_hash: 0,
            target_epoch: 1,
            target_since_wall_ms: 0,
            target: BTreeMap::new(),
            members: BTreeMap::new(),
            patterns: BTreeMap::new(),
            vacant_since_wall_ms: now.wall_ms,
            written: BTreeMap::new(),
        }
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(super) fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    pub(super) fn members(&self) -> &BTreeMap<String, ConsumerMember> {
        &self.members
    }

    /// What a member shall have.
    pub(super) fn target_of(&self, member_id: &str) -> Partitions {
        self.target.get(member_id).cloned().unwrap_or_default()
    }

    pub(super) fn is_vacant(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn vacant_since_wall_ms(&self) -> i64 {
        self.vacant_since_wall_ms
    }

    /// Kafka's word for its state.
    pub(super) fn state_name(&self) -> &'static str {
        let is_reconciled = |member: &ConsumerMember| {
            member.state == MemberState::Stable && member.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(is_reconciled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// All that members read.
    pub(super) fn subscribed_topics(&self) -> BTreeSet<String> {
        self.members.values().flat_map(|member| self.topics_of(member)).cloned().collect()
    }

    /// The assignor that most members ask for.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes = BTreeMap::<Assignor, usize>::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        // The first of equals, as Kafka lists them.
        let most = votes.into_iter().rev().max_by_key(|&(_, count)| count);
        most.map_or(Assignor::Uniform, |(assignor, _)| assignor)
    }

    /// Whether offsets may be written.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH`; `ILLEGAL_GENERATION` in a transaction.
    pub(super) fn check_commit(&self, committer: &Committer) -> Result<(), ErrorCode> {
        if committer.generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        match self.check_epoch(&committer.member_id, committer.generation) {
            Err(ErrorCode::STALE_MEMBER_EPOCH) if committer.is_transactional => {
                Err(ErrorCode::ILLEGAL_GENERATION)
            }
            outcome => outcome,
        }
    }

    /// Whether a member is who it says, and has heard the latest.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH`.
    pub(super) fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match member.epoch == epoch {
            true => Ok(()),
            false => Err(ErrorCode::STALE_MEMBER_EPOCH),
        }
    }

    /// When something is due next, in elapsed milliseconds.
    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        let deadlines = self
            .members
            .values()
            .flat_map(|member| [Some(member.deadline_ms), member.revocation_deadline_ms]);
        deadlines.flatten().min()
    }

    /// Puts out who is silent, and who does not give up what it must.
    pub(super) fn expire(&mut self, now: Now) {
        let due = |deadline_ms: i64| deadline_ms <= now.elapsed_ms;
        let late = self.members.iter().filter(|(_, member)| {
            due(member.deadline_ms) || member.revocation_deadline_ms.is_some_and(due)
        });
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for member_id in late {
            self.remove(&member_id, now);
        }
    }

    /// Takes a member out; what it had is free at once, and is shared out with the next heartbeat
    /// of somebody else.
    fn remove(&mut self, member_id: &str, now: Now) {
        self.members.remove(member_id);
        self.target.remove(member_id);
        self.epoch = self.epoch.saturating_add(1);
        if self.members.is_empty() {
            self.vacant_since_wall_ms = now.wall_ms;
        }
    }
}

#[cfg(test)]
mod tests;
