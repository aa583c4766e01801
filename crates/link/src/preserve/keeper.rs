//! Turns fetched batches into batches whose records land at their source offsets.
//!
//! A batch to append reaches from the mirror's end to the source offset behind it. What has no
//! record there (markers, aborted data, what compaction removed) is made up by phantoms in the
//! same batch, or, where many offsets are missing, by batches of nothing but phantoms. Compressed
//! batches without holes pass as they are; with holes they are merged uncompressed, because
//! brokers check the offsets inside compressed ones. Pure.

use std::collections::VecDeque;

use farlog_wire::records::{
    BatchError, BatchHeader, BufferPool, BuilderLimits, Compression, ExactBuilder, Holes,
    OutgoingBatch, PHANTOMS_PER_BATCH_MAX, ProducerStamp, RawBatch, empty_batch, pass_through,
};

use crate::identity::PRODUCER_EPOCH;
use crate::limits::{
    DECOMPRESSED_BATCH_BYTES_MAX, MERGED_COMPRESSED_BYTES_MAX, PASSED_THROUGH_BYTES_MIN,
};
use crate::pipeline::{Assembled, AssemblerLimits};
use crate::position::{Position, records_before_wrap, sequence_at};
use crate::state::{Entry, Run};

/// Longest hole that is filled: at 12 bytes and more for each offset, and a request for a thousand.
pub const HOLE_OFFSETS_MAX: i64 = 10_000_000;

/// What cannot be mirrored under its offset.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The batch does not parse, or cannot be rewritten.
    #[error("batch at source offset {offset}: {source}")]
    Batch {
        /// Its first offset.
        offset: i64,
        /// What is wrong.
        #[source]
        source: BatchError,
    },
    /// More offsets without records than are filled.
    #[error(
        "source offsets {from} to {until} have no records, and no more than {HOLE_OFFSETS_MAX} \
         in a row are filled"
    )]
    HoleTooLong {
        /// The first.
        from: i64,
        /// The one behind the last.
        until: i64,
    },
}

/// Assembles the batches of one mirror partition, in order, under their source offsets.
#[derive(Debug)]
pub struct Keeper<T> {
    limits: AssemblerLimits,
    producer_id: i64,
    /// Behind the last batch that was assembled; both offsets are the same.
    position: Position,
    builder: ExactBuilder,
    holes: Holes,
    open: Option<Open<T>>,
    /// Everything before it was taken in or has no record.
    covered: i64,
    /// Timestamp of what was passed over last, in milliseconds since the epoch.
    covered_timestamp_ms: i64,
    /// A full batch of phantoms, to be stamped.
    hole: Option<RawBatch>,
}

/// What is known of the records in the builder.
#[derive(Debug)]
struct Open<T> {
    source_leader_epoch: i32,
    first_timestamp_ms: i64,
    tickets: Vec<T>,
    compression: Compression,
}

impl<T: Clone> Keeper<T> {
    /// Starts at the target's log end.
    pub fn new(
        limits: AssemblerLimits,
        producer_id: i64,
        position: Position,
        pool: BufferPool,
        holes: Holes,
    ) -> Self {
        Self {
            limits,
            producer_id,
            position,
            builder: ExactBuilder::with_pool(pool, holes),
            holes,
            open: None,
            covered: position.target_offset,
            covered_timestamp_ms: -1,
            hole: None,
        }
    }

    /// Where the next batch will begin.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Timestamp of the first record that waits, or of what was left out behind them.
    pub fn first_timestamp_ms(&self) -> Option<i64> {
        match &self.open {
            Some(open) => Some(open.first_timestamp_ms),
            None => self.is_open().then_some(self.covered_timestamp_ms),
        }
    }

    /// Whether records, or holes to fill, wait for more to come.
    pub fn is_open(&self) -> bool {
        self.open.is_some() || self.covered > self.position.target_offset
    }

    /// Source offsets before `until` that were not taken in have no records.
    pub fn pass_over(&mut self, until: i64, timestamp_ms: i64) {
        if until > self.covered {
            self.covered = until;
            self.covered_timestamp_ms = timestamp_ms;
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
    ) -> Result<(), KeeperError> {
        let header = &batch.header;
        let from = from.max(header.base_offset).max(self.covered);
        self.pass_over(from, header.base_timestamp);
        if header.record_count == 0 || header.last_offset() < from {
            // Compaction leaves the last batch of a producer in place, without records.
            self.pass_over(header.next_offset(), header.max_timestamp);
            return Ok(());
        }
        let epoch = header.partition_leader_epoch;
        if self.open.as_ref().is_some_and(|open| open.source_leader_epoch != epoch) {
            self.flush(ready)?;
        }
        let batch_error = |source| KeeperError::Batch { offset: header.base_offset, source };
        if self.stays_alone(batch, from) {
            self.flush(ready)?;
            let fits =
                i64::from(header.record_count) <= records_before_wrap(self.position.target_offset);
            if fits && self.position.target_offset == header.base_offset {
                let outgoing = pass_through(batch, self.stamp()).map_err(batch_error)?;
                let open = Open::of(header, Compression::None, ticket);
                self.assembled(outgoing, Some(open), ready);
                return Ok(());
            }
        }
        let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX).map_err(batch_error)?;
        self.merge(&plain, from, ticket, self.compression_of(header), ready)?;
        self.pass_over(header.next_offset(), header.max_timestamp);
        Ok(())
    }

    /// Closes the batch under construction and fills what has no records behind it.
    pub fn flush(&mut self, ready: &mut VecDeque<Assembled<T>>) -> Result<(), KeeperError> {
        self.close(ready)?;
        self.fill(self.covered, ready)
    }

    /// Whether it is better, or at least cheaper, off as a batch of its own.
    fn stays_alone(&self, batch: &RawBatch, from: i64) -> bool {
        let whole = from <= batch.header.base_offset && batch.can_pass_through();
        let size_bytes = batch.header.size_bytes();
        let is_compressed = batch.header.attributes.compression().is_compressed();
        whole
            && match self.limits.recompress {
                Some(_) => is_compressed && size_bytes >= PASSED_THROUGH_BYTES_MIN,
                None if is_compressed => size_bytes >= MERGED_COMPRESSED_BYTES_MAX,
                None => size_bytes > self.limits.merged_bytes_max / 2,
            }
    }

    fn compression_of(&self, header: &BatchHeader) -> Compression {
        self.limits.recompress.unwrap_or_else(|| header.attributes.compression())
    }

    fn merge(
        &mut self,
        batch: &RawBatch,
        mut from: i64,
        ticket: &T,
        compression: Compression,
        ready: &mut VecDeque<Assembled<T>>,
    ) -> Result<(), KeeperError> {
        let header = &batch.header;
        if self.open.as_ref().is_some_and(|open| open.compression != compression) {
            self.close(ready)?;
        }
        let mut ticketed = false;
        while from <= header.last_offset() {
            let base_offset = self.position.target_offset;
            let limits = BuilderLimits {
                size_bytes_max: self.limits.merged_bytes_max,
                record_count_max: records_before_wrap(base_offset),
            };
            let appended = self
                .builder
                .append_batch(batch, from, base_offset, limits)
                .map_err(|source| KeeperError::Batch { offset: header.base_offset, source })?;
            from = appended.next_offset;
            let is_done = from > header.last_offset();
            if appended.record_count > 0 {
                let open = self.open.get_or_insert_with(|| {
                    ticketed = false;
                    Open { tickets: Vec::new(), ..Open::of(header, compression, ticket) }
                });
                if open.tickets.is_empty() {
                    open.first_timestamp_ms = appended.first_timestamp_ms;
                }
                if !ticketed {
                    open.tickets.push(ticket.clone());
                    ticketed = true;
                }
            }
            self.pass_over(from.min(header.next_offset()), header.base_timestamp);
            if !is_done {
                // Either it is full, or the hole in front of the next record is too large for it.
                self.flush(ready)?;
            }
        }
        Ok(())
    }

    /// Ends the batch under construction, with as much of the hole behind it as it can hold.
    fn close(&mut self, ready: &mut VecDeque<Assembled<T>>) -> Result<(), KeeperError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let base_offset = self.position.target_offset;
        let reach = self.builder.reach(records_before_wrap(base_offset));
        let end = self.covered.min(reach).max(self.builder.next_offset());
        let batch = self
            .builder
            .finish(end, open.compression, self.stamp())
            .map_err(|source| KeeperError::Batch { offset: base_offset, source })?;
        self.assembled(batch, Some(open), ready);
        Ok(())
    }

    /// Batches without records up to `until`.
    fn fill(&mut self, until: i64, ready: &mut VecDeque<Assembled<T>>) -> Result<(), KeeperError> {
        let from = self.position.target_offset;
        if until - from > HOLE_OFFSETS_MAX && self.holes == Holes::Phantoms {
            return Err(KeeperError::HoleTooLong { from, until });
        }
        while self.position.target_offset < until {
            let at = self.position.target_offset;
            let left = (until - at).min(records_before_wrap(at));
            let batch = match self.holes {
                Holes::Phantoms => self.phantoms(left.min(PHANTOMS_PER_BATCH_MAX)),
                Holes::Kept => empty_batch(left.min(i64::from(i32::MAX)), self.stamp()),
            };
            let batch = batch.map_err(|source| KeeperError::Batch { offset: at, source })?;
            self.assembled(batch, None, ready);
        }
        Ok(())
    }

    /// Full batches share their bytes: there may be thousands of them.
    fn phantoms(&mut self, count: i64) -> Result<OutgoingBatch, BatchError> {
        if count < PHANTOMS_PER_BATCH_MAX {
            return ExactBuilder::hole(count, self.stamp());
        }
        if self.hole.is_none() {
            let batch = ExactBuilder::hole(count, ProducerStamp::NONE)?;
            self.hole = Some(RawBatch::new(batch.to_bytes())?);
        }
        pass_through(self.hole.as_ref().ok_or(BatchError::Empty)?, self.stamp())
    }

    fn stamp(&self) -> ProducerStamp {
        ProducerStamp {
            producer_id: self.producer_id,
            producer_epoch: PRODUCER_EPOCH,
            base_sequence: sequence_at(self.position.target_offset),
        }
    }

    /// A batch with the records of `open`, or without records.
    fn assembled(
        &mut self,
        batch: OutgoingBatch,
        open: Option<Open<T>>,
        ready: &mut VecDeque<Assembled<T>>,
    ) {
        let target_offset = self.position.target_offset;
        let extent = batch.extent();
        let batch = match self.holes {
            Holes::Phantoms => batch,
            Holes::Kept => batch.at(target_offset),
        };
        let next = target_offset + extent;
        // Phantoms are of no epoch.
        let epoch_before = self.position.source_leader_epoch;
        let source_leader_epoch =
            open.as_ref().map_or(epoch_before, |open| open.source_leader_epoch);
        let entry = (source_leader_epoch != epoch_before).then(|| Entry {
            source_leader_epoch,
            crc: batch.crc(),
            runs: vec![Run { source_offset: target_offset, record_count: extent }],
            // Whoever writes it down knows.
            turn: 0,
        });
        self.position = Position { target_offset: next, source_offset: next, source_leader_epoch };
        self.covered = self.covered.max(next);
        let (first_timestamp_ms, tickets) = match open {
            Some(open) => (open.first_timestamp_ms, open.tickets),
            None => (self.covered_timestamp_ms, Vec::new()),
        };
        ready.push_back(Assembled {
            batch,
            target_offset,
            entry,
            source_offset_next: next,
            source_leader_epoch,
            first_timestamp_ms,
            tickets,
        });
    }
}

impl<T: Clone> Open<T> {
    fn of(header: &BatchHeader, compression: Compression, ticket: &T) -> Self {
        Self {
            source_leader_epoch: header.partition_leader_epoch,
            first_timestamp_ms: header.base_timestamp,
            tickets: vec![ticket.clone()],
            compression,
        }
    }
}

#[cfg(test)]
mod tests;
