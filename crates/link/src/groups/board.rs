//! What is to be committed at the target, for which group, and when. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use farlog_client::TopicPartition;
use farlog_wire::primitives::Uuid;
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use super::commits::Change;
use super::selection::Rewinds;
use crate::limits::{FOLLOWED_OFFSETS_MAX, GROUP_HOLD, GROUP_RETRY, GROUPS_WOKEN_MAX};
use crate::offsets::Mapped;

/// The name of a group.
pub(crate) type GroupId = Arc<str>;

/// What a group has committed at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) source_offset: i64,
    pub(crate) metadata: String,
    /// All zeros if it is not known.
    pub(crate) source_topic_id: Uuid,
    /// When it was seen.
    pub(crate) seen_at: Instant,
    at: i64,
}

/// What is known of a mirror partition, for an offset at its source.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) source_topic_id: Uuid,
    /// `None` while its position is being read.
    pub(crate) mapped: Option<Mapped>,
    /// What was committed for the group there.
    pub(crate) last: Option<Checkpoint>,
}

/// An offset to commit at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// At the source.
    pub(crate) partition: TopicPartition,
    pub(crate) source_offset: i64,
    pub(crate) target_offset: i64,
    pub(crate) metadata: String,
    /// When the group committed it.
    pub(crate) seen_at: Instant,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Residents {
    /// Of both clusters.
    pub(crate) lives_in_both: bool,
    /// The members that are known, in words.
    pub(crate) who: String,
}

/// What became of an attempt to write a group's offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// These were committed; those had offsets there that are not Farlog's.
    Written { committed: Vec<Due>, foreign: Vec<(TopicPartition, i64)> },
    /// The group has members at the target.
    LivesThere(Residents),
    /// It could not be done now, and why.
    Failed(String),
}

/// Where a change was written that nobody read, but the coordinator told.
pub(crate) const ASKED: i64 = i64::MIN;

impl Wanted {
    fn is_same(&self, other: &Self) -> bool {
        self.source_offset == other.source_offset
            && self.metadata == other.metadata
            && self.source_topic_id == other.source_topic_id
    }
}

/// One partition of a group.
#[derive(Debug)]
struct Place {
    wanted: Wanted,
    /// What is committed at the target by somebody else, and when to look again.
    foreign: Option<(i64, Instant)>,
    /// What was committed by this instance last: when, and with which metadata.
    written: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
struct Group {
    places: BTreeMap<TopicPartition, Place>,
    /// Its offsets are being written.
    busy: bool,
    queued: bool,
    waiting: bool,
    timer: Option<Instant>,
    /// Nothing is tried before.
    not_before: Option<Instant>,
    residents: Option<Residents>,
    failed: Option<String>,
}

/// All groups that follow.
#[derive(Debug)]
pub(crate) struct Board {
    rewinds: Rewinds,
    /// After so long an offset is committed again, so that the target does not forget it.
    refresh: Duration,
    groups: HashMap<GroupId, Group>,
    offsets_total: usize,
    left_out: usize,
    queue: VecDeque<GroupId>,
    waiting: VecDeque<GroupId>,
    timers: BTreeSet<(Instant, GroupId)>,
}

/// What is to be done about one partition.
enum Verdict {
    Nothing,
    Commit(i64),
    /// For the mirror, and no longer than until then.
    Wait(Option<Instant>),
}

// === impl Board ===

impl Board {
    pub(crate) fn new(rewinds: Rewinds, refresh: Duration) -> Self {
        Self {
            rewinds,
            refresh,
            groups: HashMap::new(),
            offsets_total: 0,
            left_out: 0,
            queue: VecDeque::new(),
            waiting: VecDeque::new(),
            timers: BTreeSet::new(),
        }
    }

    pub(crate) fn knows(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Takes in what a group has committed, or has no more: then nothing is committed for it any
    /// longer, and what was stays, since an offset that expired says nothing.
    pub(crate) fn take(&mut self, change: Change, now: Instant) {
        let Change { key, value, at } = change;
        let partition = TopicPartition::new(key.topic, key.partition);
        let Some(value) = value else {
            self.forget(&key.group, &partition, at);
            return;
        };
        if !self.groups.contains_key(key.group.as_str()) {
            self.groups.insert(key.group.as_str().into(), Group::default());
        }
        let Some((id, _)) = self.groups.get_key_value(key.group.as_str()) else { return };
        let id = Arc::clone(id);
        let Some(group) = self.groups.get_mut(&id) else { return };
        let wanted = Wanted {
            source_offset: value.offset,
            metadata: value.metadata,
            source_topic_id: value.topic_id,
            seen_at: now,
            at,
        };
        match group.places.get_mut(&partition) {
            // A transaction was decided after something else was committed.
            Some(place) if place.wanted.at > at && at != ASKED => return,
            Some(place) if place.wanted.is_same(&wanted) => return,
            Some(place) => {
                let at = place.wanted.at.max(at);
                place.wanted = Wanted { at, ..wanted };
            }
            None if self.offsets_total >= FOLLOWED_OFFSETS_MAX => {
                self.left_out += 1;
                return;
            }
            None => {
                self.offsets_total += 1;
                group.places.insert(partition, Place { wanted, foreign: None, written: None });
            }
        }
        self.enqueue(&id);
    }

    fn forget(&mut self, id: &str, partition: &TopicPartition, at: i64) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let is_older = |place: &Place| place.wanted.at <= at || at == ASKED;
        if group.places.get(partition).is_some_and(is_older) {
            group.places.remove(partition);
            self.offsets_total -= 1;
            if group.places.is_empty() && !group.busy {
                self.groups.remove(id);
            }
        }
    }

    fn enqueue(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.get_mut(id)
            && !group.queued
        {
            group.queued = true;
            self.queue.push_back(Arc::clone(id));
        }
    }

    /// Has every group looked at, as when the mirrors are others.
    pub(crate) fn wake_all(&mut self) {
        let all: Vec<GroupId> = self.groups.keys().cloned().collect();
        all.iter().for_each(|id| self.enqueue(id));
    }

    /// Has groups looked at that wait for the mirror, some at a time; whether that were all.
    pub(crate) fn wake_waiting(&mut self) -> bool {
        for _ in 0..GROUPS_WOKEN_MAX {
            let Some(id) = self.waiting.pop_front() else { return true };
            if let Some(group) = self.groups.get_mut(&id) {
                group.waiting = false;
            }
            self.enqueue(&id);
        }
        self.waiting.is_empty()
    }

    /// When the next group is due that waits for a time.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Has groups looked at whose time has come.
    pub(crate) fn wake_timers(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.first().cloned()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(group) = self.groups.get_mut(&id) {
                group.timer = None;
            }
            self.enqueue(&id);
        }
    }

    fn set_timer(&mut self, id: &GroupId, at: Instant) {
        let Some(group) = self.groups.get_mut(id) else { return };
        match group.timer {
            Some(set) if set <= at => return,
            Some(set) => {
                self.timers.remove(&(set, Arc::clone(id)));
            }
            None => {}
        }
        group.timer = Some(at);
        self.timers.insert((at, Arc::clone(id)));
    }

    /// The next group that something is to be written for; it is busy until
    /// [`finished`](Self::finished).
    pub(crate) fn next(
        &mut self,
        now: Instant,
        look: impl Fn(&GroupId, &TopicPartition, i64) -> Option<Look>,
    ) -> Option<(GroupId, Vec<Due>)> {
        while let Some(id) = self.queue.pop_front() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.queued = false;
            if group.busy {
                // It is looked at when that has ended.
                continue;
            }
            if let Some(until) = group.not_before.filter(|until| *until > now) {
                self.set_timer(&id, until);
                continue;
            }
            let due = self.look_at(&id, now, &look);
            if !due.is_empty() {
                if let Some(group) = self.groups.get_mut(&id) {
                    group.busy = true;
                }
                return Some((id, due));
            }
        }
        None
    }

    fn look_at(
        &mut self,
        id: &GroupId,
        now: Instant,
        look: impl Fn(&GroupId, &TopicPartition, i64) -> Option<Look>,
    ) -> Vec<Due> {
        let Some(group) = self.groups.get(id) else { return Vec::new() };
        let refresh = self.refresh + jitter(id, self.refresh);
        let (mut due, mut waits, mut until) = (Vec::new(), false, None::<Instant>);
        for (partition, place) in &group.places {
            let wanted = &place.wanted;
            let Some(look) = look(id, partition, wanted.source_offset) else { continue };
            match judge(place, &look, now, self.rewinds, refresh) {
                Verdict::Nothing => {
                    let again = place.written.as_ref().map(|(at, _)| *at + refresh);
                    until = earliest(until, again);
                }
                Verdict::Commit(target_offset) => due.push(Due {
                    partition: partition.clone(),
                    source_offset: wanted.source_offset,
                    target_offset,
                    metadata: wanted.metadata.clone(),
                    seen_at: wanted.seen_at,
                }),
                Verdict::Wait(at) => {
                    waits = true;
                    until = earliest(until, at);
                }
            }
        }
        if let Some(at) = until {
            self.set_timer(id, at);
        }
        if waits {
            self.wait(id);
        }
        due
    }

    fn wait(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.get_mut(id)
            && !group.waiting
        {
            group.waiting = true;
            self.waiting.push_back(Arc::clone(id));
        }
    }

    /// What became of what [`next`](Self::next) gave out.
    pub(crate) fn finished(&mut self, id: &GroupId, outcome: Outcome, now: Instant) {
        let Some(group) = self.groups.get_mut(id) else { return };
        group.busy = false;
        group.residents = None;
        group.failed = None;
        group.not_before = None;
        match outcome {
            Outcome::Written { committed, foreign } => {
                for due in committed {
                    if let Some(place) = group.places.get_mut(&due.partition) {
                        place.written = Some((now, due.metadata));
                        place.foreign = None;
                    }
                }
                for (partition, offset) in foreign {
                    if let Some(place) = group.places.get_mut(&partition) {
                        place.foreign = Some((offset, now + GROUP_RETRY));
                    }
                }
            }
            Outcome::LivesThere(residents) => {
                group.residents = Some(residents);
                group.not_before = Some(now + GROUP_RETRY);
            }
            Outcome::Failed(why) => {
                group.failed = Some(why);
                group.not_before = Some(now + GROUP_RETRY);
            }
        }
        self.enqueue(id);
    }

    /// Whether an attempt for a group ended as the one before it did.
    pub(crate) fn is_known(&self, id: &GroupId, outcome: &Outcome) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        match outcome {
            Outcome::Written { .. } => false,
            Outcome::LivesThere(residents) => group.residents.as_ref() == Some(residents),
            Outcome::Failed(why) => group.failed.as_ref() == Some(why),
        }
    }

    /// Groups, and offsets of them.
    pub(crate) fn totals(&self) -> (usize, usize) {
        (self.groups.len(), self.offsets_total)
    }

    /// Offsets that were left out because there are too many.
    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Groups that wait for the mirror.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Groups that have members at the target.
    pub(crate) fn living_there(&self) -> impl Iterator<Item = (&GroupId, &Residents)> {
        self.groups.iter().filter_map(|(id, group)| Some((id, group.residents.as_ref()?)))
    }

    /// Offsets at the target that are not Farlog's.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (&GroupId, &TopicPartition, i64)> {
        self.groups.iter().flat_map(|(id, group)| {
            group.places.iter().filter_map(move |(partition, place)| {
                place.foreign.map(|(offset, _)| (id, partition, offset))
            })
        })
    }

    /// Groups that could not be written, and why.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&GroupId, &str)> {
        self.groups.iter().filter_map(|(id, group)| Some((id, group.failed.as_deref()?)))
    }
}

/// What is to be done about a partition of a group.
fn judge(place: &Place, look: &Look, now: Instant, rewinds: Rewinds, refresh: Duration) -> Verdict {
    let wanted = &place.wanted;
    let unknown = wanted.source_topic_id.is_zero() || look.source_topic_id.is_zero();
    if !unknown && wanted.source_topic_id != look.source_topic_id {
        // Of a topic that had the name before.
        return Verdict::Nothing;
    }
    if let Some((_, until)) = place.foreign
        && until > now
    {
        return Verdict::Wait(Some(until));
    }
    let Some(mapped) = &look.mapped else { return Verdict::Wait(None) };
    let ahead = wanted.source_offset > mapped.mirrored_source_offset;
    let hold_until = hold_until(place);
    if ahead && now < hold_until {
        return Verdict::Wait(Some(hold_until));
    }
    let target_offset = mapped.resume.offset;
    let rest = if ahead { Verdict::Wait(None) } else { Verdict::Nothing };
    let Some(last) = &look.last else { return Verdict::Commit(target_offset) };
    if target_offset < last.target_offset
        && wanted.source_offset < last.source_offset
        && rewinds == Rewinds::Ignore
    {
        return rest;
    }
    let is_new = match &place.written {
        Some((at, metadata)) => *metadata != wanted.metadata || now >= *at + refresh,
        // By an instance before this one, nobody knows when.
        None => true,
    };
    if is_new || target_offset != last.target_offset {
        return Verdict::Commit(target_offset);
    }
    rest
}

/// Until when an offset that the mirror has not reached waits: a while after it was committed, and
/// no more often than that while the mirror comes nearer.
fn hold_until(place: &Place) -> Instant {
    let since = place.written.as_ref().map(|(at, _)| *at);
    since.map_or(place.wanted.seen_at, |at| at.max(place.wanted.seen_at)) + GROUP_HOLD
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Up to a tenth of the interval, the same for a group each time: so that not all are due at once.
fn jitter(group: &str, interval: Duration) -> Duration {
    let hash = group
        .bytes()
        .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
    interval / 10 * (hash % 1024) / 1024
}

#[cfg(test)]
mod tests;
