//! Rebalancing: waiting for everybody, choosing leader and protocol, and what time does.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::ErrorCode;

use super::join::refused;
use super::member::Member;
use super::sync::sync_refused;
use super::{Answer, ClassicGroup, Effects, InitialDelay, Now, State};

impl Effects {
    /// Tells who waits in the name of a member that it has no place any more.
    pub(super) fn turn_away(&mut self, member_id: &str, member: &mut Member, code: ErrorCode) {
        let joining = member.joining.take();
        self.answers.extend(joining.map(|waiter| Answer::Join(waiter, refused(code, member_id))));
        let syncing = member.syncing.take();
        self.answers.extend(syncing.map(|waiter| Answer::Sync(waiter, sync_refused(code))));
    }

    /// Tells the earlier of two with one instance id.
    pub(super) fn fence(&mut self, member_id: &str, member: &mut Member) {
        self.turn_away(member_id, member, ErrorCode::FENCED_INSTANCE_ID);
    }
}

impl ClassicGroup {
    fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.state_since_wall_ms = now.wall_ms;
    }

    pub(super) fn rebalance_or_complete(&mut self, now: Now, effects: &mut Effects) {
        match self.state {
            State::PreparingRebalance => self.complete_if_all_joined(now, effects),
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(now, effects);
            }
        }
    }

    /// Calls everybody to join again.
    pub(in crate::groups) fn prepare_rebalance(&mut self, now: Now, effects: &mut Effects) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                let answer = sync_refused(ErrorCode::REBALANCE_IN_PROGRESS);
                let waiter = member.syncing.take();
                effects.answers.extend(waiter.map(|waiter| Answer::Sync(waiter, answer)));
            }
        }
        self.pending_sync.clear();
        self.sync_deadline_ms = None;
        let was_empty = self.state == State::Empty;
        self.enter(State::PreparingRebalance, now);
        if !was_empty {
            self.rebalance_deadline_ms = Some(now.elapsed_ms + self.rebalance_timeout_ms());
            return self.complete_if_all_joined(now, effects);
        }
        let delay_ms = self.rules.initial_rebalance_delay_ms;
        if delay_ms == 0 {
            return self.complete_join(now, effects);
        }
        let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
        self.initial_delay = Some(InitialDelay { remaining_ms, member_added: false });
        self.rebalance_deadline_ms = Some(now.elapsed_ms + delay_ms);
    }

    pub(super) fn complete_if_all_joined(&mut self, now: Now, effects: &mut Effects) {
        let all_joined = self.pending_members.is_empty()
            && self.members.values().all(|member| member.joining.is_some());
        let waiting = self.state == State::PreparingRebalance && self.initial_delay.is_none();
        if waiting && all_joined {
            self.complete_join(now, effects);
        }
    }

    /// The longest that a member may take to give up its work.
    fn rebalance_timeout_ms(&self) -> i64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        i64::from(longest.unwrap_or(0))
    }

    /// Goes on with who has joined.
    fn complete_join(&mut self, now: Now, effects: &mut Effects) {
        self.rebalance_deadline_ms = None;
        self.initial_delay = None;
        let gone = self
            .members
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.instance_id.is_none());
        for member_id in gone.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove_member(&member_id, ErrorCode::UNKNOWN_MEMBER_ID, effects);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members that did not come back: they keep their places until their
            // sessions end.
            self.rebalance_deadline_ms = Some(now.elapsed_ms + self.rebalance_timeout_ms());
            return;
        }
        // Generations below 0 mean something else.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.enter(State::Empty, now);
            effects.persist = true;
            return;
        }
        self.protocol = self.select_protocol();
        self.enter(State::CompletingRebalance, now);
        self.sync_deadline_ms = Some(now.elapsed_ms + self.rebalance_timeout_ms());
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&member_id);
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            member.is_new = false;
            member.keep_alive(now);
            let waiter = member.joining.take();
            effects.answers.extend(waiter.map(|waiter| Answer::Join(waiter, answer)));
            self.pending_sync.insert(member_id);
        }
    }

    /// Keeps the leader if it has come, else takes one who has; whether there is one.
    fn elect_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.joining.is_some());
        let joined = joined.map(|(id, _)| id.clone());
        let elected = joined.is_some();
        if elected {
            self.leader = joined;
        }
        elected
    }

    /// Each member votes for what it likes best of what all know.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            let known_to_all = |name: &str| self.members.values().all(|other| other.knows(name));
            let choice = member.protocols.iter().find(|protocol| known_to_all(&protocol.name));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|&(_, count)| count).map(|(name, _)| name.to_owned())
    }

    /// Takes a member out, and leaves the consequences to [`after_removal`](Self::after_removal).
    pub(super) fn remove_member(&mut self, id: &str, code: ErrorCode, effects: &mut Effects) {
        let Some(mut member) = self.members.remove(id) else { return };
        effects.turn_away(id, &mut member, code);
        self.pending_sync.remove(id);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|current| current == id)
        {
            self.static_members.remove(instance_id);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    pub(super) fn after_removal(&mut self, now: Now, effects: &mut Effects) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(now, effects),
            State::PreparingRebalance => self.complete_if_all_joined(now, effects),
            State::Empty => {}
        }
    }

    /// When something is due next, in elapsed milliseconds.
    pub(in crate::groups) fn next_deadline_ms(&self) -> Option<i64> {
        let sessions = self.members.values().map(|member| member.deadline_ms);
        let pending = self.pending_members.values().copied();
        let rounds = [self.rebalance_deadline_ms, self.sync_deadline_ms].into_iter().flatten();
        sessions.chain(pending).chain(rounds).min()
    }

    /// Does what is due.
    pub(in crate::groups) fn expire(&mut self, now: Now, effects: &mut Effects) {
        let due = |deadline_ms: i64| deadline_ms <= now.elapsed_ms;
        let pending_before = self.pending_members.len();
        self.pending_members.retain(|_, deadline_ms| !due(*deadline_ms));
        if self.pending_members.len() < pending_before {
            self.complete_if_all_joined(now, effects);
        }
        let silent = self.members.iter_mut().filter_map(|(id, member)| {
            if due(member.deadline_ms) && member.is_excused() {
                member.keep_alive(now);
            }
            due(member.deadline_ms).then(|| id.clone())
        });
        let silent: Vec<String> = silent.collect();
        for member_id in &silent {
            self.remove_member(member_id, ErrorCode::UNKNOWN_MEMBER_ID, effects);
        }
        if !silent.is_empty() {
            self.after_removal(now, effects);
        }
        if self.sync_deadline_ms.is_some_and(due) {
            self.expire_syncs(now, effects);
        }
        if self.rebalance_deadline_ms.is_some_and(due) {
            self.expire_rebalance(now, effects);
        }
    }

    /// Who joined and never asked for its assignment is put out.
    fn expire_syncs(&mut self, now: Now, effects: &mut Effects) {
        self.sync_deadline_ms = None;
        let late = std::mem::take(&mut self.pending_sync);
        for member_id in &late {
            self.remove_member(member_id, ErrorCode::UNKNOWN_MEMBER_ID, effects);
        }
        if !late.is_empty() {
            self.after_removal(now, effects);
        }
    }

    fn expire_rebalance(&mut self, now: Now, effects: &mut Effects) {
        if let Some(initial) = &mut self.initial_delay
            && initial.member_added
            && initial.remaining_ms > 0
        {
            // Others are on their way: wait once more, but not for ever.
            let delay_ms = self.rules.initial_rebalance_delay_ms.min(initial.remaining_ms);
            initial.remaining_ms -= delay_ms;
            initial.member_added = false;
            self.rebalance_deadline_ms = Some(now.elapsed_ms + delay_ms);
            return;
        }
        self.complete_join(now, effects);
    }
}
