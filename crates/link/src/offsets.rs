//! The offset map of a mirror partition: which source offset lies at which offset of the mirror.
//!
//! A list of runs; a new run begins only where the source has a gap, so that a log without gaps is
//! one run however long it is; where there are many, older ones are packed, see `packed`. Made from
//! what was written ahead, see `history`, and kept while mirroring, see `live`. Pure.

mod history;
mod live;
mod packed;
mod seal;

use std::collections::VecDeque;
use std::ops::Range;

use crate::limits::{OFFSET_MAP_BLOCK_MAX, OFFSET_MAP_BYTES_MAX, OFFSET_MAP_OPEN_MAX};
use crate::state::Sealed;
pub(crate) use packed::Block;

pub use history::{MapError, offset_map};
pub(crate) use live::Mapped;
pub(crate) use live::{LiveMap, LiveMaps};

/// Records that follow each other on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRun {
    /// Source offset of the first record.
    pub source_offset: i64,
    /// Its offset in the mirror.
    pub target_offset: i64,
    /// Number of records.
    pub record_count: i64,
}

/// Part of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stretch {
    Run(MappedRun),
    /// Records of these source offsets lie at these offsets of the mirror, but not which where.
    Unclear {
        source: Range<i64>,
        target: Range<i64>,
    },
}

/// Which source offset lies at which offset of a mirror partition.
#[derive(Clone, Debug)]
pub struct OffsetMap {
    /// In the order of both sides, without gaps at the target. Of the first `forgotten` blocks only
    /// the ends are known.
    sealed: VecDeque<Block>,
    forgotten: usize,
    /// Bytes of the sealed blocks.
    sealed_bytes: usize,
    /// What follows the blocks.
    open: Vec<Stretch>,
    /// From which offset of the mirror on records have which source leader epoch.
    epochs: VecDeque<(i64, i32)>,
    /// Where the map begins: source offset and offset of the mirror.
    begin: (i64, i64),
    /// Behind the last mirrored record: source offset and offset of the mirror.
    end: (i64, i64),
    bounds: Bounds,
}

/// How large the parts of a map may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Stretches that are not packed.
    open_max: usize,
    /// Stretches of a block.
    block_max: usize,
    /// Bytes of all blocks.
    sealed_bytes_max: usize,
}

/// A position on one side, as a position on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The offset to resume at.
    pub offset: i64,
    /// How sure that is.
    pub certainty: Certainty,
}

/// How sure a translated position is. No record is ever skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The first record that is not yet consumed.
    Exact,
    /// Up to so many records are read again.
    RereadUpTo(i64),
}

impl Translated {
    fn exact(offset: i64) -> Self {
        Self { offset, certainty: Certainty::Exact }
    }

    fn from_start(offset: i64, reread_max: i64) -> Self {
        match reread_max {
            ..=0 => Self::exact(offset),
            _ => Self { offset, certainty: Certainty::RereadUpTo(reread_max) },
        }
    }
}

impl Stretch {
    fn source(&self) -> Range<i64> {
        match self {
            Self::Run(run) => run.source_offset..run.source_offset + run.record_count,
            Self::Unclear { source, .. } => source.clone(),
        }
    }

    fn target(&self) -> Range<i64> {
        match self {
            Self::Run(run) => run.target_offset..run.target_offset + run.record_count,
            Self::Unclear { target, .. } => target.clone(),
        }
    }
}

impl Stretch {
    fn source_behind(&self, target_position: i64) -> Option<i64> {
        match self {
            Self::Run(run) => {
                let behind = target_position - run.target_offset;
                (behind > 0).then_some(run.source_offset + behind)
            }
            Self::Unclear { source, target } => {
                (target_position == target.end).then_some(source.end)
            }
        }
    }
}

impl OffsetMap {
    fn new(source_offset: i64, target_offset: i64) -> Self {
        let bounds = Bounds {
            open_max: OFFSET_MAP_OPEN_MAX,
            block_max: OFFSET_MAP_BLOCK_MAX,
            sealed_bytes_max: OFFSET_MAP_BYTES_MAX,
        };
        Self::with_bounds((source_offset, target_offset), bounds)
    }

    fn with_bounds(begin: (i64, i64), bounds: Bounds) -> Self {
        let (sealed, open, epochs) = (VecDeque::new(), Vec::new(), VecDeque::new());
        Self { sealed, forgotten: 0, sealed_bytes: 0, open, epochs, begin, end: begin, bounds }
    }

    /// Where the mirror has the first record at or after a source position, which is where a
    /// consumer that stood there goes on; the mirror's end if there is none yet.
    pub fn to_target(&self, source_position: i64) -> Translated {
        match self.first(|source, _| source.end > source_position) {
            None => Translated::exact(self.end.1),
            Some(Stretch::Run(run)) => {
                let behind = (source_position - run.source_offset).max(0);
                Translated::exact(run.target_offset + behind)
            }
            Some(Stretch::Unclear { source, target }) => {
                let consumed_max = (source_position - source.start).min(target.end - target.start);
                Translated::from_start(target.start, consumed_max)
            }
        }
    }

    /// Where the source has the record at a position of the mirror, which is where a consumer that
    /// came from there goes on; behind the last mirrored record if the position is the mirror's
    /// end.
    pub fn to_source(&self, target_position: i64) -> Translated {
        match self.first(|_, target| target.end > target_position) {
            None => Translated::exact(self.end.0),
            Some(Stretch::Run(run)) => {
                let behind = (target_position - run.target_offset).max(0);
                Translated::exact(run.source_offset + behind)
            }
            Some(Stretch::Unclear { source, target }) => {
                let reread_max = match target_position <= target.start {
                    true => 0,
                    false => source.end - source.start,
                };
                Translated::from_start(source.start, reread_max)
            }
        }
    }

    /// The source offset behind the record before a position of the mirror, which is where
    /// mirroring went on from there; `None` where the map does not say.
    fn source_behind(&self, target_position: i64) -> Option<i64> {
        if target_position == self.begin.1 {
            return Some(self.begin.0);
        }
        if target_position == self.end.1 {
            return Some(self.end.0);
        }
        self.first(|_, target| target.end >= target_position)?.source_behind(target_position)
    }

    /// The first stretch that reaches as far as is asked.
    fn first(&self, reaches: impl Fn(&Range<i64>, &Range<i64>) -> bool) -> Option<Stretch> {
        let is_short = |source: &Range<i64>, target: &Range<i64>| !reaches(source, target);
        let block = self.sealed.partition_point(|block| is_short(block.source(), block.target()));
        if let Some(block) = self.sealed.get(block) {
            return block.stretches().find(|one| reaches(&one.source(), &one.target()));
        }
        let open = self.open.partition_point(|one| is_short(&one.source(), &one.target()));
        self.open.get(open).cloned()
    }

    /// Where the map begins: source offset, offset of the mirror.
    pub fn begin(&self) -> (i64, i64) {
        self.begin
    }

    /// Behind the last mirrored record: source offset, offset of the mirror.
    pub fn end(&self) -> (i64, i64) {
        self.end
    }

    /// Its runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = MappedRun> {
        self.stretches().filter_map(|stretch| match stretch {
            Stretch::Run(run) => Some(run),
            Stretch::Unclear { .. } => None,
        })
    }

    /// Bytes of memory that it takes.
    pub fn size_bytes(&self) -> usize {
        self.sealed_bytes + self.open.capacity() * size_of::<Stretch>()
    }

    fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let sealed = self.sealed.iter().flat_map(Block::stretches);
        sealed.chain(self.open.iter().cloned())
    }

    fn push(&mut self, run: MappedRun) {
        if run.record_count <= 0 {
            return;
        }
        if run.target_offset > self.end.1 {
            // Nobody has said what is there: it must not be skipped.
            let source_start = self.end.0.min(run.source_offset);
            self.push_unclear(source_start..run.source_offset, self.end.1..run.target_offset);
        }
        self.end = (run.source_offset + run.record_count, run.target_offset + run.record_count);
        if let Some(Stretch::Run(last)) = self.open.last_mut()
            && last.source_offset + last.record_count == run.source_offset
            && last.target_offset + last.record_count == run.target_offset
        {
            last.record_count += run.record_count;
            return;
        }
        self.add(Stretch::Run(run));
    }

    fn push_unclear(&mut self, source: Range<i64>, target: Range<i64>) {
        self.end = (source.end, target.end);
        self.add(Stretch::Unclear { source, target });
    }

    /// Records from an offset of the mirror on have this source leader epoch.
    fn set_epoch(&mut self, target_offset: i64, epoch: i32) {
        while self.epochs.back().is_some_and(|(from, _)| *from >= target_offset) {
            self.epochs.pop_back();
        }
        if self.epochs.back().is_none_or(|(_, last)| *last != epoch) {
            self.epochs.push_back((target_offset, epoch));
        }
    }

    /// Leader epoch of the record before an offset of the mirror, -1 if that is not known.
    fn epoch_before(&self, target_offset: i64) -> i32 {
        let before = self.epochs.partition_point(|(from, _)| *from < target_offset);
        before.checked_sub(1).map_or(-1, |last| self.epochs[last].1)
    }

    /// Takes in what is sealed, in place of what is known of the same offsets and those behind.
    fn append(&mut self, sealed: &Sealed) {
        let block = &sealed.block;
        let (source_start, target_start) = (block.source().start, block.target().start);
        if target_start <= self.begin.1 {
            *self = Self::with_bounds((source_start, target_start), self.bounds);
        } else if target_start < self.end.1 {
            let source_offset = self.source_behind(target_start).unwrap_or(source_start);
            self.truncate(source_offset, target_start);
        } else if target_start > self.end.1 {
            self.push_unclear(self.end.0.min(source_start)..source_start, self.end.1..target_start);
        }
        self.seal();
        self.sealed_bytes += block.size_bytes();
        self.sealed.push_back(block.clone());
        self.end = (block.source().end, block.target().end);
        sealed.epochs.iter().for_each(|&(from, epoch)| self.set_epoch(from, epoch));
        self.forget_oldest();
    }

    /// What lies at and behind an offset of the mirror, to be sealed; `None` if not all is clear.
    fn pieces(&self, from: i64, turn: u32) -> Option<Vec<Sealed>> {
        let first = self.sealed.partition_point(|block| block.target().end <= from);
        let sealed = self.sealed.range(first..).flat_map(Block::stretches);
        let stretches = sealed.chain(self.open.iter().cloned());
        let runs: Option<Vec<Stretch>> = stretches
            .filter(|one| one.target().end > from)
            .map(|one| match one {
                Stretch::Run(run) => run.from(from).map(Stretch::Run),
                Stretch::Unclear { .. } => None,
            })
            .collect();
        let blocks = runs?;
        let blocks = blocks.chunks(self.bounds.block_max).filter_map(Block::pack);
        let (until, epochs) = (self.end.1, |block: &Block| self.epochs_in(block));
        let sealed = |block| Sealed { turn, until, epochs: epochs(&block), block };
        Some(blocks.map(sealed).collect())
    }

    fn epochs_in(&self, block: &Block) -> Vec<(i64, i32)> {
        let Range { start, end } = *block.target();
        let within = self.epochs.iter().filter(|(from, _)| (start + 1..end).contains(from));
        std::iter::once((start, self.epoch_before(start + 1))).chain(within.copied()).collect()
    }

    fn add(&mut self, stretch: Stretch) {
        if self.open.len() >= self.bounds.open_max {
            self.seal();
        }
        self.open.push(stretch);
    }

    /// Packs what is open, into the last block if it has room.
    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut stretches = Vec::new();
        let has_room = |last: &Block| last.len() + self.open.len() <= self.bounds.block_max;
        if self.sealed.len() > self.forgotten && self.sealed.back().is_some_and(has_room) {
            stretches.extend(self.unseal());
        }
        stretches.append(&mut self.open);
        for block in stretches.chunks(self.bounds.block_max).filter_map(Block::pack) {
            self.sealed_bytes += block.size_bytes();
            self.sealed.push_back(block);
        }
        self.forget_oldest();
    }

    /// Takes the last block apart.
    fn unseal(&mut self) -> Vec<Stretch> {
        let Some(last) = self.sealed.pop_back() else { return Vec::new() };
        self.sealed_bytes -= last.size_bytes();
        self.forgotten = self.forgotten.min(self.sealed.len());
        last.stretches().collect()
    }

    /// Keeps within the bound: of the oldest blocks only the ends stay known, then only of several
    /// together.
    fn forget_oldest(&mut self) {
        while self.sealed_bytes > self.bounds.sealed_bytes_max && self.sealed.len() > 1 {
            if let Some(oldest) = self.sealed.get_mut(self.forgotten) {
                self.sealed_bytes -= oldest.size_bytes();
                oldest.forget();
                self.sealed_bytes += oldest.size_bytes();
                self.forgotten += 1;
                continue;
            }
            let blocks: Vec<Block> = self.sealed.drain(..).collect();
            self.sealed = blocks
                .chunks(2)
                .map(|pair| {
                    let mut joined = pair[0].clone();
                    pair[1..].iter().for_each(|next| joined.join(next));
                    joined
                })
                .collect();
            self.forgotten = self.sealed.len();
            self.sealed_bytes = self.sealed.iter().map(Block::size_bytes).sum();
        }
    }

    /// The mirror lost what it had from `target_offset` on.
    fn truncate(&mut self, source_offset: i64, target_offset: i64) {
        self.open.retain(|one| one.target().start < target_offset);
        while self.open.is_empty()
            && self.sealed.back().is_some_and(|last| last.target().end > target_offset)
        {
            self.open = self.unseal();
            self.open.retain(|one| one.target().start < target_offset);
        }
        match self.open.last_mut() {
            Some(Stretch::Run(run)) => {
                run.record_count = run.record_count.min(target_offset - run.target_offset);
            }
            Some(Stretch::Unclear { source, target }) => {
                source.end = source.end.min(source_offset);
                target.end = target.end.min(target_offset);
            }
            None => {}
        }
        self.end = (source_offset, target_offset);
        while self.epochs.back().is_some_and(|(from, _)| *from >= target_offset) {
            self.epochs.pop_back();
        }
    }

    /// Forgets blocks of records that neither side has any more: what begins there, at the latest,
    /// is where a consumer of older positions goes on.
    fn drop_below(&mut self, source_start: i64, target_start: i64) {
        while let Some(oldest) = self.sealed.front()
            && oldest.source().end <= source_start
            && oldest.target().end <= target_start
        {
            self.begin = (oldest.source().end, oldest.target().end);
            self.sealed_bytes -= oldest.size_bytes();
            self.forgotten = self.forgotten.saturating_sub(1);
            self.sealed.pop_front();
        }
        while self.epochs.get(1).is_some_and(|(from, _)| *from <= self.begin.1) {
            self.epochs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
