//! Merging the records of small uncompressed batches into large ones.
//!
//! One pass over the records: the two deltas of each are written anew, everything behind them is
//! copied as it lies. The new bytes are checksummed while they are in the cache.

use bytes::Bytes;

use super::compression::{Compression, compress_into};
use super::error::{BatchError, Obstacle, RecordFault};
use super::exact::{PHANTOM_BATCH_BYTES_MAX, PHANTOMS_PER_BATCH_MAX};
use super::header::{Attributes, BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES};
use super::outgoing::{Contents, OutgoingBatch, ProducerStamp};
use super::pool::BufferPool;
use super::raw::RawBatch;
use super::record::{DeltaOrder, Frame, check_fields, read_frame, timestamp_of};
use super::runs::{SourceRun, SourceRuns};
use super::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, varlong_bytes, write_varlong};

/// Most bytes of a record in front of its key: length, attributes, timestamp and offset delta.
const FRONT_BYTES_MAX: usize = VARINT_BYTES_MAX + 1 + VARLONG_BYTES_MAX + VARINT_BYTES_MAX;

/// Largest payload of any batch, in bytes: a batch's length is an int32 that counts the header too.
const PAYLOAD_BYTES_MAX: usize = i32::MAX as usize - (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES);

/// A batch that has grown to this part of the size that is aimed at is likely to reach it.
const BUSY_SHARE: usize = 16;

/// Most records of any batch: the offset delta of the last, and the count, are int32s.
const RECORD_COUNT_MAX: i64 = i32::MAX as i64;

/// Bounds of the batch under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuilderLimits {
    /// Bytes of the whole batch, uncompressed. A record that is larger by itself becomes a batch
    /// of its own, for the target to judge.
    pub size_bytes_max: usize,
    /// Records of the whole batch, at least 1: those that are left before the sequence wraps.
    pub record_count_max: i64,
}

/// What was taken over from a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Records that were taken.
    pub record_count: i64,
    /// Source offset from which to go on: behind the batch if nothing of it is left.
    pub next_offset: i64,
    /// The source offsets that were taken.
    pub runs: SourceRuns,
    /// Timestamp of the first record taken, in milliseconds since the epoch; -1 if none was.
    pub first_timestamp_ms: i64,
}

/// Builds one batch after the other; the offset deltas of each count up from 0.
///
/// Which batches may go together is the caller's to decide: one batch has one producer stamp.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    pool: BufferPool,
    payload: Vec<u8>,
    /// CRC-32C of `payload`.
    payload_crc: u32,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    resume: Option<Resume>,
    /// Records keep their source offsets, in a batch that begins here; `None`: they count up.
    pub(super) base_offset: Option<i64>,
}

/// Where the last batch was left, so that what is taken is not walked over again for the rest.
#[derive(Debug)]
struct Resume {
    /// Held so that the same address cannot be another batch.
    bytes: Bytes,
    walk: Walk,
}

/// A place between two records of a payload.
#[derive(Clone, Copy, Debug)]
struct Walk {
    at: usize,
    index: i32,
    order: DeltaOrder,
    /// The lowest source offset that the next record can have.
    source_offset_min: i64,
}

impl BatchBuilder {
    /// An empty builder with a small buffer pool of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty builder whose buffers come from `pool`, and go back to it.
    pub fn with_pool(pool: BufferPool) -> Self {
        Self { pool, ..Self::default() }
    }

    /// Records of the batch under construction.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes of the batch under construction, uncompressed, its header included.
    pub fn size_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.payload.len()
    }

    /// Whether the batch under construction has no records.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Takes over the records of an uncompressed `batch` from source offset `from` on, as many as
    /// `limits` allow; at least one if the batch under construction is empty. Records of a
    /// LogAppendTime batch get the batch's `max_timestamp`, which is what clients see.
    ///
    /// Takes nothing, and says `next_offset` of the first record that is left, if the batch under
    /// construction has no room: finish it and call again. A timestamp too far from the first one
    /// leaves no room either.
    ///
    /// The batch's own checksum is not looked at: see [`RawBatch::verify_crc`].
    ///
    /// # Errors
    /// If the batch is compressed, a control batch, or its records do not hold together; or if
    /// `limits` allow no record at all. Nothing of it is taken then.
    pub fn append_batch(
        &mut self,
        batch: &RawBatch,
        from: i64,
        limits: BuilderLimits,
    ) -> Result<Appended, BatchError> {
        check_mergeable(batch)?;
        if limits.record_count_max < 1 {
            let record_count = i64::from(self.record_count) + 1;
            return Err(BatchError::TooManyRecords { base_sequence: i32::MAX, record_count });
        }
        if self.payload.capacity() == 0 {
            self.payload = self.pool.take();
        }
        // A busy flow fills the batch: growing step by step would leave a trail of smaller buffers,
        // and the last doubling more room than is ever used.
        let wanted = self.payload.len() + batch.bytes().len();
        if wanted > self.payload.capacity() && wanted >= limits.size_bytes_max / BUSY_SHARE {
            let room = limits.size_bytes_max.saturating_sub(self.payload.len());
            self.payload.reserve_exact(room);
        }
        let begin = self.payload.len();
        let before = (self.record_count, self.base_timestamp, self.max_timestamp);
        match self.append(batch, from, limits) {
            Ok(appended) => {
                self.payload_crc = crc32c::crc32c_append(self.payload_crc, &self.payload[begin..]);
                Ok(appended)
            }
            Err(error) => {
                self.payload.truncate(begin);
                (self.record_count, self.base_timestamp, self.max_timestamp) = before;
                Err(error)
            }
        }
    }

    fn append(
        &mut self,
        batch: &RawBatch,
        from: i64,
        limits: BuilderLimits,
    ) -> Result<Appended, BatchError> {
        let header = &batch.header;
        let payload = batch.payload_slice();
        let mut walk = self.start(batch, from);
        let mut taken = Taken::default();
        while walk.index < header.record_count {
            let fault =
                |what| BatchError::Record { offset: header.base_offset, index: walk.index, what };
            let frame = read_frame(payload, walk.at).map_err(fault)?;
            let mut order = walk.order;
            let is_record = order.follow(frame.offset_delta).map_err(fault)?;
            check_fields(payload, frame).map_err(fault)?;
            if !is_record {
                walk = Walk { at: frame.end, index: walk.index + 1, order, ..walk };
                continue;
            }
            let source_offset = header.base_offset + i64::from(frame.offset_delta);
            if source_offset >= from {
                let timestamp = timestamp_of(header, frame).map_err(fault)?;
                // Only a builder that keeps offsets has another delta than the next.
                let offset_delta = match self.base_offset {
                    Some(base_offset) => source_offset - base_offset,
                    None => i64::from(self.record_count),
                };
                let place = (timestamp, offset_delta);
                let pushed = self.push(payload, frame, place, limits).map_err(fault)?;
                if !pushed {
                    self.resume = Some(Resume { bytes: batch.bytes().clone(), walk });
                    return Ok(taken.done(source_offset));
                }
                taken.add(source_offset, timestamp);
            }
            let source_offset_min = source_offset + 1;
            walk = Walk { at: frame.end, index: walk.index + 1, order, source_offset_min };
        }
        if walk.at != payload.len() {
            return Err(BatchError::TrailingBytes {
                offset: header.base_offset,
                record_count: header.record_count,
                bytes: payload.len() - walk.at,
            });
        }
        Ok(taken.done(header.next_offset()))
    }

    /// Where to start in `batch`: where it was left if it was the last one and no record before
    /// that place is asked for, else at its first record.
    fn start(&mut self, batch: &RawBatch, from: i64) -> Walk {
        let header = &batch.header;
        let first = Walk {
            at: 0,
            index: 0,
            order: DeltaOrder::of(header),
            source_offset_min: header.base_offset,
        };
        match self.resume.take() {
            Some(Resume { bytes, walk })
                if std::ptr::eq(bytes.as_ptr(), batch.bytes().as_ptr())
                    && bytes.len() == batch.bytes().len()
                    && from >= walk.source_offset_min =>
            {
                walk
            }
            _ => first,
        }
    }

    /// Appends one record under an offset; `false` if there is no room for it.
    #[inline(always)]
    fn push(
        &mut self,
        payload: &[u8],
        frame: Frame,
        (timestamp, offset_delta): (i64, i64),
        limits: BuilderLimits,
    ) -> Result<bool, RecordFault> {
        let empty = self.record_count == 0;
        let phantoms = offset_delta - i64::from(self.record_count);
        if phantoms > PHANTOMS_PER_BATCH_MAX {
            return Ok(false);
        }
        if empty {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let Some(timestamp_delta) = timestamp.checked_sub(self.base_timestamp) else {
            return Ok(false);
        };
        let rest = &payload[frame.rest_begin..frame.end];
        let length = 1 + varlong_bytes(timestamp_delta) + varlong_bytes(offset_delta) + rest.len();
        let payload_bytes = self.payload.len() + varlong_bytes(length as i64) + length;
        let size_bytes_max = match phantoms {
            0 => limits.size_bytes_max,
            _ => limits.size_bytes_max.min(PHANTOM_BATCH_BYTES_MAX),
        };
        let fits = BATCH_HEADER_BYTES + payload_bytes <= size_bytes_max
            && payload_bytes <= PAYLOAD_BYTES_MAX
            && offset_delta < limits.record_count_max.min(RECORD_COUNT_MAX);
        if !fits {
            if !empty || phantoms > 0 {
                return Ok(false);
            }
            if payload_bytes > PAYLOAD_BYTES_MAX {
                return Err(RecordFault::Length);
            }
        }
        let mut front = [0; FRONT_BYTES_MAX];
        let at = write_varlong(&mut front, 0, length as i64);
        front[at] = frame.attributes;
        let at = write_varlong(&mut front, at + 1, timestamp_delta);
        let at = write_varlong(&mut front, at, offset_delta);
        self.payload.extend_from_slice(&front[..at]);
        self.payload.extend_from_slice(rest);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        Ok(true)
    }

    /// Ends the batch under construction, uncompressed, and begins the next.
    ///
    /// # Panics
    /// If there are no records, or more than are left before the sequence wraps: which the
    /// caller's `record_count_max` excludes.
    pub fn finish(&mut self, stamp: ProducerStamp) -> OutgoingBatch {
        let (contents, payload, payload_crc) = self.take_contents();
        let payload = self.pool.share(payload);
        OutgoingBatch::new(contents, payload, payload_crc, stamp)
            .expect("append_batch keeps a batch within its limits, and the caller its sequences")
    }

    /// Ends the batch under construction, compressed, and begins the next.
    ///
    /// # Errors
    /// If there are no records, if they do not compress, or if the sequence would wrap inside the
    /// batch. The records are gone then.
    pub fn finish_compressed(
        &mut self,
        compression: Compression,
        stamp: ProducerStamp,
    ) -> Result<OutgoingBatch, BatchError> {
        let (mut contents, payload, payload_crc) = self.take_contents();
        let payload = self.pool.share(payload);
        if !compression.is_compressed() {
            return OutgoingBatch::new(contents, payload, payload_crc, stamp);
        }
        contents.attributes = Attributes::compressed_with(compression);
        let mut compressed = self.pool.take();
        compress_into(compression, &payload, &mut compressed)
            .map_err(|source| BatchError::Codec { offset: 0, source })?;
        let compressed_crc = crc32c::crc32c(&compressed);
        OutgoingBatch::new(contents, self.pool.share(compressed), compressed_crc, stamp)
    }

    pub(super) fn take_contents(&mut self) -> (Contents, Vec<u8>, u32) {
        let contents = Contents {
            attributes: Attributes::compressed_with(Compression::None),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: std::mem::take(&mut self.record_count),
        };
        let payload_crc = std::mem::take(&mut self.payload_crc);
        (contents, std::mem::take(&mut self.payload), payload_crc)
    }
}

fn check_mergeable(batch: &RawBatch) -> Result<(), BatchError> {
    let offset = batch.header.base_offset;
    if batch.header.attributes.is_control() {
        return Err(BatchError::NotForwardable { offset, obstacle: Obstacle::Control });
    }
    if batch.header.attributes.compression().is_compressed() {
        return Err(BatchError::Compressed { offset });
    }
    Ok(())
}

/// Collects what is taken over.
#[derive(Debug, Default)]
struct Taken {
    runs: SourceRuns,
    /// The run that may still grow; of length 0 before the first record.
    run_begin: i64,
    run_end: i64,
    first_timestamp_ms: Option<i64>,
}

impl Taken {
    #[inline(always)]
    fn add(&mut self, source_offset: i64, timestamp: i64) {
        if self.first_timestamp_ms.is_none() {
            self.first_timestamp_ms = Some(timestamp);
            self.run_begin = source_offset;
        } else if source_offset != self.run_end {
            self.end_run();
            self.run_begin = source_offset;
        }
        self.run_end = source_offset + 1;
    }

    fn end_run(&mut self) {
        let record_count = self.run_end - self.run_begin;
        if record_count > 0 {
            self.runs.push(SourceRun { source_offset: self.run_begin, record_count });
        }
    }

    fn done(mut self, next_offset: i64) -> Appended {
        self.end_run();
        Appended {
            record_count: self.runs.record_count(),
            next_offset,
            runs: self.runs,
            first_timestamp_ms: self.first_timestamp_ms.unwrap_or(-1),
        }
    }
}
