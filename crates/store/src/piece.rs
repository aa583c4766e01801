//! The part of a log that lies in one file of the write-ahead log, and its index. Pure.

use crate::extent::SegmentFacts;
use crate::limits::RUN_BYTES_MAX;
use crate::wal::entry::BatchFacts;

/// A log's entries in one file.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The file's number.
    pub(crate) file: u64,
    pub(crate) facts: SegmentFacts,
    /// In order.
    runs: Vec<Run>,
}

/// Entries of one log that follow each other in a file without another's between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Of the first batch, from the piece's.
    base_delta: u32,
    position: u32,
    /// Of the entries, frames included.
    bytes: u32,
}

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) position: u64,
    pub(crate) bytes: usize,
}

impl Piece {
    /// A piece of one entry.
    pub(crate) fn new(file: u64, facts: BatchFacts, batch_bytes: u64, entry: Stretch) -> Self {
        let size_bytes = batch_bytes;
        let BatchFacts { base_offset, next_offset, max_timestamp_ms } = facts;
        let facts = SegmentFacts { base_offset, next_offset, max_timestamp_ms, size_bytes };
        Self { file, facts, runs: vec![Run::new(0, entry)] }
    }

    /// Takes the next entry; `false` if it needs a piece of its own.
    pub(crate) fn extend(
        &mut self,
        file: u64,
        facts: BatchFacts,
        batch_bytes: u64,
        entry: Stretch,
    ) -> bool {
        // Offsets may have gaps of any size.
        let Ok(base_delta) = u32::try_from(facts.base_offset - self.facts.base_offset) else {
            return false;
        };
        if file != self.file {
            return false;
        }
        self.facts.next_offset = facts.next_offset;
        self.facts.max_timestamp_ms = self.facts.max_timestamp_ms.max(facts.max_timestamp_ms);
        self.facts.size_bytes += batch_bytes;
        let run = Run::new(base_delta, entry);
        match self.runs.last_mut() {
            Some(last) if last.end() == run.position && last.bytes + run.bytes <= RUN_BYTES_MAX => {
                last.bytes += run.bytes;
            }
            _ => self.runs.push(run),
        }
        true
    }

    /// All of it, run by run: each is small, but for a single large batch.
    pub(crate) fn runs(&self) -> Vec<Stretch> {
        self.runs.iter().map(|run| run.stretch()).collect()
    }

    /// The stretches that hold the batches from `offset` on, until there are more than
    /// `bytes_max` bytes of them besides the first. Entries before `offset` may be among them.
    pub(crate) fn stretches(&self, offset: i64, bytes_max: usize) -> Vec<Stretch> {
        let delta = offset.saturating_sub(self.facts.base_offset);
        let after = self.runs.partition_point(|run| i64::from(run.base_delta) <= delta);
        let mut found: Vec<Stretch> = Vec::new();
        let mut bytes = 0;
        for (index, run) in self.runs[after.saturating_sub(1)..].iter().enumerate() {
            let Stretch { position, bytes: run_bytes } = run.stretch();
            match found.last_mut() {
                Some(last) if last.position + last.bytes as u64 == position => {
                    last.bytes += run_bytes;
                }
                _ => found.push(run.stretch()),
            }
            // The first one may end before `offset`, where there is a gap.
            if index > 0 {
                bytes += run_bytes;
                if bytes > bytes_max {
                    break;
                }
            }
        }
        found
    }
}

impl Run {
    fn new(base_delta: u32, entry: Stretch) -> Self {
        // LOG_FILE_BYTES_MAX sees to it that both fit.
        let position = u32::try_from(entry.position).expect("a file is smaller than 4 GiB");
        let bytes = u32::try_from(entry.bytes).expect("an entry is smaller than 4 GiB");
        Self { base_delta, position, bytes }
    }

    fn end(&self) -> u32 {
        self.position + self.bytes
    }

    fn stretch(&self) -> Stretch {
        Stretch { position: u64::from(self.position), bytes: self.bytes as usize }
    }
}
