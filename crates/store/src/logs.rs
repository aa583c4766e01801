//! What is known of every log while the store runs: where it reaches, where its bytes are, and the
//! newest of them. No I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::extent::{Batch, Checkpoint, Extent, LogId, SegmentFacts};
use crate::limits::BATCH_OVERHEAD_BYTES;
use crate::piece::{Piece, Stretch};
use crate::wal::entry::BatchFacts;
use crate::wal::file_name::FileName;

/// All logs.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) by_id: HashMap<LogId, Log>,
    /// Removed, but that is not durable yet.
    leaving: Vec<(LogId, Log)>,
    /// The files of the write-ahead log that exist, by number.
    pub(crate) files: BTreeMap<u64, LogFileState>,
    /// Whose newest batches are held, in the order of the appends.
    recent: VecDeque<RecentToken>,
    recent_bytes: usize,
    recent_bytes_max: usize,
    pub(crate) incarnation_next: u64,
}

/// A file of the write-ahead log.
#[derive(Debug)]
pub(crate) struct LogFileState {
    /// For reading.
    pub(crate) file: Arc<File>,
    pub(crate) name: FileName,
    /// Parts of logs in it that can still be read.
    pub(crate) pieces: usize,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) incarnation: u64,
    pub(crate) start_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) durable_end_offset: i64,
    /// Of all that was appended and not given up.
    pub(crate) size_bytes: u64,
    /// In order.
    pub(crate) pieces: VecDeque<Piece>,
    /// The newest durable batches, without a hole.
    recent: VecDeque<Recent>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct Recent {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

#[derive(Debug)]
struct RecentToken {
    id: LogId,
    incarnation: u64,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(incarnation: u64, start_offset: i64, end_offset: i64) -> Self {
        Self {
            incarnation,
            start_offset,
            end_offset,
            durable_end_offset: end_offset,
            size_bytes: 0,
            pieces: VecDeque::new(),
            recent: VecDeque::new(),
            checkpoint: None,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            start_offset: self.start_offset,
            durable_end_offset: self.durable_end_offset,
            end_offset: self.end_offset,
            size_bytes: self.size_bytes,
        }
    }

    pub(crate) fn segments(&self) -> Vec<SegmentFacts> {
        let kept = |facts: &SegmentFacts| facts.next_offset > self.start_offset;
        self.pieces.iter().map(|piece| piece.facts).filter(kept).collect()
    }

    /// Batches from memory; `None` if what is wanted first is not there.
    pub(crate) fn read_recent(
        &self,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Option<Vec<Bytes>> {
        if offset == self.durable_end_offset {
            return Some(Vec::new());
        }
        if offset < self.recent.front()?.base_offset {
            return None;
        }
        let first = self.recent.partition_point(|batch| batch.next_offset <= offset);
        let mut taken: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for batch in self.recent.range(first..) {
            let forced = at_least_one && taken.is_empty();
            if bytes + batch.bytes.len() > bytes_max && !forced {
                break;
            }
            bytes += batch.bytes.len();
            taken.push(batch.bytes.clone());
        }
        Some(taken)
    }
}

impl Logs {
    pub(crate) fn new(recent_bytes_max: usize) -> Self {
        Self { recent_bytes_max, ..Self::default() }
    }

    fn named(&mut self, id: LogId, incarnation: u64) -> Option<&mut Log> {
        let there = self.by_id.get_mut(&id).map(|log| (&id, log));
        let leaving = self.leaving.iter_mut().map(|(id, log)| (&*id, log));
        let mut all = there.into_iter().chain(leaving);
        let is_it =
            |&(found, ref log): &(&LogId, &mut Log)| *found == id && log.incarnation == incarnation;
        all.find(is_it).map(|(_, log)| log)
    }

    /// Takes note of a batch that is durable now.
    pub(crate) fn written(
        &mut self,
        id: LogId,
        incarnation: u64,
        file: u64,
        entry: Stretch,
        batch: &Batch,
    ) {
        let bytes = batch.bytes.len() as u64;
        self.index(id, incarnation, file, entry, BatchFacts::of(batch), bytes);
        if self.by_id.get(&id).is_some_and(|log| log.incarnation == incarnation) {
            self.hold(id, incarnation, batch);
        }
    }

    /// Takes note of where a batch is that the log's size already counts.
    pub(crate) fn index(
        &mut self,
        id: LogId,
        incarnation: u64,
        file: u64,
        entry: Stretch,
        facts: BatchFacts,
        batch_bytes: u64,
    ) {
        let Some(log) = self.named(id, incarnation) else { return };
        log.durable_end_offset = facts.next_offset;
        let last = log.pieces.back_mut();
        if last.is_some_and(|last| last.extend(file, facts, batch_bytes, entry)) {
            return;
        }
        log.pieces.push_back(Piece::new(file, facts, batch_bytes, entry));
        if let Some(file) = self.files.get_mut(&file) {
            file.pieces += 1;
        }
    }

    /// Holds a batch in memory, and lets go of the oldest ones.
    fn hold(&mut self, id: LogId, incarnation: u64, batch: &Batch) {
        let Some(log) = self.by_id.get_mut(&id) else { return };
        let bytes = batch.bytes.len() + BATCH_OVERHEAD_BYTES;
        log.recent.push_back(Recent {
            base_offset: batch.base_offset,
            next_offset: batch.next_offset,
            bytes: batch.bytes.clone(),
        });
        self.recent.push_back(RecentToken { id, incarnation, bytes });
        self.recent_bytes += bytes;
        while self.recent_bytes > self.recent_bytes_max
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recent_bytes -= oldest.bytes;
            if let Some(log) = self.by_id.get_mut(&oldest.id)
                && log.incarnation == oldest.incarnation
            {
                log.recent.pop_front();
            }
        }
    }

    /// It is durable that a log begins later.
    pub(crate) fn trimmed(&mut self, id: LogId, incarnation: u64, start_offset: i64) {
        let Some(log) = self.named(id, incarnation) else { return };
        let after = log.pieces.partition_point(|piece| piece.facts.next_offset <= start_offset);
        let given_up: Vec<Piece> = log.pieces.drain(..after).collect();
        log.size_bytes -= given_up.iter().map(|piece| piece.facts.size_bytes).sum::<u64>();
        self.release(&given_up);
    }

    /// A log is removed; that is not durable yet.
    pub(crate) fn remove(&mut self, id: LogId) {
        self.leaving.extend(self.by_id.remove(&id).map(|log| (id, log)));
    }

    /// It is durable that a log is gone.
    pub(crate) fn removed(&mut self, id: LogId, incarnation: u64) {
        let is_it = |(found, log): &(LogId, Log)| *found == id && log.incarnation == incarnation;
        if let Some(at) = self.leaving.iter().position(is_it) {
            let (_, log) = self.leaving.swap_remove(at);
            self.release(log.pieces.iter());
        }
    }

    fn release<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Piece>) {
        for piece in pieces {
            if let Some(file) = self.files.get_mut(&piece.file) {
                file.pieces -= 1;
            }
        }
    }

    /// Forgets the oldest files that hold nothing that can still be read, but never the newest.
    /// Nothing else in them is needed: every file begins with what all before it come to.
    pub(crate) fn take_unneeded_files(&mut self) -> Vec<FileName> {
        let mut unneeded = Vec::new();
        while self.files.len() > 1
            && let Some(oldest) = self.files.first_entry()
            && oldest.get().pieces == 0
        {
            unneeded.push(oldest.remove().name);
        }
        unneeded
    }
}
