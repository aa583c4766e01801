//! The offset maps of a link's mirrors while this instance mirrors them.
//!
//! A map is made when a partition's position is read, from everything that was written down, and
//! grows with each acknowledged batch. Where a later reading finds what was acknowledged, and
//! perhaps what the turn itself had under way, the map goes on; else it is made anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::history::{Author, walk};
use super::seal::{Seal, WrittenDown};
use super::{MapError, MappedRun, OffsetMap, Translated, offset_map};
use crate::limits::ENTRIES_KEPT_MAX;
use crate::position::Position;
use crate::state::{Entry, Fact, Journal, MirrorFacts, MirrorId, Run, StateKey};

/// The maps of a link's mirrors while this instance mirrors them.
#[derive(Clone, Debug)]
pub(crate) struct LiveMaps {
    shared: Arc<Shared>,
}

/// The map of one mirror, for the partition that feeds it.
#[derive(Clone, Debug)]
pub(crate) struct LiveMap {
    live: Arc<Mutex<Live>>,
    shared: Arc<Shared>,
}

/// A translated position, and how far the mirror is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Where to resume.
    pub(crate) resume: Translated,
    /// Everything below this source offset is mirrored, or needs no mirroring: control records and
    /// aborted data.
    pub(crate) mirrored_source_offset: i64,
}

#[derive(Debug)]
struct Shared {
    mirrors: Mutex<Mirrors>,
    /// Number of changes so far.
    moves: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Mirrors {
    live: HashMap<MirrorId, Arc<Mutex<Live>>>,
    /// What was read of mirrors that have no map yet, where the journal keeps only part of it.
    read: HashMap<MirrorId, MirrorFacts>,
}

#[derive(Debug)]
struct Live {
    map: OffsetMap,
    mirrored_source_offset: i64,
    /// Whose batches are acknowledged since the position was read last.
    author: Author,
    written: WrittenDown,
}

impl LiveMaps {
    pub(crate) fn new() -> Self {
        let mirrors = Mutex::new(Mirrors::default());
        Self { shared: Arc::new(Shared { mirrors, moves: watch::Sender::new(0) }) }
    }

    /// Where the mirror has the first record at or after a source position. `None` until the
    /// mirror's position was read in this session.
    pub(crate) fn to_target(&self, mirror: &MirrorId, source_position: i64) -> Option<Mapped> {
        self.ask(mirror, |map| map.to_target(source_position))
    }

    /// Where the source has the record at a position of the mirror. `None` until the mirror's
    /// position was read in this session.
    pub(crate) fn to_source(&self, mirror: &MirrorId, target_position: i64) -> Option<Mapped> {
        self.ask(mirror, |map| map.to_source(target_position))
    }

    /// A receiver that is marked changed whenever any mirror has moved.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.shared.moves.subscribe()
    }

    fn ask(&self, mirror: &MirrorId, ask: impl FnOnce(&OffsetMap) -> Translated) -> Option<Mapped> {
        let live = self.shared.mirrors().live.get(mirror).cloned()?;
        let live = lock(&live);
        let mirrored_source_offset = live.mirrored_source_offset;
        Some(Mapped { resume: ask(&live.map), mirrored_source_offset })
    }

    /// Keeps what was read of mirrors that have no map yet, where nobody else does.
    pub(crate) fn remember(&self, read: Journal) {
        let mut mirrors = self.shared.mirrors();
        let long = read.into_long(ENTRIES_KEPT_MAX);
        let new = long.into_iter().filter(|(mirror, _)| !mirrors.live.contains_key(mirror));
        mirrors.read = new.collect();
    }

    /// What was read of a mirror, once.
    pub(crate) fn recall(&self, mirror: &MirrorId) -> Option<MirrorFacts> {
        self.shared.mirrors().read.remove(mirror)
    }

    /// Forgets all mirrors but these.
    pub(crate) fn keep_only<'a>(&self, wanted: impl Iterator<Item = &'a MirrorId>) {
        let wanted: HashSet<&MirrorId> = wanted.collect();
        let mut mirrors = self.shared.mirrors();
        mirrors.live.retain(|mirror, _| wanted.contains(mirror));
        mirrors.read.retain(|mirror, _| wanted.contains(mirror));
    }

    /// Begins a turn at a position that the map of the turn before explains: where that one's
    /// acknowledged batches end, or with more of those that it wrote ahead, or with less because
    /// the mirror lost its tail. `None` where it does not, or there is none yet.
    pub(crate) fn go_on(
        &self,
        mirror: &MirrorId,
        facts: &MirrorFacts,
        position: Position,
        author: Author,
    ) -> Option<LiveMap> {
        let known = self.shared.mirrors().live.get(mirror).cloned()?;
        {
            let mut live = lock(&known);
            if !live.go_on(facts, position) {
                return None;
            }
            live.author = author;
            live.written.learn(facts);
            live.written.truncate(position.target_offset);
        }
        self.shared.moved();
        Some(LiveMap { live: known, shared: Arc::clone(&self.shared) })
    }

    /// Begins a turn at a position that was read, with a map of everything before it.
    ///
    /// # Errors
    /// When what was written down is not enough.
    pub(crate) fn begin(
        &self,
        mirror: &MirrorId,
        facts: &MirrorFacts,
        position: Position,
        author: Author,
    ) -> Result<LiveMap, MapError> {
        let map = offset_map(facts, position.target_offset)?;
        let mirrored_source_offset = position.source_offset;
        let written = WrittenDown::new(facts);
        let live = Live { map, mirrored_source_offset, author, written };
        let live = Arc::new(Mutex::new(live));
        self.shared.mirrors().live.insert(mirror.clone(), Arc::clone(&live));
        self.shared.moved();
        Ok(LiveMap { live, shared: Arc::clone(&self.shared) })
    }
}

impl LiveMap {
    /// A batch was acknowledged. `runs` are the source offsets of its records; `None` if they
    /// simply continue those before.
    pub(crate) fn landed(
        &self,
        target_offset: i64,
        record_count: i64,
        runs: Option<&[Run]>,
        epoch: i32,
    ) {
        lock(&self.live).landed(target_offset, record_count, runs, epoch);
        self.shared.moved();
    }

    /// How the records that were written down ahead of what is mirrored by now can be replaced by
    /// fewer, if there are `records_min` of them. To be asked when a turn has begun.
    pub(crate) fn seal(&self, mirror: &MirrorId, records_min: usize) -> Option<Seal> {
        let live = lock(&self.live);
        live.written.seal(&live.map, mirror, live.author, records_min)
    }

    /// That was written.
    pub(crate) fn sealed(&self, seal: &Seal) {
        lock(&self.live).written.sealed(seal);
    }

    /// How many records were written down since something was sealed last.
    pub(crate) fn written(&self) -> usize {
        lock(&self.live).written.len()
    }

    /// A record of the state topic is no more.
    pub(crate) fn forgotten(&self, key: &StateKey) {
        lock(&self.live).written.forgotten(key);
    }

    /// Both sides begin there by now: what neither has any more needs no map.
    pub(crate) fn drop_below(&self, source_start: i64, target_start: i64) {
        lock(&self.live).map.drop_below(source_start, target_start);
    }

    /// Everything below a source offset is mirrored, or needs no mirroring.
    pub(crate) fn all_mirrored(&self, source_offset: i64) {
        {
            let mut live = lock(&self.live);
            if live.mirrored_source_offset == source_offset {
                return;
            }
            live.mirrored_source_offset = source_offset;
        }
        self.shared.moved();
    }
}

impl Live {
    fn landed(&mut self, target_offset: i64, record_count: i64, runs: Option<&[Run]>, epoch: i32) {
        if runs.is_some() {
            let key = (target_offset, self.author.1);
            self.written.entry(key, target_offset + record_count);
            self.map.set_epoch(target_offset, epoch);
        }
        let mut next = MappedRun { source_offset: self.map.end.0, target_offset, record_count };
        match runs {
            None => self.map.push(next),
            Some(runs) => {
                for run in runs {
                    next.source_offset = run.source_offset;
                    next.record_count = run.record_count;
                    self.map.push(next);
                    next.target_offset += run.record_count;
                }
            }
        }
        self.mirrored_source_offset = self.map.end.0;
    }

    /// Whether the map holds, after it was brought to the position.
    fn go_on(&mut self, facts: &MirrorFacts, position: Position) -> bool {
        let (source_end, target_end) = self.map.end;
        let Position { source_offset, target_offset, .. } = position;
        if target_offset > target_end {
            if facts.entries_from > target_end {
                return false;
            }
            let begun = Fact {
                target_offset: target_end,
                source_offset: source_end,
                source_leader_epoch: self.map.epoch_before(target_end),
                turn: self.author.0,
            };
            let own = facts.entries.range((target_end, self.author.1)..);
            let own = own.filter(|((_, claim), entry)| (entry.turn, *claim) == self.author);
            let ahead: Vec<(i64, &Entry)> = own.map(|((at, _), entry)| (*at, entry)).collect();
            let walked = walk(&begun, &ahead, target_offset);
            if walked.end() != (source_offset, position.source_leader_epoch) {
                return false;
            }
            walked.add_to(&mut self.map, target_end);
        } else {
            if self.map.source_behind(target_offset) != Some(source_offset) {
                return false;
            }
            if target_offset < target_end {
                self.map.truncate(source_offset, target_offset);
            }
        }
        let is_where_it_was = (source_end, target_end) == (source_offset, target_offset);
        if !is_where_it_was || self.mirrored_source_offset < source_offset {
            self.mirrored_source_offset = source_offset;
        }
        true
    }
}

impl Shared {
    fn mirrors(&self) -> MutexGuard<'_, Mirrors> {
        self.mirrors.lock().expect("no holder of this lock panics")
    }

    fn moved(&self) {
        self.moves.send_modify(|moves| *moves = moves.wrapping_add(1));
    }
}

fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().expect("no holder of this lock panics")
}

#[cfg(test)]
mod tests;
