//! What a partition knows of its log up to an offset, kept in the store, so that a start reads only
//! what was appended since: bytes ↔ values.
//!
//! A checkpoint is never the only place of anything. One that cannot be read, or does not hold
//! together, is left aside, and the whole log is read instead.

use bytes::{Buf, Bytes, TryGetError};
use farlog_store::Checkpoint;

use super::epochs::Epochs;
use super::producers::{Producer, Producers, Written};
use super::segments::{Segment, Segments};
use super::transactions::{AbortedTransaction, Transactions};
use super::{Partition, State};
use crate::limits::{
    BATCHES_REMEMBERED, CHECKPOINT_AFTER_BYTES, CHECKPOINT_AFTER_MS, CHECKPOINT_BYTES_MAX,
};

/// Of this format; a change of the format is a new number.
const VERSION: u8 = 1;

/// Everything that a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) epochs: Epochs,
    pub(super) producers: Producers,
    pub(super) transactions: Transactions,
    pub(super) segments: Segments,
}

/// Why a checkpoint is left aside.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum CheckpointError {
    #[error("it is of format {0}")]
    Version(u8),
    #[error("it ends too early: {0}")]
    Short(#[from] TryGetError),
    #[error("{0} bytes are behind its end")]
    Long(usize),
    #[error("it does not hold together: {0}")]
    Contradiction(&'static str),
}

/// How much a start would have to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unkept {
    /// Appended since the last checkpoint.
    pub(super) bytes: u64,
    /// Something else changed that is worth keeping.
    pub(super) is_changed: bool,
    /// When the last one was written, or the log was opened.
    pub(super) since_ms: i64,
}

impl Partition {
    /// Writes a checkpoint if much was appended since the last one, or anything and long ago.
    pub(crate) fn checkpoint_if_due(&self, now_ms: i64) {
        let unkept = self.state().unkept;
        let is_old = now_ms.saturating_sub(unkept.since_ms) >= CHECKPOINT_AFTER_MS;
        let is_due = unkept.bytes >= CHECKPOINT_AFTER_BYTES || is_old && unkept.is_any();
        if is_due {
            self.checkpoint(now_ms);
        }
    }

    /// Writes a checkpoint if there is anything to keep.
    pub(crate) fn checkpoint(&self, now_ms: i64) {
        let mut state = self.state();
        if state.closed || !state.unkept.is_any() {
            return;
        }
        state.unkept = Unkept { since_ms: now_ms, ..Unkept::default() };
        let Some(encoded) = state.encode() else {
            let (topic, partition) = (&self.topic, self.log.partition);
            tracing::debug!(topic, partition, "a checkpoint would be too large");
            return;
        };
        let at_offset = state.end_offset;
        // Under the lock: it must come behind what it accounts for, and before what it does not.
        self.store.checkpoint(self.log, Checkpoint { at_offset, state: encoded });
    }
}

impl Unkept {
    fn is_any(self) -> bool {
        self.bytes > 0 || self.is_changed
    }
}

impl State {
    /// `None` if it is too large, even with only the last batch of each producer, which is what
    /// Kafka's own snapshots hold.
    fn encode(&self) -> Option<Bytes> {
        let all = self.encode_with(BATCHES_REMEMBERED);
        let encoded = if all.len() <= CHECKPOINT_BYTES_MAX { all } else { self.encode_with(1) };
        (encoded.len() <= CHECKPOINT_BYTES_MAX).then(|| Bytes::from(encoded))
    }

    fn encode_with(&self, batches_max: usize) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_count(&mut out, self.epochs.entries.len());
        for &(epoch, offset) in &self.epochs.entries {
            out.extend_from_slice(&epoch.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
        }
        put_count(&mut out, self.producers.known.len());
        for (producer_id, producer) in &self.producers.known {
            out.extend_from_slice(&producer_id.to_be_bytes());
            put_producer(&mut out, producer, batches_max);
        }
        put_count(&mut out, self.transactions.aborted.len());
        for aborted in &self.transactions.aborted {
            let AbortedTransaction { producer_id, first_offset, last_offset } = *aborted;
            for number in [producer_id, first_offset, last_offset] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        let Segments { list, first_dirty_offset, clean_bytes, .. } = &self.segments;
        out.extend_from_slice(&first_dirty_offset.to_be_bytes());
        out.extend_from_slice(&clean_bytes.to_be_bytes());
        put_count(&mut out, list.len());
        for segment in list {
            let Segment { base_offset, first_timestamp_ms, max_timestamp_ms, size_bytes } =
                *segment;
            for number in [base_offset, first_timestamp_ms, max_timestamp_ms] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            out.extend_from_slice(&size_bytes.to_be_bytes());
        }
        out
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("there is no memory for more");
    out.extend_from_slice(&count.to_be_bytes());
}

fn put_producer(out: &mut Vec<u8>, producer: &Producer, batches_max: usize) {
    out.extend_from_slice(&producer.epoch.to_be_bytes());
    out.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
    let start = producer.transaction_start.unwrap_or(-1);
    for number in [producer.last_timestamp_ms, producer.appended_at_ms, start] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let skipped = producer.batches.len().saturating_sub(batches_max);
    put_count(out, producer.batches.len() - skipped);
    for written in producer.batches.range(skipped..) {
        out.extend_from_slice(&written.first_sequence.to_be_bytes());
        out.extend_from_slice(&written.last_sequence.to_be_bytes());
        out.extend_from_slice(&written.base_offset.to_be_bytes());
        out.extend_from_slice(&written.timestamp_ms.to_be_bytes());
    }
}

/// Reads a checkpoint, and checks that what it says can be.
///
/// # Errors
/// If there is any doubt.
pub(super) fn decode(checkpoint: &Checkpoint, empty: Segments) -> Result<Known, CheckpointError> {
    let mut bytes = &checkpoint.state[..];
    let version = bytes.try_get_u8()?;
    if version != VERSION {
        return Err(CheckpointError::Version(version));
    }
    let mut epochs = Epochs::default();
    // Nothing is reserved for what a count says: each item is read first.
    for _ in 0..bytes.try_get_u32()? {
        epochs.entries.push((bytes.try_get_i32()?, bytes.try_get_i64()?));
    }
    let mut transactions = Transactions::default();
    let mut producers = Producers::default();
    for _ in 0..bytes.try_get_u32()? {
        let producer_id = bytes.try_get_i64()?;
        let producer = producer(&mut bytes)?;
        if let Some(start) = producer.transaction_start {
            transactions.begin(producer_id, start);
        }
        producers.known.insert(producer_id, producer);
    }
    for _ in 0..bytes.try_get_u32()? {
        transactions.aborted.push(AbortedTransaction {
            producer_id: bytes.try_get_i64()?,
            first_offset: bytes.try_get_i64()?,
            last_offset: bytes.try_get_i64()?,
        });
    }
    let mut segments = empty;
    segments.first_dirty_offset = bytes.try_get_i64()?;
    segments.clean_bytes = bytes.try_get_u64()?;
    for _ in 0..bytes.try_get_u32()? {
        segments.list.push_back(Segment {
            base_offset: bytes.try_get_i64()?,
            first_timestamp_ms: bytes.try_get_i64()?,
            max_timestamp_ms: bytes.try_get_i64()?,
            size_bytes: bytes.try_get_u64()?,
        });
    }
    if !bytes.is_empty() {
        return Err(CheckpointError::Long(bytes.len()));
    }
    let known = Known { epochs, producers, transactions, segments };
    known.check(checkpoint.at_offset)?;
    Ok(known)
}

fn producer(bytes: &mut &[u8]) -> Result<Producer, CheckpointError> {
    let mut producer = Producer::new(bytes.try_get_i16()?);
    producer.coordinator_epoch = bytes.try_get_i32()?;
    producer.last_timestamp_ms = bytes.try_get_i64()?;
    producer.appended_at_ms = bytes.try_get_i64()?;
    producer.transaction_start = Some(bytes.try_get_i64()?).filter(|&start| start >= 0);
    for _ in 0..bytes.try_get_u32()? {
        producer.batches.push_back(Written {
            first_sequence: bytes.try_get_i32()?,
            last_sequence: bytes.try_get_i32()?,
            base_offset: bytes.try_get_i64()?,
            timestamp_ms: bytes.try_get_i64()?,
        });
    }
    Ok(producer)
}

impl Known {
    /// Nothing in it may lie at or behind the offset that it reaches to, and what rises must rise.
    fn check(&self, at_offset: i64) -> Result<(), CheckpointError> {
        let contradiction = |what| Err(CheckpointError::Contradiction(what));
        let rises = |one: &(i32, i64), next: &(i32, i64)| one.0 < next.0 && one.1 <= next.1;
        let epochs = &self.epochs.entries;
        if !epochs.is_sorted_by(rises) || epochs.last().is_some_and(|last| last.1 > at_offset) {
            return contradiction("its epochs");
        }
        let fits = |producer: &Producer| {
            producer.batches.len() <= BATCHES_REMEMBERED
                && producer.batches.iter().all(|written| written.base_offset < at_offset)
                && producer.transaction_start.is_none_or(|start| start < at_offset)
        };
        if !self.producers.known.values().all(fits) {
            return contradiction("its producers");
        }
        let aborted = &self.transactions.aborted;
        let ends = |one: &AbortedTransaction| one.last_offset;
        if !aborted.is_sorted_by_key(ends) || aborted.last().map(ends) >= Some(at_offset) {
            return contradiction("its aborted transactions");
        }
        let Segments { list, first_dirty_offset, .. } = &self.segments;
        let base = |segment: &Segment| segment.base_offset;
        if !list.iter().is_sorted_by_key(|one| one.base_offset)
            || list.back().map(base) >= Some(at_offset)
            || *first_dirty_offset > at_offset
        {
            return contradiction("its segments");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
