//! Merging the records of small uncompressed batches into large ones.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::error::BatchError;
use super::header::{Attributes, BATCH_HEADER_BYTES, BatchHeader};
use super::outgoing::{OutgoingBatch, ProducerStamp};
use super::raw::RawBatch;
use super::record::{RecordFrame, read_frame};
use super::varint::{varlong_bytes, write_varlong};

/// Buffers kept for the next batches.
const SPARE_BUFFERS_MAX: usize = 4;

/// Bounds of a batch under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuilderLimits {
    /// Bytes of the whole batch. One record may be larger: it then is a batch of its own.
    pub size_bytes_max: usize,
    /// Records of the batch.
    pub record_count_max: i64,
}

/// Records with consecutive source offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRun {
    /// Source offset of the first.
    pub source_offset: i64,
    /// How many.
    pub record_count: i64,
}

/// What was taken over from a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Source offset from which to go on: behind the batch if all was taken.
    pub next_offset: i64,
    /// The source offsets taken, in order.
    pub runs: Vec<SourceRun>,
    /// Timestamp of the first record taken; -1 if none was.
    pub first_timestamp_ms: i64,
}

/// Builds one uncompressed batch after the other; offsets count up from 0 in each.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    buffer: Vec<u8>,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of records in the batch under construction.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Takes over the records of an uncompressed `batch` from source offset `from` on, as many as
    /// the limits allow; at least one if the batch under construction is empty.
    ///
    /// On an error nothing was taken over.
    pub fn append_batch(
        &mut self,
        batch: &RawBatch,
        from: i64,
        limits: BuilderLimits,
    ) -> Result<Appended, BatchError> {
        let restore =
            (self.buffer.len(), self.record_count, self.base_timestamp, self.max_timestamp);
        let appended = self.append(batch, from, limits);
        if appended.is_err() {
            self.buffer.truncate(restore.0);
            (_, self.record_count, self.base_timestamp, self.max_timestamp) = restore;
        }
        appended
    }

    fn append(
        &mut self,
        batch: &RawBatch,
        from: i64,
        limits: BuilderLimits,
    ) -> Result<Appended, BatchError> {
        let header = &batch.header;
        let bad = |index, what| BatchError::Record { offset: header.base_offset, index, what };
        if header.attributes.compression().is_compressed() {
            return Err(bad(0, "the batch is compressed"));
        }
        self.reserve(limits.size_bytes_max, batch.bytes().len());
        let payload = &batch.bytes()[BATCH_HEADER_BYTES..];
        let mut taken = Taken::new(header.next_offset());
        let mut at = 0;
        let mut last_delta = -1;
        for index in 0..header.record_count {
            let frame = read_frame(payload, at).ok_or_else(|| bad(index, "it does not fit"))?;
            if frame.offset_delta <= last_delta || frame.offset_delta > header.last_offset_delta {
                return Err(bad(index, "its offset is out of order"));
            }
            last_delta = frame.offset_delta;
            at = frame.end;
            let source_offset = header.base_offset + i64::from(frame.offset_delta);
            if source_offset < from {
                continue;
            }
            let timestamp =
                timestamp_of(header, frame).ok_or_else(|| bad(index, "its timestamp overflows"))?;
            if !self.push(payload, frame, timestamp, limits) {
                taken.next_offset = source_offset;
                return Ok(taken.done());
            }
            taken.record(source_offset, timestamp);
        }
        if at != payload.len() {
            return Err(bad(header.record_count, "bytes follow the last record"));
        }
        Ok(taken.done())
    }

    /// Appends one record under the next offset; `false` if the batch has no room for it.
    fn push(
        &mut self,
        payload: &[u8],
        frame: RecordFrame,
        timestamp: i64,
        limits: BuilderLimits,
    ) -> bool {
        let empty = self.record_count == 0;
        let base_timestamp = if empty { timestamp } else { self.base_timestamp };
        let Some(timestamp_delta) = timestamp.checked_sub(base_timestamp) else { return false };
        let offset_delta = i64::from(self.record_count);
        let rest = &payload[frame.rest_begin..frame.end];
        let length = 1 + varlong_bytes(timestamp_delta) + varlong_bytes(offset_delta) + rest.len();
        let bytes = varlong_bytes(length as i64) + length;
        let fits = BATCH_HEADER_BYTES + self.buffer.len() + bytes <= limits.size_bytes_max
            && offset_delta < limits.record_count_max.min(i64::from(i32::MAX));
        if !fits && !empty {
            return false;
        }
        if empty {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        write_varlong(&mut self.buffer, length as i64);
        self.buffer.push(frame.attributes);
        write_varlong(&mut self.buffer, timestamp_delta);
        write_varlong(&mut self.buffer, offset_delta);
        self.buffer.extend_from_slice(rest);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        true
    }

    /// Room for a full batch, from a buffer that an acknowledged batch left behind.
    fn reserve(&mut self, size_bytes_max: usize, incoming: usize) {
        if self.buffer.capacity() > 0 {
            return;
        }
        let spare = self.spare.lock().expect("no holder of this lock panics").pop();
        self.buffer = spare.unwrap_or_default();
        // Small flows never fill a batch; they grow as they need.
        if incoming * 2 > size_bytes_max / 8 {
            self.buffer.reserve(size_bytes_max);
        }
    }

    /// Ends the batch under construction and begins the next.
    ///
    /// # Panics
    /// If it is empty.
    pub fn finish(&mut self, stamp: ProducerStamp) -> OutgoingBatch {
        assert!(self.record_count > 0, "a batch without records cannot be sent");
        let header = BatchHeader {
            attributes: Attributes::default(),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: self.record_count,
            ..BatchHeader::default()
        };
        self.record_count = 0;
        let records = std::mem::take(&mut self.buffer);
        let payload = Bytes::from_owner(Pooled { records, spare: Arc::clone(&self.spare) });
        OutgoingBatch::seal(header, payload, stamp)
    }
}

fn timestamp_of(header: &BatchHeader, frame: RecordFrame) -> Option<i64> {
    if header.attributes.is_log_append_time() {
        // What clients of the source saw.
        return Some(header.max_timestamp);
    }
    header.base_timestamp.checked_add(frame.timestamp_delta)
}

/// Collects what is taken over.
struct Taken {
    next_offset: i64,
    runs: Vec<SourceRun>,
    run: Option<SourceRun>,
    first_timestamp_ms: i64,
}

impl Taken {
    fn new(next_offset: i64) -> Self {
        Self { next_offset, runs: Vec::new(), run: None, first_timestamp_ms: -1 }
    }

    #[inline]
    fn record(&mut self, source_offset: i64, timestamp: i64) {
        match &mut self.run {
            Some(run) if run.source_offset + run.record_count == source_offset => {
                run.record_count += 1;
                return;
            }
            Some(run) => self.runs.push(*run),
            None => self.first_timestamp_ms = timestamp,
        }
        self.run = Some(SourceRun { source_offset, record_count: 1 });
    }

    fn done(mut self) -> Appended {
        self.runs.extend(self.run);
        Appended {
            next_offset: self.next_offset,
            runs: self.runs,
            first_timestamp_ms: self.first_timestamp_ms,
        }
    }
}

/// A payload whose memory goes back to its builder.
struct Pooled {
    records: Vec<u8>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.records
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().expect("no holder of this lock panics");
        if spare.len() < SPARE_BUFFERS_MAX {
            self.records.clear();
            spare.push(std::mem::take(&mut self.records));
        }
    }
}
