//! From what members have to what they shall have: first what is too much is given up, then what
//! is free is taken.

use std::hash::{DefaultHasher, Hash, Hasher};

use farlog_wire::Uuid;

use super::assignor::{Subscriber, assign};
use super::{ConsumerGroup, LEAVES_FOR_A_WHILE, MemberState, Now, Partitions, Topics};

impl ConsumerGroup {
    /// A number that changes when topics that are wanted come, go or grow.
    pub(super) fn hash_of(&self, topics: &dyn Topics) -> i64 {
        let subscribed = self.subscribed_topics();
        if subscribed.is_empty() {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        for name in subscribed {
            (topics.find(&name), name).hash(&mut hasher);
        }
        // 0 stands for none.
        hasher.finish().cast_signed() | 1
    }

    /// Shares all partitions out anew.
    pub(super) fn make_target(&mut self, topics: &dyn Topics, now: Now) {
        let subscribers = self.members.iter().map(|(id, member)| {
            let topics = self.topics_of(member).filter_map(|name| topics.find(name));
            Subscriber {
                member_id: id.clone(),
                // Static members keep their places when their ids change.
                rank: member.instance_id.clone().unwrap_or_else(|| id.clone()),
                topics: topics.collect(),
                held: self.target_of(id),
            }
        });
        let subscribers: Vec<Subscriber> = subscribers.collect();
        self.target = assign(self.assignor(), &subscribers);
        self.target_epoch = self.epoch;
        self.target_since_wall_ms = now.wall_ms;
    }

    /// Brings a member a step nearer to its target.
    pub(super) fn reconcile(&mut self, id: &str, owned: Option<&Partitions>, now: Now) {
        let Some(member) = self.members.get(id) else { return };
        let has_given_up = |pending: &Partitions| {
            // It says what it owns only when that changes.
            owned.is_some_and(|owned| owned.is_disjoint(pending))
        };
        match member.state {
            MemberState::Stable if member.epoch == self.target_epoch => {}
            MemberState::Stable => self.step(id, member.epoch, owned, now),
            MemberState::Unrevoked if has_given_up(&member.pending_revocation) => {
                self.step(id, self.target_epoch, owned, now);
            }
            MemberState::Unrevoked => {}
            MemberState::Unreleased => self.step(id, self.target_epoch, owned, now),
        }
    }

    fn step(&mut self, id: &str, epoch_while_revoking: i32, owned: Option<&Partitions>, now: Now) {
        let target = self.target_of(id);
        let held = self.held_by_others(id);
        let target_epoch = self.target_epoch;
        let Some(member) = self.members.get_mut(id) else { return };
        let kept: Partitions = member.assigned.intersection(&target).copied().collect();
        let too_much: Partitions = member.assigned.difference(&target).copied().collect();
        let must_give_up =
            !too_much.is_empty() && owned.is_none_or(|owned| !owned.is_disjoint(&too_much));
        member.previous_epoch = member.epoch;
        if must_give_up {
            member.epoch = epoch_while_revoking;
            member.state = MemberState::Unrevoked;
            member.assigned = kept;
            member.pending_revocation = too_much;
            let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
            member.revocation_deadline_ms = Some(now.elapsed_ms + timeout_ms);
            return;
        }
        let is_unreleased = target.difference(&kept).any(|partition| held.contains(partition));
        let free = target.into_iter().filter(|partition| !held.contains(partition));
        member.assigned = kept.into_iter().chain(free).collect();
        member.pending_revocation.clear();
        member.revocation_deadline_ms = None;
        member.epoch = target_epoch;
        member.state = match is_unreleased {
            true => MemberState::Unreleased,
            false => MemberState::Stable,
        };
    }

    fn held_by_others(&self, id: &str) -> Partitions {
        let others = self.members.iter().filter(|(other, _)| *other != id);
        let held = others.flat_map(|(_, member)| {
            // Who has left for a while reads nothing, but keeps its place.
            debug_assert!(
                member.epoch != LEAVES_FOR_A_WHILE || member.pending_revocation.is_empty()
            );
            member.assigned.iter().chain(&member.pending_revocation)
        });
        held.copied().collect()
    }
}

/// The partitions of a topic.
pub(super) fn partitions_of((topic, count): (Uuid, i32)) -> impl Iterator<Item = (Uuid, i32)> {
    (0..count).map(move |index| (topic, index))
}
