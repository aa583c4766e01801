//! Joining: new members, members that come again, static members that replace themselves.

use farlog_wire::ErrorCode;
use farlog_wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use super::member::{Member, Protocol};
use super::{Answer, ClassicGroup, Effects, Now, State, Waiter};
use crate::groups::limits::NEW_MEMBER_TIMEOUT_MS;

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(in crate::groups) struct Join {
    pub(in crate::groups) waiter: Waiter,
    /// Empty for who has none yet.
    pub(in crate::groups) member_id: String,
    /// The id that it gets if it needs one.
    pub(in crate::groups) new_member_id: String,
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    pub(in crate::groups) session_timeout_ms: i32,
    pub(in crate::groups) rebalance_timeout_ms: i32,
    pub(in crate::groups) protocol_type: String,
    pub(in crate::groups) protocols: Vec<Protocol>,
    /// KIP-394: the client comes again with the id that it is given.
    pub(in crate::groups) requires_known_member_id: bool,
    /// KIP-814: the client knows of leaders that need not assign.
    pub(in crate::groups) can_skip_assignment: bool,
}

/// A refusal, in the words of JoinGroup.
pub(in crate::groups) fn refused(code: ErrorCode, member_id: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code,
        generation_id: -1,
        member_id: member_id.to_owned(),
        ..JoinGroupResponse::default()
    }
}

impl ClassicGroup {
    /// Somebody joins; the answer comes now or when the group has settled.
    pub(in crate::groups) fn join(&mut self, join: Join, now: Now, effects: &mut Effects) {
        let (waiter, member_id) = (join.waiter, join.member_id.clone());
        let outcome = if !self.has_room_for(&member_id) {
            Err(ErrorCode::GROUP_MAX_SIZE_REACHED)
        } else if !self.supports(&join) {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        } else if member_id.is_empty() {
            self.join_for_the_first_time(join, now, effects);
            Ok(())
        } else {
            self.join_again(join, now, effects)
        };
        if let Err(code) = outcome {
            effects.answers.push(Answer::Join(waiter, refused(code, &member_id)));
        }
    }

    fn has_room_for(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id) || self.members.len() < self.rules.members_max
    }

    /// Whether every present member knows a protocol that the new one knows.
    fn supports(&self, join: &Join) -> bool {
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        if self.protocol_type.as_ref() != Some(&join.protocol_type) {
            return false;
        }
        join.protocols
            .iter()
            .any(|protocol| self.members.values().all(|member| member.knows(&protocol.name)))
    }

    fn join_for_the_first_time(&mut self, join: Join, now: Now, effects: &mut Effects) {
        let instance = join.instance_id.as_ref();
        if let Some(old_id) = instance.and_then(|id| self.static_members.get(id)).cloned() {
            return self.replace_static_member(&old_id, join, now, effects);
        }
        if instance.is_none() && join.requires_known_member_id {
            let deadline_ms = now.elapsed_ms + i64::from(join.session_timeout_ms);
            self.pending_members.insert(join.new_member_id.clone(), deadline_ms);
            let answer = refused(ErrorCode::MEMBER_ID_REQUIRED, &join.new_member_id);
            effects.answers.push(Answer::Join(join.waiter, answer));
            return;
        }
        let member_id = join.new_member_id.clone();
        self.add_member(member_id, join, now, effects);
    }

    fn join_again(&mut self, join: Join, now: Now, effects: &mut Effects) -> Result<(), ErrorCode> {
        let member_id = join.member_id.clone();
        if join.instance_id.is_none() && self.pending_members.contains_key(&member_id) {
            self.add_member(member_id, join, now, effects);
            return Ok(());
        }
        self.check_member(&member_id, join.instance_id.as_deref())?;
        let same = self.members[&member_id].protocols == join.protocols;
        let is_leader = self.leader.as_ref() == Some(&member_id);
        let answer_at_once = match self.state {
            State::Empty => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => false,
            // It joined already and did not hear of it.
            State::CompletingRebalance => same,
            // A leader that joins asks for a rebalance; a follower only if it wants other things.
            State::Stable => same && !is_leader,
        };
        if answer_at_once {
            self.keep_alive(&member_id, now);
            let answer = self.joined(&member_id);
            effects.answers.push(Answer::Join(join.waiter, answer));
            return Ok(());
        }
        self.update_member(&member_id, join, now, effects);
        self.rebalance_or_complete(now, effects);
        Ok(())
    }

    fn add_member(&mut self, member_id: String, join: Join, now: Now, effects: &mut Effects) {
        self.pending_members.remove(&member_id);
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if let Some(initial) = &mut self.initial_delay {
            initial.member_added = true;
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        if let Some(instance_id) = &join.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        let member = Member {
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: bytes::Bytes::new(),
            joining: Some(join.waiter),
            syncing: None,
            is_new: true,
            // A client whose first join takes long has gone away, or will come with a new id.
            deadline_ms: now.elapsed_ms + NEW_MEMBER_TIMEOUT_MS,
        };
        self.members.insert(member_id, member);
        self.rebalance_or_complete(now, effects);
    }

    fn update_member(&mut self, member_id: &str, join: Join, now: Now, effects: &mut Effects) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        member.protocols = join.protocols;
        member.keep_alive(now);
        if let Some(earlier) = member.joining.replace(join.waiter) {
            // It asked twice; the connection of the first is most likely gone.
            let answer = refused(ErrorCode::UNKNOWN_MEMBER_ID, member_id);
            effects.answers.push(Answer::Join(earlier, answer));
        }
    }

    /// An instance was started again before its session ended: it takes the place of the old one,
    /// and what it was assigned with it (KIP-345).
    fn replace_static_member(&mut self, old_id: &str, join: Join, now: Now, effects: &mut Effects) {
        let new_id = join.new_member_id.clone();
        let leader_before = self.leader.clone().unwrap_or_default();
        let Some(mut member) = self.members.remove(old_id) else { return };
        self.pending_sync.remove(old_id);
        effects.fence(old_id, &mut member);
        member.is_new = false;
        self.members.insert(new_id.clone(), member);
        if let Some(instance_id) = &join.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        if leader_before == old_id {
            self.leader = Some(new_id.clone());
        }
        let can_skip = join.can_skip_assignment;
        self.update_member(&new_id, join, now, effects);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                // Nobody else needs to know; what is written holds the new id.
                let mut answer = self.joined(&new_id);
                if can_skip {
                    answer.skip_assignment = self.leader.as_ref() == Some(&new_id);
                } else {
                    // Older clients must not take themselves for the leader: they would assign.
                    answer.leader = leader_before;
                    answer.members = Vec::new();
                }
                let waiter = self.members.get_mut(&new_id).and_then(|new| new.joining.take());
                effects.answers.extend(waiter.map(|waiter| Answer::Join(waiter, answer)));
                effects.persist = true;
            }
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(now, effects),
            State::Empty | State::PreparingRebalance => {
                self.complete_if_all_joined(now, effects);
            }
        }
    }

    /// What a member of this generation is told.
    pub(super) fn joined(&self, member_id: &str) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let is_leader = self.leader.as_deref() == Some(member_id);
        let members = self.members.iter().filter(|_| is_leader);
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            members: members
                .map(|(id, member)| JoinGroupResponseMember {
                    member_id: id.clone(),
                    group_instance_id: member.instance_id.clone(),
                    metadata: member.metadata(protocol),
                })
                .collect(),
            ..JoinGroupResponse::default()
        }
    }
}
