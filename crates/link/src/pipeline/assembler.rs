//! Turns fetched batches into batches ready to append, each with the source offsets it holds.
//!
//! Small uncompressed batches are merged, because the cost of mirroring is produce requests, not
//! bytes. Whole compressed batches pass through, unless they are so small that merging several and
//! compressing again costs less than a request for each (ADR 0009), or the operator chose to have
//! larger ones merged, too. Whatever a broker would refuse as it is (holes
//! left by compaction, LogAppendTime, a batch entered in the middle) is rewritten. Pure.

use std::collections::VecDeque;

use farlog_wire::records::{
    BatchBuilder, BatchError, BufferPool, BuilderLimits, Compression, OutgoingBatch, ProducerStamp,
    RawBatch, SourceRun, pass_through, rewrite_compressed,
};

use crate::identity::PRODUCER_EPOCH;
use crate::limits::{
    DECOMPRESSED_BATCH_BYTES_MAX, MERGED_COMPRESSED_BYTES_MAX, PASSED_THROUGH_BYTES_MIN,
    RUNS_PER_BATCH_MAX,
};
use crate::position::{Position, records_before_wrap, sequence_at};
use crate::state::{Entry, Run};

/// Bounds of the batches that an assembler makes.
#[derive(Clone, Copy, Debug)]
pub struct AssemblerLimits {
    /// Largest batch to make by merging, in bytes.
    pub merged_bytes_max: usize,
    /// Compress what is merged with this, and merge compressed batches, too, but for large ones;
    /// `None` keeps the compression that batches have, and merges only quite small ones.
    pub recompress: Option<Compression>,
}

/// A batch ready to append.
#[derive(Debug)]
pub struct Assembled<T> {
    /// The bytes.
    pub batch: OutgoingBatch,
    /// Where it must land.
    pub target_offset: i64,
    /// What must be written ahead before it is sent; `None` if it simply continues.
    pub entry: Option<Entry>,
    /// Source offset after its last record.
    pub source_offset_next: i64,
    /// Leader epoch of its records at the source.
    pub source_leader_epoch: i32,
    /// Timestamp of its first record.
    pub first_timestamp_ms: i64,
    /// What keeps the memory of the fetched bytes accounted for.
    pub tickets: Vec<T>,
}

/// A fetched batch that cannot be mirrored as its bytes stand.
#[derive(Debug, thiserror::Error)]
pub enum AssemblerError {
    /// The batch does not parse, or cannot be rewritten.
    #[error("batch at source offset {offset}: {source}")]
    Batch {
        /// Its first offset.
        offset: i64,
        /// What is wrong.
        #[source]
        source: BatchError,
    },
}

/// Assembles the batches of one mirror partition, in order.
#[derive(Debug)]
pub struct Assembler<T> {
    limits: AssemblerLimits,
    producer_id: i64,
    /// Behind the last batch that was assembled.
    position: Position,
    builder: BatchBuilder,
    open: Open<T>,
    /// A small compressed batch: merged if another one comes before the flush, else passed as it
    /// is. The builder is empty meanwhile.
    held: Option<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    batch: RawBatch,
    ticket: T,
    as_it_is: OutgoingBatch,
}

/// What becomes of a fetched batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Merged with its neighbours, under this compression.
    Merge(Compression),
    /// Merged with its neighbours under the compression that it has, if any come in time.
    MergeIfFollowed(Compression),
    /// A batch of its own.
    Alone,
}

/// What is known of the records in the builder.
#[derive(Debug)]
struct Open<T> {
    runs: Vec<Run>,
    source_leader_epoch: i32,
    first_timestamp_ms: i64,
    tickets: Vec<T>,
    /// What the batch is to be compressed with.
    compression: Compression,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            source_leader_epoch: -1,
            first_timestamp_ms: -1,
            tickets: Vec::new(),
            compression: Compression::None,
        }
    }
}

impl<T: Clone> Assembler<T> {
    /// Starts at a position read from the target.
    pub fn new(
        limits: AssemblerLimits,
        producer_id: i64,
        position: Position,
        pool: BufferPool,
    ) -> Self {
        Self {
            limits,
            producer_id,
            position,
            builder: BatchBuilder::with_pool(pool),
            open: Open::default(),
            held: None,
        }
    }

    /// Where the next record will land, and what source offset is expected next.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Timestamp of the first record of the batch under construction.
    pub fn first_timestamp_ms(&self) -> Option<i64> {
        match &self.held {
            Some(held) => Some(held.batch.header.base_timestamp),
            None => self.is_merging().then_some(self.open.first_timestamp_ms),
        }
    }

    /// Whether records wait for more to come.
    pub fn is_open(&self) -> bool {
        self.held.is_some() || self.is_merging()
    }

    fn is_merging(&self) -> bool {
        !self.open.runs.is_empty()
    }

    /// Source leader epoch of the records that wait.
    fn open_epoch(&self) -> Option<i32> {
        match &self.held {
            Some(held) => Some(held.batch.header.partition_leader_epoch),
            None => self.is_merging().then_some(self.open.source_leader_epoch),
        }
    }

    /// Takes in the records of `batch` from source offset `from` on; batches that became full are
    /// added to `ready`.
    pub fn push(
        &mut self,
        batch: &RawBatch,
        from: i64,
        ticket: &T,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> Result<(), AssemblerError> {
        let header = &batch.header;
        if header.record_count == 0 || header.last_offset() < from {
            // Compaction leaves the last batch of a producer in place, without records.
            return Ok(());
        }
        if self.open_epoch().is_some_and(|epoch| epoch != header.partition_leader_epoch) {
            self.flush(ready);
        }
        let outcome = match self.fate(batch, from) {
            Fate::Merge(compression) => {
                let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX);
                plain.and_then(|plain| self.merge(&plain, from, ticket, compression, ready))
            }
            Fate::MergeIfFollowed(compression) => {
                self.push_small(batch, ticket, compression, ready)
            }
            Fate::Alone => {
                self.flush(ready);
                self.push_alone(batch, from, ticket, ready)
            }
        };
        outcome.map_err(|source| AssemblerError::Batch { offset: header.base_offset, source })
    }

    fn fate(&self, batch: &RawBatch, from: i64) -> Fate {
        let size_bytes = batch.header.size_bytes();
        let compression = batch.header.attributes.compression();
        match (self.limits.recompress, compression.is_compressed()) {
            (Some(chosen), false) => Fate::Merge(chosen),
            (Some(chosen), true) if size_bytes < PASSED_THROUGH_BYTES_MIN => Fate::Merge(chosen),
            (None, false) if size_bytes <= self.limits.merged_bytes_max / 2 => {
                Fate::Merge(Compression::None)
            }
            (None, true) if size_bytes < MERGED_COMPRESSED_BYTES_MAX => {
                let whole = from <= batch.header.base_offset && batch.can_pass_through();
                // What must be rewritten anyway may as well be merged.
                if whole { Fate::MergeIfFollowed(compression) } else { Fate::Merge(compression) }
            }
            _ => Fate::Alone,
        }
    }

    /// Closes the batch under construction, if there is one.
    pub fn flush(&mut self, ready: &mut VecDeque<Assembled<T>>) {
        if let Some(held) = self.held.take() {
            let open = Open::whole(&held.batch, held.ticket);
            self.assembled(held.as_it_is, open, ready);
        }
        if !self.is_merging() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let stamp = self.stamp();
        let batch = if open.compression.is_compressed() {
            let compressed = self.builder.finish_compressed(open.compression, stamp);
            compressed.expect("compressing into memory cannot fail, and `merge` keeps the bounds")
        } else {
            self.builder.finish(stamp)
        };
        self.assembled(batch, open, ready);
    }

    /// Merges a small compressed batch that could pass as it is with others under the same
    /// compression, or holds it until one comes.
    fn push_small(
        &mut self,
        batch: &RawBatch,
        ticket: &T,
        compression: Compression,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> Result<(), BatchError> {
        if let Some(held) = self.held.take() {
            let follows = held.batch.header.attributes.compression() == compression;
            if !follows || !self.unfold(&held.batch, &held.ticket, compression, ready) {
                self.held = Some(held);
                self.flush(ready);
            }
        }
        if self.is_merging() && self.unfold(batch, ticket, compression, ready) {
            return Ok(());
        }
        self.flush(ready);
        if i64::from(batch.header.record_count) > records_before_wrap(self.position.target_offset) {
            return self.push_alone(batch, batch.header.base_offset, ticket, ready);
        }
        let as_it_is = pass_through(batch, self.stamp())?;
        self.held = Some(Held { batch: batch.clone(), ticket: ticket.clone(), as_it_is });
        Ok(())
    }

    /// Merges the records of a whole compressed batch; `false` if they are many or unreadable, and
    /// nothing was taken.
    fn unfold(
        &mut self,
        batch: &RawBatch,
        ticket: &T,
        compression: Compression,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> bool {
        let plain_bytes_max = self.limits.merged_bytes_max / 2;
        let Ok(plain) = batch.decompressed(plain_bytes_max) else { return false };
        // Of a batch that goes in whole nothing is taken if it turns out to be unsound.
        let bytes_after = self.builder.size_bytes() + plain.bytes().len();
        let records_after =
            i64::from(self.builder.record_count()) + i64::from(batch.header.record_count);
        if bytes_after > self.limits.merged_bytes_max
            || records_after > records_before_wrap(self.position.target_offset)
        {
            self.flush(ready);
        }
        if i64::from(batch.header.record_count) > records_before_wrap(self.position.target_offset) {
            return false;
        }
        let from = batch.header.base_offset;
        self.merge(&plain, from, ticket, compression, ready).is_ok()
    }

    fn merge(
        &mut self,
        batch: &RawBatch,
        from: i64,
        ticket: &T,
        compression: Compression,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> Result<(), BatchError> {
        if self.held.is_some() || (self.is_merging() && self.open.compression != compression) {
            self.flush(ready);
        }
        let mut from = from.max(batch.header.base_offset);
        let mut ticketed = false;
        while from <= batch.header.last_offset() {
            let limits = BuilderLimits {
                size_bytes_max: self.limits.merged_bytes_max,
                record_count_max: records_before_wrap(self.position.target_offset),
            };
            let appended = self.builder.append_batch(batch, from, limits)?;
            if appended.runs.is_empty() {
                if !self.is_merging() {
                    // No room even when empty, or no records behind `from`.
                    break;
                }
            } else {
                if !self.is_merging() {
                    self.open.source_leader_epoch = batch.header.partition_leader_epoch;
                    self.open.first_timestamp_ms = appended.first_timestamp_ms;
                    self.open.compression = compression;
                    ticketed = false;
                }
                self.open.extend(&appended.runs);
                if !ticketed {
                    self.open.tickets.push(ticket.clone());
                    ticketed = true;
                }
            }
            from = appended.next_offset;
            if from <= batch.header.last_offset() || self.open.runs.len() >= RUNS_PER_BATCH_MAX {
                self.flush(ready);
            }
        }
        Ok(())
    }

    /// A batch that stays a batch of its own: as it is where the target takes it, else rewritten.
    fn push_alone(
        &mut self,
        batch: &RawBatch,
        from: i64,
        ticket: &T,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> Result<(), BatchError> {
        let stamp = self.stamp();
        let fits = i64::from(batch.header.record_count)
            <= records_before_wrap(self.position.target_offset);
        let whole = from <= batch.header.base_offset;
        if fits && whole && batch.can_pass_through() {
            let outgoing = pass_through(batch, stamp)?;
            self.assembled(outgoing, Open::whole(batch, ticket.clone()), ready);
            return Ok(());
        }
        if !batch.header.attributes.compression().is_compressed() || !fits {
            let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX)?;
            self.merge(&plain, from, ticket, Compression::None, ready)?;
            self.flush(ready);
            return Ok(());
        }
        let rewritten = rewrite_compressed(batch, from, stamp, DECOMPRESSED_BATCH_BYTES_MAX)?;
        if let Some(rewritten) = rewritten {
            let mut open = Open {
                source_leader_epoch: batch.header.partition_leader_epoch,
                first_timestamp_ms: rewritten.first_timestamp_ms,
                tickets: vec![ticket.clone()],
                runs: Vec::new(),
                compression: batch.header.attributes.compression(),
            };
            open.extend(&rewritten.runs);
            self.assembled(rewritten.batch, open, ready);
        }
        Ok(())
    }

    fn stamp(&self) -> ProducerStamp {
        ProducerStamp {
            producer_id: self.producer_id,
            producer_epoch: PRODUCER_EPOCH,
            base_sequence: sequence_at(self.position.target_offset),
        }
    }

    fn assembled(
        &mut self,
        batch: OutgoingBatch,
        open: Open<T>,
        ready: &mut VecDeque<Assembled<T>>,
    ) {
        let target_offset = self.position.target_offset;
        let entry = Entry {
            source_leader_epoch: open.source_leader_epoch,
            crc: batch.crc(),
            runs: open.runs,
            // Whoever writes it down knows.
            turn: 0,
        };
        let continues = entry.runs.len() == 1
            && entry.runs[0].source_offset == self.position.source_offset
            && entry.source_leader_epoch == self.position.source_leader_epoch;
        self.position = Position {
            target_offset: target_offset + i64::from(batch.record_count()),
            source_offset: entry.source_offset_next(),
            source_leader_epoch: entry.source_leader_epoch,
        };
        ready.push_back(Assembled {
            batch,
            target_offset,
            entry: (!continues).then_some(entry),
            source_offset_next: self.position.source_offset,
            source_leader_epoch: self.position.source_leader_epoch,
            first_timestamp_ms: open.first_timestamp_ms,
            tickets: open.tickets,
        });
    }
}

impl<T> Open<T> {
    /// Of a batch that is mirrored as it is.
    fn whole(batch: &RawBatch, ticket: T) -> Self {
        let header = &batch.header;
        let record_count = i64::from(header.record_count);
        Self {
            runs: vec![Run { source_offset: header.base_offset, record_count }],
            source_leader_epoch: header.partition_leader_epoch,
            first_timestamp_ms: header.base_timestamp,
            tickets: vec![ticket],
            compression: header.attributes.compression(),
        }
    }

    fn extend(&mut self, runs: &[SourceRun]) {
        for run in runs {
            let next = Run { source_offset: run.source_offset, record_count: run.record_count };
            match self.runs.last_mut() {
                Some(last) if last.source_offset + last.record_count == next.source_offset => {
                    last.record_count += next.record_count;
                }
                _ => self.runs.push(next),
            }
        }
    }
}

#[cfg(test)]
mod tests;
