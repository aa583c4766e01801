//! Source offsets of records that were taken over.

use std::ops::Deref;

/// Records with consecutive source offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRun {
    /// Source offset of the first.
    pub source_offset: i64,
    /// How many.
    pub record_count: i64,
}

impl SourceRun {
    /// Source offset behind the last.
    pub fn next_offset(self) -> i64 {
        self.source_offset + self.record_count
    }
}

/// Runs in the order of their offsets, none touching the next: as few as there are. Of almost
/// every batch there is one, which takes no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRuns(Kept);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    None,
    One([SourceRun; 1]),
    Many(Vec<SourceRun>),
}

impl SourceRuns {
    /// Records of all runs together.
    pub fn record_count(&self) -> i64 {
        self.iter().map(|run| run.record_count).sum()
    }

    pub(super) fn push(&mut self, run: SourceRun) {
        match &mut self.0 {
            Kept::None => self.0 = Kept::One([run]),
            Kept::One([first]) => self.0 = Kept::Many(vec![*first, run]),
            Kept::Many(runs) => runs.push(run),
        }
    }
}

impl Deref for SourceRuns {
    type Target = [SourceRun];

    fn deref(&self) -> &[SourceRun] {
        match &self.0 {
            Kept::None => &[],
            Kept::One(run) => run,
            Kept::Many(runs) => runs,
        }
    }
}
