//! The state topic kept small: what entries told of a mirror is written down as blocks of its map,
//! and entries, turns and blocks that these replace are forgotten. Pure.
//!
//! Only what a turn begins with is sealed. Everything below that was read from the mirror, so no
//! entry has to tell whether a batch landed; what the mirror lost since is told by later turns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::OffsetMap;
use super::history::Author;
use crate::state::{BlockPlace, Claim, Fact, MirrorFacts, MirrorId, Sealed, StateKey, StateValue};

/// A block of the state topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    key: BlockPlace,
    source_start: i64,
    target_end: i64,
    stretches: usize,
}

/// What the state topic holds of one mirror.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenDown {
    start: Option<Fact>,
    /// Entries, and where their batches end in the mirror.
    entries: BTreeMap<(i64, Claim), i64>,
    turns: BTreeSet<(u32, Claim)>,
    blocks: BTreeSet<BlockPlace>,
    /// The blocks that count, in order, without gaps from the beginning of the map.
    kept: Vec<Kept>,
}

/// What to write, and what to forget once that is safe.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub(crate) writes: Vec<(StateKey, StateValue)>,
    pub(crate) forget: Vec<StateKey>,
    start: Option<Fact>,
    kept: Vec<Kept>,
}

impl Kept {
    fn new(key: BlockPlace, sealed: &Sealed) -> Self {
        let block = &sealed.block;
        let (source_start, target_end) = (block.source().start, block.target().end);
        Self { key, source_start, target_end, stretches: block.len() }
    }
}

impl WrittenDown {
    /// By everything that was written down.
    pub(super) fn new(facts: &MirrorFacts) -> Self {
        let mut written = Self { start: facts.start, ..Self::default() };
        written.learn(facts);
        let mut kept: Vec<(&Arc<Sealed>, Kept)> = Vec::new();
        for (key, sealed) in facts.sealed_in_order() {
            let target = sealed.target();
            while kept.last().is_some_and(|(last, _)| last.target().start >= target.start) {
                kept.pop();
            }
            kept.push((sealed, Kept::new(*key, sealed)));
        }
        let cut = |sealed: &Sealed| {
            let later = facts.turns.values().filter(|begun| begun.turn >= sealed.turn);
            later.map(|begun| begun.target_offset).any(|begun| begun < sealed.target().end)
        };
        let mut next = facts.start.map(|start| start.target_offset);
        for (sealed, one) in kept {
            if next != Some(sealed.target().start) || cut(sealed) {
                break;
            }
            next = Some(one.target_end);
            written.kept.push(one);
        }
        written
    }

    /// Takes in what the journal in memory has.
    pub(super) fn learn(&mut self, facts: &MirrorFacts) {
        let entries = facts.entries.iter();
        self.entries.extend(entries.map(|(key, entry)| (*key, key.0 + entry.record_count())));
        self.turns.extend(facts.turns.keys());
        self.blocks.extend(facts.sealed.keys());
    }

    /// A batch was written ahead, and landed.
    pub(super) fn entry(&mut self, key: (i64, Claim), target_end: i64) {
        self.entries.insert(key, target_end);
    }

    /// The mirror ends there.
    pub(super) fn truncate(&mut self, target_end: i64) {
        while self.kept.last().is_some_and(|last| last.target_end > target_end) {
            self.kept.pop();
        }
    }

    /// Records that may be replaced.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.turns.len()
    }

    /// See `LiveMap::seal`.
    pub(super) fn seal(
        &self,
        map: &OffsetMap,
        mirror: &MirrorId,
        author: Author,
        records_min: usize,
    ) -> Option<Seal> {
        if self.len() < records_min {
            return None;
        }
        let (turn, claim) = author;
        let begin = map.begin().1;
        let mut kept: Vec<Kept> =
            self.kept.iter().filter(|one| one.target_end > begin).copied().collect();
        // The last one is written again if it has room, or if this turn would write none: who
        // vouches for the others must have written something.
        let end = map.end().1;
        let has_room = |last: &Kept| last.stretches < map.bounds.block_max;
        if kept.last().is_some_and(|last| has_room(last) || last.target_end == end) {
            kept.pop();
        }
        let from = kept.last().map_or(begin, |last| last.target_end);
        let pieces = map.pieces(from, turn)?;
        let first = match kept.first() {
            Some(first) => (first.source_start, first.key.0, -1),
            None => (map.begin().0, begin, map.epoch_before(begin)),
        };
        let (source_offset, target_offset, source_leader_epoch) = first;
        let start = self.start.filter(|start| start.target_offset < target_offset);
        let start =
            start.map(|_| Fact { target_offset, source_offset, source_leader_epoch, turn: 0 });
        let mut writes = Vec::new();
        if let Some(start) = start {
            writes.push((StateKey::Start(mirror.clone()), StateValue::Fact(start)));
        }
        for piece in pieces {
            let key = (piece.target().start, turn, claim);
            kept.push(Kept::new(key, &piece));
            writes.push((block_key(mirror, key), StateValue::Sealed(Arc::new(piece))));
        }
        let forget = self.obsolete(mirror, turn, end, &kept);
        Some(Seal { writes, forget, start: start.or(self.start), kept })
    }

    /// What nobody needs who has the blocks.
    fn obsolete(&self, mirror: &MirrorId, turn: u32, end: i64, kept: &[Kept]) -> Vec<StateKey> {
        let mirror = || mirror.clone();
        let entries = self.entries.iter().filter(|(_, target_end)| **target_end <= end);
        let entries = entries.map(|(&(target_offset, claim), _)| StateKey::Entry {
            mirror: mirror(),
            target_offset,
            claim,
        });
        let turns = self.turns.iter().filter(|(number, _)| *number < turn);
        let turns = turns.map(|&(turn, claim)| StateKey::Turn { mirror: mirror(), turn, claim });
        let blocks = self.blocks.iter().filter(|key| kept.iter().all(|one| one.key != **key));
        let blocks = blocks.map(|key| block_key(&mirror(), *key));
        entries.chain(turns).chain(blocks).collect()
    }

    /// What was to be written is safe.
    pub(super) fn sealed(&mut self, seal: &Seal) {
        self.start = seal.start;
        self.kept.clone_from(&seal.kept);
        self.blocks.extend(seal.kept.iter().map(|one| one.key));
    }

    /// A record is no more.
    pub(super) fn forgotten(&mut self, key: &StateKey) {
        match key {
            StateKey::Entry { target_offset, claim, .. } => {
                self.entries.remove(&(*target_offset, *claim));
            }
            StateKey::Turn { turn, claim, .. } => {
                self.turns.remove(&(*turn, *claim));
            }
            StateKey::Block { target_offset, turn, claim, .. } => {
                self.blocks.remove(&(*target_offset, *turn, *claim));
            }
            _ => {}
        }
    }
}

fn block_key(mirror: &MirrorId, (target_offset, turn, claim): BlockPlace) -> StateKey {
    StateKey::Block { mirror: mirror.clone(), target_offset, turn, claim }
}
