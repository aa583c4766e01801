//! The offset map of a mirror partition: which source offset lies at which offset of the mirror.
//!
//! A list of runs; a new run begins only where the source has a gap, so that a log without gaps is
//! one run however long it is. Made from what was written ahead, see `history`. Pure.

mod history;
mod live;

use std::ops::Range;

pub use history::{MapError, offset_map};
#[allow(unused_imports, reason = "for groups that follow")]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetMap {
    /// In the order of both sides, without gaps at the target.
    stretches: Vec<Stretch>,
    /// Where the map begins: source offset and offset of the mirror.
    begin: (i64, i64),
    /// Behind the last mirrored record: source offset and offset of the mirror.
    end: (i64, i64),
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

impl OffsetMap {
    fn new(source_offset: i64, target_offset: i64) -> Self {
        let begin = (source_offset, target_offset);
        Self { stretches: Vec::new(), begin, end: begin }
    }

    /// Where the mirror has the first record at or after a source position, which is where a
    /// consumer that stood there goes on; the mirror's end if there is none yet.
    pub fn to_target(&self, source_position: i64) -> Translated {
        let index =
            self.stretches.partition_point(|stretch| stretch.source().end <= source_position);
        match self.stretches.get(index) {
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
        let index =
            self.stretches.partition_point(|stretch| stretch.target().end <= target_position);
        match self.stretches.get(index) {
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
        let index =
            self.stretches.partition_point(|stretch| stretch.target().end < target_position);
        match self.stretches.get(index)? {
            Stretch::Run(run) if run.target_offset < target_position => {
                Some(run.source_offset + (target_position - run.target_offset))
            }
            Stretch::Run(_) => None,
            Stretch::Unclear { source, target } => {
                (target_position == target.end).then_some(source.end)
            }
        }
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
        self.stretches.iter().filter_map(|stretch| match stretch {
            Stretch::Run(run) => Some(*run),
            Stretch::Unclear { .. } => None,
        })
    }

    fn push(&mut self, run: MappedRun) {
        if run.record_count <= 0 {
            return;
        }
        self.end = (run.source_offset + run.record_count, run.target_offset + run.record_count);
        if let Some(Stretch::Run(last)) = self.stretches.last_mut()
            && last.source_offset + last.record_count == run.source_offset
            && last.target_offset + last.record_count == run.target_offset
        {
            last.record_count += run.record_count;
            return;
        }
        self.stretches.push(Stretch::Run(run));
    }

    fn push_unclear(&mut self, source: Range<i64>, target: Range<i64>) {
        self.end = (source.end, target.end);
        self.stretches.push(Stretch::Unclear { source, target });
    }

    /// The mirror lost what it had from `target_offset` on.
    fn truncate(&mut self, source_offset: i64, target_offset: i64) {
        while let Some(last) = self.stretches.last_mut() {
            if last.target().start >= target_offset {
                self.stretches.pop();
                continue;
            }
            match last {
                Stretch::Run(run) => {
                    run.record_count = run.record_count.min(target_offset - run.target_offset);
                }
                Stretch::Unclear { source, target } => {
                    source.end = source.end.min(source_offset);
                    target.end = target.end.min(target_offset);
                }
            }
            break;
        }
        self.end = (source_offset, target_offset);
    }
}

#[cfg(test)]
mod tests;
