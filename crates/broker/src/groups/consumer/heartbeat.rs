//! The one request of the protocol: a member joins, stays, changes its mind, leaves.

use std::collections::BTreeSet;

use farlog_wire::ErrorCode;

use super::{
    Assignor, ConsumerGroup, ConsumerMember, LEAVES, LEAVES_FOR_A_WHILE, MemberState, Now,
    Partitions, Topics,
};

/// A ConsumerGroupHeartbeat request, already checked for its form.
#[derive(Clone, Debug)]
pub(in crate::groups) struct ConsumerHeartbeat {
    pub(in crate::groups) member_id: String,
    pub(in crate::groups) epoch: i32,
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) rack_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    /// What follows is `None` where nothing has changed.
    pub(in crate::groups) rebalance_timeout_ms: Option<i32>,
    pub(in crate::groups) topics: Option<BTreeSet<String>>,
    /// Empty where none is wanted any more.
    pub(in crate::groups) pattern: Option<String>,
    pub(in crate::groups) assignor: Option<Assignor>,
    pub(in crate::groups) owned: Option<Partitions>,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct ConsumerOutcome {
    pub(in crate::groups) epoch: i32,
    /// `None` if it has not changed.
    pub(in crate::groups) assignment: Option<Partitions>,
}

/// A refusal with a sentence for people.
pub(in crate::groups) type ConsumerRefusal = (ErrorCode, String);

impl ConsumerGroup {
    /// Takes in what a member says.
    ///
    /// # Errors
    /// What Kafka would say; then nothing has changed.
    pub(in crate::groups) fn heartbeat(
        &mut self,
        request: &ConsumerHeartbeat,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<ConsumerOutcome, ConsumerRefusal> {
        if request.epoch < 0 {
            return self.leave(request, now);
        }
        let id = &request.member_id;
        if request.epoch == 0 {
            self.admit(request)?;
        } else {
            self.check(request)?;
        }
        let before = self.members.get(id).map(|member| member.assigned.clone());
        let read_before = self.topics_read_by(id);
        self.update(request, now);
        self.resolve(topics, now);
        // A pattern that stands for nothing changes nothing.
        let wants_others = read_before != self.topics_read_by(id);
        let metadata_hash = self.hash_of(topics);
        if wants_others || metadata_hash != self.metadata_hash {
            self.metadata_hash = metadata_hash;
            self.epoch = self.epoch.saturating_add(1);
        }
        if self.epoch > self.target_epoch {
            self.make_target(topics, now);
        }
        self.reconcile(id, request.owned.as_ref(), now);
        let member = &self.members[id];
        let is_full = request.epoch == 0
            || request.rebalance_timeout_ms.is_some()
                && (request.topics.is_some() || request.pattern.is_some())
                && request.owned.is_some();
        let changed = before.as_ref() != Some(&member.assigned);
        let assignment = (is_full || changed).then(|| member.assigned.clone());
        Ok(ConsumerOutcome { epoch: member.epoch, assignment })
    }

    /// Whether a newcomer may come in; if it is a static member that comes back, it gets the place
    /// of its former self.
    fn admit(&mut self, request: &ConsumerHeartbeat) -> Result<(), ConsumerRefusal> {
        let id = &request.member_id;
        let former = request.instance_id.as_ref().and_then(|instance| self.holder_of(instance));
        let Some(former) = former.filter(|former| former != id) else {
            if self.members.contains_key(id) || self.members.len() < self.rules.members_max {
                return Ok(());
            }
            let message = format!(
                "The consumer group has reached its maximum capacity of {} members.",
                self.rules.members_max
            );
            return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, message));
        };
        if self.members[&former].epoch != LEAVES_FOR_A_WHILE {
            let instance = request.instance_id.as_deref().unwrap_or_default();
            let message = format!(
                "Static member {id} with instance id {instance} was rejected by the group \
                 coordinator because the instance id is still used by member {former}."
            );
            return Err((ErrorCode::UNRELEASED_INSTANCE_ID, message));
        }
        if let Some(mut member) = self.members.remove(&former) {
            (member.epoch, member.previous_epoch) = (0, 0);
            self.members.insert(id.clone(), member);
        }
        if let Some(target) = self.target.remove(&former) {
            self.target.insert(id.clone(), target);
        }
        Ok(())
    }

    fn holder_of(&self, instance_id: &str) -> Option<String> {
        let held = |member: &ConsumerMember| member.instance_id.as_deref() == Some(instance_id);
        self.members.iter().find(|(_, member)| held(member)).map(|(id, _)| id.clone())
    }

    /// Whether a member is who it says, and knows what it was told.
    fn check(&self, request: &ConsumerHeartbeat) -> Result<(), ConsumerRefusal> {
        let id = &request.member_id;
        self.check_instance(request)?;
        let Some(member) = self.members.get(id) else { return Err(unknown(id)) };
        let fenced = |word: &str| {
            let message = format!(
                "The consumer group member has a {word} member epoch ({}) than the one known by \
                 the group coordinator ({}). The member must abandon all its partitions and \
                 rejoin.",
                request.epoch, member.epoch
            );
            Err((ErrorCode::FENCED_MEMBER_EPOCH, message))
        };
        if request.epoch > member.epoch {
            return fenced("greater");
        }
        // The answer with its new epoch may have been lost: then it has no more than it had.
        let owned = request.owned.as_ref();
        let answer_lost = request.epoch == member.previous_epoch
            && owned.is_some_and(|owned| owned.is_subset(&member.assigned));
        if request.epoch < member.epoch && !answer_lost {
            return fenced("smaller");
        }
        Ok(())
    }

    fn check_instance(&self, request: &ConsumerHeartbeat) -> Result<(), ConsumerRefusal> {
        let Some(instance_id) = &request.instance_id else { return Ok(()) };
        match self.holder_of(instance_id) {
            Some(holder) if holder == request.member_id => Ok(()),
            Some(holder) => {
                let message = format!(
                    "Static member {} with instance id {instance_id} was fenced by member \
                     {holder}.",
                    request.member_id
                );
                Err((ErrorCode::FENCED_INSTANCE_ID, message))
            }
            None => {
                let message = format!("Instance id {instance_id} is unknown.");
                Err((ErrorCode::UNKNOWN_MEMBER_ID, message))
            }
        }
    }

    fn topics_read_by(&self, id: &str) -> BTreeSet<String> {
        let member = self.members.get(id).into_iter();
        member.flat_map(|member| self.topics_of(member)).cloned().collect()
    }

    /// Takes in what a member says of itself.
    fn update(&mut self, request: &ConsumerHeartbeat, now: Now) {
        let deadline_ms = now.elapsed_ms + self.rules.session_timeout_ms;
        let entry = self.members.entry(request.member_id.clone());
        let member = entry.or_insert_with(|| ConsumerMember {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            topics: BTreeSet::new(),
            pattern: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Partitions::new(),
            pending_revocation: Partitions::new(),
            deadline_ms,
            revocation_deadline_ms: None,
        });
        member.deadline_ms = deadline_ms;
        member.client_id.clone_from(&request.client_id);
        member.client_host.clone_from(&request.client_host);
        if request.instance_id.is_some() {
            member.instance_id.clone_from(&request.instance_id);
        }
        if request.rack_id.is_some() {
            member.rack_id.clone_from(&request.rack_id);
        }
        member.rebalance_timeout_ms =
            request.rebalance_timeout_ms.unwrap_or(member.rebalance_timeout_ms);
        member.assignor = request.assignor.or(member.assignor);
        if let Some(topics) = &request.topics {
            member.topics.clone_from(topics);
        }
        if let Some(pattern) = &request.pattern {
            member.pattern = Some(pattern.clone()).filter(|pattern| !pattern.is_empty());
        }
    }

    fn leave(
        &mut self,
        request: &ConsumerHeartbeat,
        now: Now,
    ) -> Result<ConsumerOutcome, ConsumerRefusal> {
        let id = &request.member_id;
        self.check_instance(request)?;
        let Some(member) = self.members.get_mut(id) else { return Err(unknown(id)) };
        let epoch = match (request.epoch, &member.instance_id) {
            (LEAVES_FOR_A_WHILE, Some(_)) => {
                // Its place is kept until its session ends.
                member.epoch = LEAVES_FOR_A_WHILE;
                member.state = MemberState::Stable;
                member.pending_revocation.clear();
                member.revocation_deadline_ms = None;
                LEAVES_FOR_A_WHILE
            }
            _ => {
                self.remove(id, now);
                LEAVES
            }
        };
        Ok(ConsumerOutcome { epoch, assignment: None })
    }
}

fn unknown(member_id: &str) -> ConsumerRefusal {
    let message = format!("Member {member_id} is not a member of the group.");
    (ErrorCode::UNKNOWN_MEMBER_ID, message)
}
