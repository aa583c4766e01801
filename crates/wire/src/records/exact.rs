//! Batches whose records keep the offsets that they have elsewhere, holes and all.
//!
//! A broker takes a batch only if it has as many records as offsets. So where the offsets have
//! holes, *phantoms* make up the number: records in front of all others whose offset deltas lie
//! near -2³¹, so that they come to lie below every offset that a consumer can stand at, and
//! consumers pass over them as over any record before their position. Brokers do not look at the
//! deltas inside an uncompressed batch.
//!
//! What each phantom is like follows from what reads it: in front of the records and rising, since
//! the log cleaner wants rising offsets; a key, which compacted topics ask for, and the first
//! record's, against which a phantom loses; no value; no timestamp (-1), since others would be
//! found by searches for the largest one.

use bytes::Bytes;

use super::builder::{Appended, BatchBuilder, BuilderLimits};
use super::compression::{Compression, compress};
use super::crc;
use super::error::BatchError;
use super::header::Attributes;
use super::outgoing::{Contents, OutgoingBatch, ProducerStamp};
use super::pool::BufferPool;
use super::raw::RawBatch;
use super::record::{first_key, push_record};

/// Most phantoms of one batch.
pub const PHANTOMS_PER_BATCH_MAX: i64 = 1_000;

/// The key of phantoms where no record is there to take one from, or its key is long.
pub const PHANTOM_KEY: &[u8] = b"farlog";

/// Keys of records up to this size are their batch's phantoms' keys, too.
const PHANTOM_KEY_BYTES_MAX: usize = 64;

/// Bytes of the records of a batch with phantoms: a large record gets a batch of its own.
///
/// Who merges small batches, as Farlog does, takes such a batch apart, and so drops the phantoms.
pub(super) const PHANTOM_BATCH_BYTES_MAX: usize = 256 * 1024;

/// The offset delta of a batch's first phantom; the next ones follow.
const PHANTOM_DELTA_FIRST: i32 = i32::MIN;

/// What becomes of offsets that have no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// Phantoms make up the number of records, for brokers that count them.
    #[default]
    Phantoms,
    /// They stay, for brokers that take batches as compaction leaves them.
    Kept,
}

/// Builds one batch after the other; records keep their offsets.
#[derive(Debug, Default)]
pub struct ExactBuilder {
    holes: Holes,
    records: BatchBuilder,
    /// Offset behind the last record, or the batch's base offset.
    next_offset: i64,
}

impl ExactBuilder {
    /// An empty builder whose buffers come from `pool`, and go back to it.
    pub fn with_pool(pool: BufferPool, holes: Holes) -> Self {
        Self { holes, records: BatchBuilder::with_pool(pool), next_offset: 0 }
    }

    /// Whether the batch under construction has no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Offset behind the last record of the batch under construction.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Takes over the records of an uncompressed `batch` from offset `from` on, as many as there
    /// is room for. `base_offset` is where the batch under construction begins if it is empty; no
    /// record that is taken may lie before it. `limits.record_count_max` bounds its offsets.
    ///
    /// Takes nothing, and says `next_offset` of the first record that is left, if there is no room,
    /// or too large a hole in front of it: finish, or fill the hole, and call again.
    ///
    /// # Errors
    /// As [`BatchBuilder::append_batch`].
    pub fn append_batch(
        &mut self,
        batch: &RawBatch,
        from: i64,
        base_offset: i64,
        limits: BuilderLimits,
    ) -> Result<Appended, BatchError> {
        if self.records.is_empty() {
            self.records.base_offset = Some(base_offset);
            self.next_offset = base_offset;
        }
        let appended = self.records.append_batch(batch, from.max(self.next_offset), limits)?;
        if let Some(last) = appended.runs.last() {
            self.next_offset = last.next_offset();
        }
        Ok(appended)
    }

    /// How far the batch under construction can reach, its records and a hole behind them; at
    /// most `extent_max` offsets.
    pub fn reach(&self, extent_max: i64) -> i64 {
        let Some(base_offset) = self.records.base_offset else { return self.next_offset };
        let phantoms_left = PHANTOMS_PER_BATCH_MAX - self.phantoms();
        if self.records.size_bytes() > PHANTOM_BATCH_BYTES_MAX {
            return self.next_offset;
        }
        (self.next_offset + phantoms_left).min(base_offset.saturating_add(extent_max))
    }

    fn phantoms(&self) -> i64 {
        let base_offset = self.records.base_offset.unwrap_or(self.next_offset);
        self.next_offset - base_offset - i64::from(self.records.record_count())
    }

    /// Ends the batch under construction, which reaches up to `end`, and begins the next; it is
    /// compressed if it has no phantoms. Its base offset is 0: see [`OutgoingBatch::at`].
    ///
    /// # Errors
    /// [`BatchError::Empty`] without records; [`BatchError::TooManyRecords`] if `end` lies before
    /// its last record or beyond its [`reach`](Self::reach), or the sequence would wrap inside.
    pub fn finish(
        &mut self,
        end: i64,
        compression: Compression,
        stamp: ProducerStamp,
    ) -> Result<OutgoingBatch, BatchError> {
        let record_count = i64::from(self.records.record_count());
        let base_offset = self.records.base_offset.take().unwrap_or(end);
        let phantoms = end - base_offset - record_count;
        let sound = end >= self.next_offset && (0..=PHANTOMS_PER_BATCH_MAX).contains(&phantoms);
        let too_many = || BatchError::TooManyRecords {
            base_sequence: stamp.base_sequence,
            record_count: end - base_offset,
        };
        if record_count == 0 {
            return Err(BatchError::Empty);
        }
        if phantoms == 0 {
            return self.records.finish_compressed(compression, stamp);
        }
        let (mut contents, payload, payload_crc) = self.records.take_contents();
        if !sound {
            return Err(too_many());
        }
        let extent = i32::try_from(end - base_offset).map_err(|_| too_many())?;
        if self.holes == Holes::Kept {
            return sparse(contents, extent, (payload, payload_crc), compression, stamp);
        }
        let key = first_key(&payload);
        let key = match key {
            Some(key) if key.len() > PHANTOM_KEY_BYTES_MAX => Some(PHANTOM_KEY),
            key => key,
        };
        // No timestamp, whatever the batch's deltas count from.
        let timestamp_delta = (-1_i64).wrapping_sub(contents.base_timestamp);
        let mut whole = phantom_records(phantoms, timestamp_delta, key);
        let front_crc = crc32c::crc32c(&whole);
        whole.extend_from_slice(&payload);
        contents.record_count = extent;
        let crc = crc::join(front_crc, payload_crc, payload.len());
        OutgoingBatch::new(contents, Bytes::from(whole), crc, stamp)
    }

    /// A batch of so many phantoms and nothing else: a part of a long hole.
    ///
    /// # Errors
    /// [`BatchError::Empty`] or [`BatchError::TooManyRecords`] if there are not 1 to
    /// [`PHANTOMS_PER_BATCH_MAX`], or the sequence would wrap inside the batch.
    pub fn hole(phantoms: i64, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
        if phantoms > PHANTOMS_PER_BATCH_MAX {
            let base_sequence = stamp.base_sequence;
            return Err(BatchError::TooManyRecords { base_sequence, record_count: phantoms });
        }
        let payload = phantom_records(phantoms, 0, Some(PHANTOM_KEY));
        let contents = Contents {
            attributes: Attributes::default(),
            base_timestamp: -1,
            max_timestamp: -1,
            record_count: i32::try_from(phantoms).map_err(|_| BatchError::Empty)?,
        };
        let payload_crc = crc32c::crc32c(&payload);
        OutgoingBatch::new(contents, Bytes::from(payload), payload_crc, stamp)
    }
}

/// A batch of `extent` offsets without records, for brokers that take it: see [`Holes::Kept`].
///
/// # Errors
/// [`BatchError::Empty`] or [`BatchError::TooManyRecords`] if `extent` is no number of offsets that
/// a batch can have, or the sequence would wrap inside.
pub fn empty_batch(extent: i64, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
    let base_sequence = stamp.base_sequence;
    let too_many = |_| BatchError::TooManyRecords { base_sequence, record_count: extent };
    let extent = i32::try_from(extent).map_err(too_many)?;
    let contents = Contents {
        attributes: Attributes::default(),
        base_timestamp: -1,
        max_timestamp: -1,
        record_count: 0,
    };
    OutgoingBatch::sparse(contents, extent, Bytes::new(), 0, stamp)
}

fn sparse(
    mut contents: Contents,
    extent: i32,
    (payload, payload_crc): (Vec<u8>, u32),
    compression: Compression,
    stamp: ProducerStamp,
) -> Result<OutgoingBatch, BatchError> {
    if !compression.is_compressed() {
        return OutgoingBatch::sparse(contents, extent, payload.into(), payload_crc, stamp);
    }
    let compressed = compress(compression, &payload)
        .map_err(|source| BatchError::Codec { offset: 0, source })?;
    contents.attributes = Attributes::compressed_with(compression);
    let compressed_crc = crc32c::crc32c(&compressed);
    OutgoingBatch::sparse(contents, extent, compressed.into(), compressed_crc, stamp)
}

fn phantom_records(phantoms: i64, timestamp_delta: i64, key: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for offset_delta in (PHANTOM_DELTA_FIRST..).take(usize::try_from(phantoms).unwrap_or(0)) {
        push_record(&mut out, timestamp_delta, offset_delta, key, None, &[]);
    }
    out
}

#[cfg(test)]
mod tests;
