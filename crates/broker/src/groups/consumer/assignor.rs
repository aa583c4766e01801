//! Who shall have which partitions: the assignors that Kafka's brokers have.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::Uuid;

use super::Partitions;
use super::reconcile::partitions_of;

/// A way of sharing out, in the order in which Kafka lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::groups) enum Assignor {
    /// As evenly as can be, moving as little as can be.
    Uniform,
    /// Of each topic neighbouring partitions, the same ones of topics with equally many.
    Range,
}

/// A member, to an assignor.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub(super) member_id: String,
    /// What members are ordered by.
    pub(super) rank: String,
    /// Topics that there are, and how many partitions they have.
    pub(super) topics: BTreeSet<(Uuid, i32)>,
    /// What it was to have before.
    pub(super) held: Partitions,
}

impl Assignor {
    /// Kafka's name.
    pub(in crate::groups) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The one of a name.
    pub(in crate::groups) fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }
}

/// What each member shall have, by member id.
pub(super) fn assign(
    assignor: Assignor,
    subscribers: &[Subscriber],
) -> BTreeMap<String, Partitions> {
    match assignor {
        Assignor::Uniform => uniform(subscribers),
        Assignor::Range => range(subscribers),
    }
}

fn range(subscribers: &[Subscriber]) -> BTreeMap<String, Partitions> {
    let mut assigned: BTreeMap<String, Partitions> =
        subscribers.iter().map(|one| (one.member_id.clone(), Partitions::new())).collect();
    let topics: BTreeSet<(Uuid, i32)> =
        subscribers.iter().flat_map(|one| one.topics.iter().copied()).collect();
    for (topic, count) in topics {
        let mut readers: Vec<&Subscriber> =
            subscribers.iter().filter(|one| one.topics.contains(&(topic, count))).collect();
        readers.sort_by(|one, other| one.rank.cmp(&other.rank));
        let readers_count = i32::try_from(readers.len()).unwrap_or(i32::MAX);
        let (each, extra) = (count / readers_count, count % readers_count);
        let mut next = 0;
        for (index, reader) in (0..).zip(readers) {
            let share = each + i32::from(index < extra);
            if let Some(partitions) = assigned.get_mut(&reader.member_id) {
                partitions.extend((next..next + share).map(|index| (topic, index)));
            }
            next += share;
        }
    }
    assigned
}

fn uniform(subscribers: &[Subscriber]) -> BTreeMap<String, Partitions> {
    let all: Partitions = subscribers
        .iter()
        .flat_map(|one| one.topics.iter().copied().flat_map(partitions_of))
        .collect();
    let share_max = all.len().div_ceil(subscribers.len().max(1));
    let wants = |one: &Subscriber, topic: Uuid| {
        // Of one topic there is one entry.
        one.topics.range((topic, i32::MIN)..=(topic, i32::MAX)).next().is_some()
    };
    let mut free = all.clone();
    let mut shares: Vec<Partitions> = Vec::with_capacity(subscribers.len());
    for one in subscribers {
        // Who reads fewer topics than others may keep more than an even share; what follows evens
        // out what it should not.
        let kept = one.held.iter().filter(|held| wants(one, held.0) && free.contains(held));
        let kept: Partitions = kept.copied().take(share_max).collect();
        free.retain(|partition| !kept.contains(partition));
        shares.push(kept);
    }
    for partition in free {
        let readers = (0..subscribers.len()).filter(|&at| wants(&subscribers[at], partition.0));
        let least = readers.min_by_key(|&at| (shares[at].len(), &subscribers[at].rank));
        if let Some(at) = least {
            shares[at].insert(partition);
        }
    }
    while let Some((from, to, partition)) = improvement(subscribers, &shares, wants) {
        shares[from].remove(&partition);
        shares[to].insert(partition);
    }
    let ids = subscribers.iter().map(|one| one.member_id.clone());
    ids.zip(shares).collect()
}

/// A move from one who has at least two more to one who could have it: each makes the shares more
/// even, so that there is an end.
fn improvement(
    subscribers: &[Subscriber],
    shares: &[Partitions],
    wants: impl Fn(&Subscriber, Uuid) -> bool,
) -> Option<(usize, usize, (Uuid, i32))> {
    let mut by_size: Vec<usize> = (0..shares.len()).collect();
    by_size.sort_by_key(|&at| shares[at].len());
    for &to in &by_size {
        for &from in by_size.iter().rev() {
            if shares[from].len() < shares[to].len() + 2 {
                break;
            }
            let movable = shares[from].iter().rev().find(|one| wants(&subscribers[to], one.0));
            if let Some(&partition) = movable {
                return Some((from, to, partition));
            }
        }
    }
    None
}
