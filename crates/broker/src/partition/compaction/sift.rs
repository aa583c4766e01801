//! What compaction leaves of a batch. Pure.
//!
//! Source: KIP-98, KIP-354, KIP-534; Kafka 4.3's `Cleaner.cleanInto` and `MemoryRecords.filterTo`.

use std::collections::HashMap;

use farlog_wire::records::compression::{CodecError, compress, decompress};
use farlog_wire::records::{BatchError, BatchHeader, Compression, RawBatch, control_record};

use super::keys::KeyOffsets;
use super::transactions::CleanedTransactions;
use crate::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use crate::partition::frames::{Frame, FrameError, frames};
use crate::partition::producers::LastRecord;
use crate::partition::seal::sealed;

const DELETE_HORIZON: i16 = 0x40;
const NO_TIMESTAMP: i64 = -1;

/// One round of compaction over one log, from its beginning on.
#[derive(Debug)]
pub(super) struct Sieve {
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    /// The batch that ends here is kept, be it empty: it says where the log was.
    pub(super) end_offset: i64,
    pub(super) keys: KeyOffsets,
    /// What producers that may come back wrote last.
    pub(super) last_records: HashMap<i64, LastRecord>,
    pub(super) transactions: CleanedTransactions,
}

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it.
    All,
    /// This one in its place.
    Other(Vec<u8>, BatchHeader),
    Nothing,
}

/// A batch that cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiftError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a batch would grow beyond 2 GiB")]
    TooLarge,
}

/// The records of a batch, not compressed.
pub(super) fn plain(batch: &RawBatch) -> Result<Vec<u8>, CodecError> {
    match batch.header.attributes.compression() {
        Compression::None => Ok(batch.payload().to_vec()),
        codec => decompress(codec, &batch.payload(), DECOMPRESSED_BATCH_BYTES_MAX),
    }
}

/// Whether offsets rise from record to record within the batch's own. Producers may write what they
/// like there if they do not compress, and Kafka's brokers store it.
fn is_orderly(header: &BatchHeader, records: &[Frame<'_>]) -> bool {
    let rises = records.is_sorted_by(|one, next| one.offset_delta < next.offset_delta);
    let first = records.first().is_none_or(|first| first.offset_delta >= 0);
    rises
        && first
        && records.last().is_none_or(|last| last.offset_delta <= header.last_offset_delta)
}

impl Sieve {
    /// What is left of the next batch of the log.
    pub(super) fn sift(&mut self, batch: &RawBatch) -> Result<Left, SiftError> {
        let header = &batch.header;
        let horizon_ms = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let is_control = header.attributes.is_control();
        // Of an aborted transaction, or a marker that marks nothing.
        let is_needless = if is_control {
            let kind = control_record(batch)?.map(|control| control.control_type);
            self.transactions.control(header, kind)
        } else {
            self.transactions.data(header)
        };
        let is_past = horizon_ms.is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let without_records = is_needless && (!is_control || is_past);
        let stays_empty =
            self.is_last_of_producer(header) || header.next_offset() == self.end_offset;
        if without_records {
            return emptied(header, stays_empty);
        }
        let plain = plain(batch)?;
        let records = frames(&plain, header.record_count).collect::<Result<Vec<_>, _>>()?;
        if !is_orderly(header, &records) {
            return Ok(Left::All);
        }
        let is_kept = |frame: &&Frame<'_>| is_control || self.is_kept(header, frame);
        let kept: Vec<Frame<'_>> = records.iter().filter(is_kept).copied().collect();
        if kept.is_empty() {
            return emptied(header, stays_empty);
        }
        let has_tombstone = kept.iter().any(|frame| !frame.has_value);
        let needs_horizon = horizon_ms.is_none() && (has_tombstone || is_control && is_needless);
        if kept.len() == records.len() && !needs_horizon {
            return Ok(Left::All);
        }
        let new_horizon_ms = self.now_ms.saturating_add(self.delete_retention_ms);
        let horizon_ms = if needs_horizon { Some(new_horizon_ms) } else { horizon_ms };
        rebuilt(header, &kept, horizon_ms)
    }

    fn is_kept(&self, header: &BatchHeader, frame: &Frame<'_>) -> bool {
        let offset = header.base_offset + i64::from(frame.offset_delta);
        if offset >= self.keys.end_offset() {
            return true;
        }
        // Without a key it is nobody's newest value.
        let Some(key) = frame.key else { return false };
        let is_newest = self.keys.newest(key).is_none_or(|newest| offset >= newest);
        let horizon = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let is_past = !frame.has_value && horizon.is_some_and(|horizon| self.now_ms >= horizon);
        is_newest && !is_past
    }

    /// Whether a producer's sequence, or its epoch if there is nothing else, is read from here.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_records.get(&header.producer_id);
        header.producer_id >= 0
            && last.is_some_and(|last| match last.data_offset {
                Some(offset) => header.last_offset() == offset,
                None => {
                    header.attributes.is_control() && header.producer_epoch == last.producer_epoch
                }
            })
    }
}

/// A batch without its records, if it stays.
fn emptied(header: &BatchHeader, stays: bool) -> Result<Left, SiftError> {
    if !stays {
        return Ok(Left::Nothing);
    }
    if header.record_count == 0 {
        return Ok(Left::All);
    }
    let mut empty = *header;
    empty.attributes.0 &= !DELETE_HORIZON;
    empty.attributes = empty.attributes.with_compression(Compression::None);
    empty.base_timestamp = NO_TIMESTAMP;
    empty.record_count = 0;
    let bytes = sealed(&mut empty, &[]).ok_or(SiftError::TooLarge)?;
    Ok(Left::Other(bytes, empty))
}

/// A batch of some of the records, each where it was.
fn rebuilt(
    header: &BatchHeader,
    kept: &[Frame<'_>],
    horizon_ms: Option<i64>,
) -> Result<Left, SiftError> {
    let by_broker = header.attributes.is_log_append_time();
    let timestamp = |frame: &Frame<'_>| match by_broker {
        true => header.max_timestamp,
        false => header.base_timestamp.wrapping_add(frame.timestamp_delta),
    };
    let mut rebuilt = *header;
    let first_timestamp = kept.first().map_or(NO_TIMESTAMP, timestamp);
    rebuilt.base_timestamp = horizon_ms.unwrap_or(first_timestamp);
    rebuilt.max_timestamp = kept.iter().map(timestamp).max().unwrap_or(NO_TIMESTAMP);
    if horizon_ms.is_some() {
        rebuilt.attributes.0 |= DELETE_HORIZON;
    }
    // No more than there were.
    rebuilt.record_count = kept.len() as i32;
    let mut plain = Vec::new();
    for frame in kept {
        let delta = timestamp(frame).wrapping_sub(rebuilt.base_timestamp);
        frame.write_to(delta, frame.offset_delta, &mut plain);
    }
    let payload = match header.attributes.compression() {
        Compression::None => plain,
        codec => compress(codec, &plain)?,
    };
    let bytes = sealed(&mut rebuilt, &payload).ok_or(SiftError::TooLarge)?;
    Ok(Left::Other(bytes, rebuilt))
}
