//! Random histories of a compacted source, a compacted mirror and instances that die: the position
//! read is always the true one.

use proptest::prelude::*;

use super::{Candidate, claim, resume_compacted};
use crate::offsets::{LiveMap, LiveMaps};
use crate::position::{Position, candidates};
use crate::state::{Entry, Fact, Journal, MirrorFacts, MirrorId, Run, StateKey, StateValue};
use farlog_wire::primitives::Uuid;
use farlog_wire::records::BatchHeader;

/// Entries and turns from which on they are replaced here.
const SEALED_MIN: usize = 6;

/// Entries and turns that an instance keeps in memory here.
const KEPT_MAX: usize = 5;

/// Small numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// A batch of the mirror, or on its way to it.
#[derive(Clone, Debug)]
struct Batch {
    base_offset: i64,
    /// Source offset and leader epoch of each record.
    content: Vec<(i64, i32)>,
    crc: u32,
    /// Records that the cleaner has left.
    left: usize,
}

impl Batch {
    fn end(&self) -> i64 {
        self.base_offset + self.content.len() as i64
    }

    fn header(&self) -> BatchHeader {
        BatchHeader {
            base_offset: self.base_offset,
            last_offset_delta: self.content.len() as i32 - 1,
            record_count: self.left as i32,
            // The cleaner makes another batch of it.
            crc: if self.left < self.content.len() { !self.crc } else { self.crc },
            ..BatchHeader::default()
        }
    }
}

pub(crate) struct World {
    random: Random,
    /// Leader epoch of each source record; `None` once the cleaner has removed it.
    source: Vec<Option<i32>>,
    epoch: i32,
    mirror: Vec<Batch>,
    log_end: i64,
    /// Source offset of each record that was ever mirrored.
    content: Vec<i64>,
    /// Their source leader epochs.
    epochs: Vec<i32>,
    /// Source offset behind the last record mirrored, and its epoch.
    truth: (i64, i32),
    /// The state topic.
    journal: Journal,
    /// What an instance remembers of it.
    kept: Journal,
    /// Positions that only the whole topic told.
    whole_reads: u32,
    seals: u32,
    /// A request of an instance that died.
    late: Option<Batch>,
    crc: u32,
    live: LiveMaps,
    /// The map that the running turn feeds.
    map: Option<LiveMap>,
}

/// How one turn ended.
#[derive(PartialEq, Eq)]
enum Ended {
    Died,
    /// The mirror was not where it was believed to be.
    Doubt,
}

fn id() -> MirrorId {
    MirrorId {
        link: "l".to_owned(),
        source_topic_id: Uuid([1; 16]),
        target_topic_id: Uuid([2; 16]),
        partition: 0,
    }
}

fn runs_of(content: &[(i64, i32)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for &(offset, _) in content {
        match runs.last_mut() {
            Some(run) if run.source_offset + run.record_count == offset => run.record_count += 1,
            _ => runs.push(Run { source_offset: offset, record_count: 1 }),
        }
    }
    runs
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let start = Fact { target_offset: 0, source_offset: 0, source_leader_epoch: -1, turn: 0 };
        let mut world = Self {
            random: Random(seed | 1),
            source: Vec::new(),
            epoch: 0,
            mirror: Vec::new(),
            log_end: 0,
            content: Vec::new(),
            epochs: Vec::new(),
            truth: (0, -1),
            journal: Journal::new(usize::MAX),
            kept: Journal::new(KEPT_MAX),
            whole_reads: 0,
            seals: 0,
            late: None,
            crc: 0,
            live: LiveMaps::new(),
            map: None,
        };
        world.write(StateKey::Start(id()), StateValue::Fact(start));
        world
    }

    fn write(&mut self, key: StateKey, value: StateValue) {
        self.kept.set(key.clone(), Some(value.clone()));
        self.journal.set(key, Some(value));
    }

    /// The mirror's leader failed, and the new one has less. Who leads no longer takes nothing.
    fn lose_tail(&mut self) {
        self.late = None;
        for _ in 0..=self.random.below(6) {
            let Some(lost) = self.mirror.pop() else { break };
            self.log_end = lost.base_offset;
        }
        self.content.truncate(self.log_end as usize);
        self.epochs.truncate(self.log_end as usize);
        let last = self.content.last().zip(self.epochs.last());
        self.truth = last.map_or((0, -1), |(&offset, &epoch)| (offset + 1, epoch));
    }

    /// The source grows, changes its leader, is compacted; so is the mirror, but for its last
    /// batch, which is in the segment that no cleaner touches.
    fn life_goes_on(&mut self) {
        self.epoch += i32::from(self.random.one_in(4));
        for _ in 0..self.random.below(40) {
            self.source.push(Some(self.epoch));
        }
        let share = 1 + self.random.below(6);
        if self.random.one_in(2) {
            let closed = self.source.len().saturating_sub(5);
            for record in &mut self.source[..closed] {
                if self.random.one_in(share) {
                    *record = None;
                }
            }
        }
        if self.random.one_in(2) {
            let closed = self.mirror.len().saturating_sub(1);
            for batch in &mut self.mirror[..closed] {
                let removed = self.random.below(2 + batch.content.len() as u64) as usize;
                batch.left = batch.left.saturating_sub(removed);
            }
            let mut index = 0;
            self.mirror.retain(|batch| {
                index += 1;
                batch.left > 0 || index > closed
            });
        }
    }

    fn land(&mut self, batch: Batch) {
        self.log_end = batch.end();
        self.content.extend(batch.content.iter().map(|(offset, _)| offset));
        self.epochs.extend(batch.content.iter().map(|(_, epoch)| epoch));
        let &(offset, epoch) = batch.content.last().unwrap();
        self.truth = (offset + 1, epoch);
        self.mirror.push(batch);
    }

    fn acknowledged(&self, batch: &Batch) {
        let runs = runs_of(&batch.content);
        let begun = self.map.as_ref().unwrap();
        let continues =
            runs.len() == 1 && (runs[0].source_offset, batch.content[0].1) == self.truth;
        begun.landed(
            batch.base_offset,
            batch.left as i64,
            (!continues).then_some(&*runs),
            batch.content[0].1,
        );
    }

    /// A request of a dead instance arrives, if the mirror is still where that one saw it.
    fn arrives_late(&mut self) -> bool {
        match self.late.take() {
            Some(batch) if batch.base_offset == self.log_end => {
                self.land(batch);
                true
            }
            _ => false,
        }
    }

    fn recover(&mut self) -> Position {
        let headers: Vec<BatchHeader> = self.mirror.iter().map(Batch::header).collect();
        let facts = self.facts();
        assert!(candidates(&facts, self.log_end).iter().any(|c| matches!(c, Candidate::Fact(_))));
        let kept = self.kept.facts(&id());
        match resume_compacted(&kept, self.log_end, &headers) {
            Some(position) => position,
            None => {
                self.whole_reads += 1;
                resume_compacted(&facts, self.log_end, &headers).unwrap()
            }
        }
    }

    /// The next batch from a position, and what is written ahead of it.
    fn assemble(&mut self, position: &mut Position) -> Option<(Batch, Option<Entry>)> {
        let from = usize::try_from(position.source_offset).unwrap().min(self.source.len());
        let mut records = (from..).zip(&self.source[from..]).filter_map(|(offset, record)| {
            record.map(|epoch| (i64::try_from(offset).unwrap(), epoch))
        });
        let first = records.next()?;
        let count = self.random.below(12) as usize;
        let same_epoch = records.take_while(|(_, epoch)| *epoch == first.1).take(count);
        let content: Vec<_> = std::iter::once(first).chain(same_epoch).collect();
        let runs = runs_of(&content);
        self.crc += 1;
        let entry =
            Entry { source_leader_epoch: first.1, crc: self.crc, runs: runs.clone(), turn: 0 };
        let continues = runs.len() == 1
            && first.0 == position.source_offset
            && first.1 == position.source_leader_epoch;
        let base_offset = position.target_offset;
        let batch = Batch { base_offset, left: content.len(), content, crc: self.crc };
        *position = Position {
            target_offset: batch.end(),
            source_offset: entry.source_offset_next(),
            source_leader_epoch: first.1,
        };
        Some((batch, (!continues).then_some(entry)))
    }

    /// Reads the position, which must be the true one, and writes down that a turn begins there.
    pub(crate) fn begin_turn(&mut self, generation: i32) -> Result<(Position, u32), TestCaseError> {
        let position = self.recover();
        prop_assert_eq!((position.source_offset, position.source_leader_epoch), self.truth);
        prop_assert_eq!(position.target_offset, self.log_end);
        let turn = self.facts().turn() + 1;
        let began = Fact {
            target_offset: position.target_offset,
            source_offset: position.source_offset,
            source_leader_epoch: position.source_leader_epoch,
            turn,
        };
        let key = StateKey::Turn { mirror: id(), turn, claim: claim(generation) };
        self.write(key, StateValue::Fact(began));
        let (facts, author) = (self.facts(), (turn, claim(generation)));
        // Some find the map of the turn before, as the next turn of the same instance does.
        if self.random.one_in(3) {
            self.live.keep_only(std::iter::empty());
        }
        let map = self.live.go_on(&id(), &facts, position, author);
        self.map = Some(match map {
            Some(map) => map,
            None => self.live.begin(&id(), &facts, position, author).unwrap(),
        });
        self.seal();
        Ok((position, turn))
    }

    /// What was written ahead is replaced by blocks, unless the instance dies over it.
    fn seal(&mut self) {
        let map = self.map.clone().unwrap();
        let Some(seal) = map.seal(&id(), SEALED_MIN) else { return };
        for (key, value) in seal.writes.clone() {
            if self.random.one_in(30) {
                return;
            }
            self.write(key, value);
        }
        map.sealed(&seal);
        self.seals += 1;
        for key in &seal.forget {
            if self.random.one_in(50) {
                return;
            }
            self.kept.set(key.clone(), None);
            self.journal.set(key.clone(), None);
            map.forgotten(key);
        }
    }

    /// One reading of the position and what is mirrored from there.
    fn turn(&mut self, generation: i32) -> Result<Ended, TestCaseError> {
        let (position, turn) = self.begin_turn(generation)?;
        if self.random.one_in(3) && self.arrives_late() {
            return Ok(Ended::Doubt);
        }
        let mut ahead = position;
        let mut ready = std::collections::VecDeque::new();
        for _ in 0..self.random.below(8) {
            while ready.len() < 3
                && let Some((batch, entry)) = self.assemble(&mut ahead)
            {
                if let Some(entry) = entry {
                    let (mirror, target_offset) = (id(), batch.base_offset);
                    let claim = claim(generation);
                    let key = StateKey::Entry { mirror, target_offset, claim };
                    self.write(key, StateValue::Entry(Entry { turn, ..entry }));
                }
                ready.push_back(batch);
            }
            let Some(batch) = ready.pop_front() else { break };
            if self.random.one_in(6) {
                self.late = Some(batch);
                return Ok(Ended::Died);
            }
            self.acknowledged(&batch);
            self.land(batch);
            if self.random.one_in(3) {
                self.life_goes_on();
            }
        }
        Ok(Ended::Died)
    }

    /// So many instances, one after the other.
    pub(crate) fn live(&mut self, instances: i32) -> Result<(), TestCaseError> {
        for generation in 0..instances {
            self.life_goes_on();
            while self.turn(generation)? == Ended::Doubt {
                self.life_goes_on();
            }
            if self.random.one_in(3) {
                self.arrives_late();
            }
            if self.random.one_in(4) {
                self.lose_tail();
            }
        }
        Ok(())
    }

    /// What the state topic says.
    pub(crate) fn facts(&self) -> MirrorFacts {
        self.journal.facts(&id())
    }

    /// What the maps say that were kept while the mirror grew.
    pub(crate) fn live_maps(&self) -> (&LiveMaps, MirrorId) {
        (&self.live, id())
    }

    /// Source offset of each record that was ever mirrored.
    pub(crate) fn content(&self) -> &[i64] {
        &self.content
    }

    pub(crate) fn log_end(&self) -> i64 {
        self.log_end
    }

    pub(crate) fn source_end(&self) -> i64 {
        self.source.len() as i64
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_position_read_is_the_true_one(seed: u64) {
        World::new(seed).live(12)?;
    }
}

#[test]
fn what_an_instance_remembers_is_mostly_enough() {
    let (mut whole_reads, mut turns, mut seals) = (0, 0, 0);
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.live(12).unwrap();
        whole_reads += world.whole_reads;
        turns += world.facts().turn();
        seals += world.seals;
    }
    assert!(whole_reads > 0 && seals > 200, "{whole_reads}, {seals}");
    assert!(whole_reads < turns / 2, "{whole_reads} of {turns}");
}
