//! Syncing: the leader says who gets what, everybody asks.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::messages::sync_group_response::SyncGroupResponse;

use super::{Answer, ClassicGroup, Effects, Now, State, Waiter};

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(in crate::groups) struct Sync {
    pub(in crate::groups) waiter: Waiter,
    pub(in crate::groups) member_id: String,
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) generation: i32,
    /// What the member believes the group does, from version 5 on (KIP-559).
    pub(in crate::groups) protocol_type: Option<String>,
    pub(in crate::groups) protocol: Option<String>,
    /// By member id; only the leader's count.
    pub(in crate::groups) assignments: BTreeMap<String, Bytes>,
}

/// A refusal, in the words of SyncGroup.
pub(in crate::groups) fn sync_refused(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: code, ..SyncGroupResponse::default() }
}

impl ClassicGroup {
    /// A member asks for its assignment; the answer comes when the leader has made it.
    pub(in crate::groups) fn sync(&mut self, sync: Sync, now: Now, effects: &mut Effects) {
        let waiter = sync.waiter;
        if let Err(code) = self.try_sync(sync, now, effects) {
            effects.answers.push(Answer::Sync(waiter, sync_refused(code)));
        }
    }

    fn try_sync(&mut self, sync: Sync, now: Now, effects: &mut Effects) -> Result<(), ErrorCode> {
        self.check_member(&sync.member_id, sync.instance_id.as_deref())?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance => {
                self.has_asked(&sync.member_id);
                let is_leader = self.leader.as_ref() == Some(&sync.member_id);
                if let Some(member) = self.members.get_mut(&sync.member_id)
                    && let Some(earlier) = member.syncing.replace(sync.waiter)
                {
                    let answer = sync_refused(ErrorCode::UNKNOWN_MEMBER_ID);
                    effects.answers.push(Answer::Sync(earlier, answer));
                }
                if is_leader {
                    self.assign(sync.assignments, now, effects);
                }
                Ok(())
            }
            State::Stable => {
                self.has_asked(&sync.member_id);
                let assignment = self.members[&sync.member_id].assignment.clone();
                effects.answers.push(Answer::Sync(sync.waiter, self.synced(assignment)));
                Ok(())
            }
        }
    }

    fn has_asked(&mut self, member_id: &str) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            self.sync_deadline_ms = None;
        }
    }

    fn assign(&mut self, mut given: BTreeMap<String, Bytes>, now: Now, effects: &mut Effects) {
        self.state = State::Stable;
        self.state_since_wall_ms = now.wall_ms;
        effects.persist = true;
        let mut waiting = Vec::new();
        for (member_id, member) in &mut self.members {
            // Who is left out gets nothing.
            member.assignment = given.remove(member_id).unwrap_or_default();
            if let Some(waiter) = member.syncing.take() {
                member.keep_alive(now);
                waiting.push((waiter, member.assignment.clone()));
            }
        }
        for (waiter, assignment) in waiting {
            effects.answers.push(Answer::Sync(waiter, self.synced(assignment)));
        }
    }

    /// What was to be written of this generation was not: nobody has heard of it, and everybody
    /// joins again, as in Kafka. What came later than it stays.
    pub(in crate::groups) fn not_written(
        &mut self,
        generation: i32,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.state != State::Stable || self.generation != generation {
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.prepare_rebalance(now, effects);
    }

    fn synced(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..SyncGroupResponse::default()
        }
    }
}
