//! One group of the classic protocol, as a state machine: values and the time go in, answers and
//! the wish to be written come out.
//!
//! Source: the group protocol as Kafka 4.3 has it, KIP-62 (two timeouts), KIP-134 (initial delay),
//! KIP-345 (static members), KIP-394 (member ids), KIP-814 (skipped assignments).

mod join;
mod member;
mod rebalance;
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::ErrorCode;
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::messages::leave_group_request::MemberIdentity;
use farlog_wire::messages::sync_group_response::SyncGroupResponse;

use super::record::{ClassicMemberValue, ClassicValue};
pub(super) use join::{Join, refused as join_refused};
pub(super) use member::{Member, Protocol};
pub(super) use sync::{Sync, sync_refused};

/// The time of one transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Milliseconds on a clock that is never set: what deadlines are counted on.
    pub(super) elapsed_ms: i64,
    /// Milliseconds since the epoch: what is written.
    pub(super) wall_ms: i64,
}

/// Who waits for an answer; the machine only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Waiter(pub(super) u64);

/// An answer to who waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Join(Waiter, JoinGroupResponse),
    Sync(Waiter, SyncGroupResponse),
}

/// What a transition asks for.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The group has to be written before any of the answers goes out.
    pub(super) persist: bool,
    pub(super) answers: Vec<Answer>,
}

/// What the operator of the broker decides about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) initial_rebalance_delay_ms: i64,
    pub(super) members_max: usize,
}

/// Where a group is in its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

/// The first members of an empty group are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InitialDelay {
    remaining_ms: i64,
    member_added: bool,
}

/// A group.
#[derive(Debug)]
pub(super) struct ClassicGroup {
    rules: Rules,
    state: State,
    state_since_wall_ms: i64,
    protocol_type: Option<String>,
    protocol: Option<String>,
    generation: i32,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Member ids by instance id.
    static_members: BTreeMap<String, String>,
    /// Until when the ids that were given out may be used to join (KIP-394).
    pending_members: BTreeMap<String, i64>,
    /// Who has joined this generation and not asked for its assignment yet.
    pending_sync: BTreeSet<String>,
    rebalance_deadline_ms: Option<i64>,
    initial_delay: Option<InitialDelay>,
    sync_deadline_ms: Option<i64>,
}

// === impl State ===

impl State {
    /// Kafka's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

// === impl ClassicGroup ===

impl ClassicGroup {
    /// A group without members.
    pub(super) fn new(rules: Rules, now: Now) -> Self {
        Self {
            rules,
            state: State::Empty,
            state_since_wall_ms: now.wall_ms,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            rebalance_deadline_ms: None,
            initial_delay: None,
            sync_deadline_ms: None,
        }
    }

    /// A group as it was written; its members' sessions begin anew.
    pub(super) fn from_value(value: ClassicValue, rules: Rules, now: Now) -> Self {
        let mut group = Self::new(rules, now);
        group.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        group.state_since_wall_ms = value.state_timestamp_ms;
        group.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        group.generation = value.generation;
        group.leader = value.leader;
        for written in value.members {
            let protocol = value.protocol.clone().unwrap_or_default();
            let member = Member::from_value(&written, protocol, now);
            if let Some(instance_id) = written.instance_id {
                group.static_members.insert(instance_id, written.member_id.clone());
            }
            group.members.insert(written.member_id, member);
        }
        group.protocol = value.protocol;
        group
    }

    /// The group as it is written.
    pub(super) fn to_value(&self) -> ClassicValue {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| ClassicMemberValue {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        let is_empty = self.members.is_empty();
        ClassicValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone().filter(|_| !is_empty),
            state_timestamp_ms: self.state_since_wall_ms,
            members: members.collect(),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn state_since_wall_ms(&self) -> i64 {
        self.state_since_wall_ms
    }

    /// `None` for a group that only keeps offsets.
    pub(super) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The chosen one, once there is one.
    pub(super) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(super) fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// Whether the log knows of it.
    pub(super) fn was_written(&self) -> bool {
        self.generation > 0
    }

    /// Nobody is in it and nobody is about to come.
    pub(super) fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending_members.is_empty()
    }

    /// Whether a member may speak for the group (KIP-345: an instance that was replaced may not).
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if current != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// A member is alive.
    ///
    /// # Errors
    /// What Kafka would say, `REBALANCE_IN_PROGRESS` among others.
    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        self.keep_alive(member_id, now);
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            // Members may begin before they have their assignments.
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Whether offsets may be written; a member that writes some is alive.
    ///
    /// # Errors
    /// What Kafka would say.
    pub(super) fn check_commit(
        &mut self,
        committer: &Committer,
        now: Now,
    ) -> Result<(), ErrorCode> {
        let Committer { member_id, instance_id, generation, is_transactional } = committer;
        if *generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if *generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.check_member(member_id, instance_id.as_deref())?;
            if *generation != self.generation {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else if !is_transactional && self.state != State::Empty {
            // Somebody outside the group, while it is at work.
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !is_transactional && self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        if !is_transactional {
            self.keep_alive(member_id, now);
        }
        Ok(())
    }

    fn keep_alive(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.keep_alive(now);
        }
    }

    /// Members leave; answers with the outcome of each.
    pub(super) fn leave(
        &mut self,
        leaving: &[MemberIdentity],
        now: Now,
        effects: &mut Effects,
    ) -> Vec<ErrorCode> {
        let mut outcomes = Vec::new();
        let mut removed = false;
        for identity in leaving {
            let outcome = self.leave_one(identity, effects);
            removed |= outcome == Ok(true);
            outcomes.push(outcome.err().unwrap_or(ErrorCode::NONE));
        }
        match removed {
            true => self.after_removal(now, effects),
            false => self.complete_if_all_joined(now, effects),
        }
        outcomes
    }

    /// Whether it was one of those at work, and not only about to join.
    fn leave_one(
        &mut self,
        identity: &MemberIdentity,
        effects: &mut Effects,
    ) -> Result<bool, ErrorCode> {
        let instance_id = identity.group_instance_id.as_deref();
        let mut member_id = identity.member_id.clone();
        if member_id.is_empty() {
            // An operator removes a static member by its instance id alone.
            let instance = instance_id.and_then(|id| self.static_members.get(id));
            member_id = instance.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?.clone();
        }
        if self.pending_members.remove(&member_id).is_some() {
            return Ok(false);
        }
        self.check_member(&member_id, instance_id)?;
        self.remove_member(&member_id, ErrorCode::UNKNOWN_MEMBER_ID, effects);
        Ok(true)
    }
}

/// Who writes offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committer {
    /// Empty if it is no member.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    /// The generation, or a member's epoch (KIP-848); negative if it is no member.
    pub(crate) generation: i32,
    pub(crate) is_transactional: bool,
}

#[cfg(test)]
mod tests;
