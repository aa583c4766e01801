//! Reading: records for fetches, offsets for those who ask by time.

use bytes::Bytes;
use farlog_store::ReadError;
use farlog_wire::ErrorCode;
use farlog_wire::records::compression::decompress;
use farlog_wire::records::{BatchHeader, Compression, RawBatch, batches};

use super::Partition;
use super::frames::frames;
use super::transactions::AbortedTransaction;
use crate::limits::{DECOMPRESSED_BATCH_BYTES_MAX, SCAN_BYTES};

/// How far a fetch may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchIsolation {
    /// To the high watermark.
    ReadUncommitted,
    /// To the last stable offset, with the aborted transactions named.
    ReadCommitted,
}

/// What a fetch gets of one partition.
#[derive(Clone, Debug)]
pub(crate) struct FetchedRecords {
    pub(crate) records: Bytes,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// Only for committed readers.
    pub(crate) aborted: Option<Vec<AbortedTransaction>>,
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundOffset {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) leader_epoch: i32,
}

impl Partition {
    /// Whole batches from the one that holds `offset` on.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE`, `UNKNOWN_TOPIC_OR_PARTITION` once the topic is deleted,
    /// `KAFKA_STORAGE_ERROR`.
    pub(crate) async fn fetch(
        &self,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
        isolation: FetchIsolation,
    ) -> Result<FetchedRecords, ErrorCode> {
        let offsets = self.offsets();
        if self.state().closed {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if offset < offsets.start || offset > offsets.high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let end = match isolation {
            FetchIsolation::ReadUncommitted => offsets.high_watermark,
            FetchIsolation::ReadCommitted => offsets.last_stable,
        };
        let records = if offset < end {
            let read = self.store.read(self.log, offset, bytes_max, at_least_one).await;
            cut(read.map_err(|error| self.read_failed(&error))?, end)
        } else {
            Bytes::new()
        };
        let aborted = (isolation == FetchIsolation::ReadCommitted).then(|| {
            let to = next_offset(&records).unwrap_or(offset);
            self.state().transactions.aborted_between(offset, to)
        });
        Ok(FetchedRecords {
            records,
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable,
            log_start_offset: offsets.start,
            aborted,
        })
    }

    /// The first record at `timestamp_ms` or later that a reader may see.
    pub(crate) async fn offset_at(
        &self,
        timestamp_ms: i64,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let offsets = self.offsets();
        let end = match isolation {
            FetchIsolation::ReadUncommitted => offsets.high_watermark,
            FetchIsolation::ReadCommitted => offsets.last_stable,
        };
        let segments = self.store.segments(self.log);
        let first = segments.iter().find(|segment| segment.max_timestamp_ms >= timestamp_ms);
        let Some(first) = first else { return Ok(None) };
        let mut offset = first.base_offset.max(offsets.start);
        while offset < end {
            let read = self.store.read(self.log, offset, SCAN_BYTES, true).await;
            let read = cut(read.map_err(|error| self.read_failed(&error))?, end);
            if read.is_empty() {
                break;
            }
            for batch in batches(read) {
                let batch = batch.map_err(|error| self.damaged(&error))?;
                offset = batch.header.next_offset();
                // Markers have their times, and Kafka finds them, too.
                if batch.header.max_timestamp < timestamp_ms {
                    continue;
                }
                if let Some(found) = self.find_in(&batch, offsets.start, timestamp_ms)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp of all (KIP-734); of any, if none has one.
    pub(crate) async fn offset_of_max_timestamp(
        &self,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let segments = self.store.segments(self.log);
        let Some(largest) = segments.iter().map(|segment| segment.max_timestamp_ms).max() else {
            return Ok(None);
        };
        match self.offset_at(largest, FetchIsolation::ReadUncommitted).await? {
            Some(found) => Ok(Some(found).filter(|found| self.is_visible(*found, isolation))),
            // That record was deleted, and its segment is still there.
            None => self.scan_for_max_timestamp(isolation).await,
        }
    }

    fn is_visible(&self, found: FoundOffset, isolation: FetchIsolation) -> bool {
        let offsets = self.offsets();
        match isolation {
            FetchIsolation::ReadUncommitted => found.offset < offsets.high_watermark,
            FetchIsolation::ReadCommitted => found.offset < offsets.last_stable,
        }
    }

    async fn scan_for_max_timestamp(
        &self,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let offsets = self.offsets();
        let mut offset = offsets.start;
        let mut largest: Option<FoundOffset> = None;
        while offset < offsets.high_watermark {
            let read = self.store.read(self.log, offset, SCAN_BYTES, true).await;
            let read = cut(read.map_err(|error| self.read_failed(&error))?, offsets.high_watermark);
            if read.is_empty() {
                break;
            }
            for batch in batches(read) {
                let batch = batch.map_err(|error| self.damaged(&error))?;
                offset = batch.header.next_offset();
                let known = largest.map_or(-2, |found| found.timestamp_ms);
                if batch.header.max_timestamp > known {
                    let at = batch.header.max_timestamp;
                    largest = self.find_in(&batch, offsets.start, at)?.or(largest);
                }
            }
        }
        Ok(largest.filter(|found| self.is_visible(*found, isolation)))
    }

    fn find_in(
        &self,
        batch: &RawBatch,
        start_offset: i64,
        timestamp_ms: i64,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let header = &batch.header;
        let payload = batch.payload();
        let plain = match header.attributes.compression() {
            Compression::None => payload.to_vec(),
            codec => decompress(codec, &payload, DECOMPRESSED_BATCH_BYTES_MAX)
                .map_err(|error| self.damaged(&error))?,
        };
        for frame in frames(&plain, header.record_count) {
            let frame = frame.map_err(|error| self.damaged(&error))?;
            let offset = header.base_offset + i64::from(frame.offset_delta);
            let at = match header.attributes.is_log_append_time() {
                true => header.max_timestamp,
                false => header.base_timestamp.wrapping_add(frame.timestamp_delta),
            };
            if offset >= start_offset && at >= timestamp_ms {
                let leader_epoch = header.partition_leader_epoch;
                return Ok(Some(FoundOffset { offset, timestamp_ms: at, leader_epoch }));
            }
        }
        Ok(None)
    }

    fn read_failed(&self, error: &ReadError) -> ErrorCode {
        match error {
            ReadError::UnknownLog(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Failed { .. } => {
                let (topic, partition) = (&self.topic, self.log.partition);
                tracing::error!(topic, partition, %error, "a log cannot be read");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        }
    }

    fn damaged(&self, error: &dyn std::error::Error) -> ErrorCode {
        let (topic, partition) = (&self.topic, self.log.partition);
        tracing::error!(topic, partition, %error, "a log is damaged");
        ErrorCode::KAFKA_STORAGE_ERROR
    }
}

/// The batches that begin before `end`.
fn cut(records: Bytes, end: i64) -> Bytes {
    let mut at = 0;
    while at < records.len() {
        match BatchHeader::parse(&records[at..]) {
            Ok(header) if header.base_offset < end => at += header.size_bytes(),
            // What is damaged is for the reader to find: its checksum says so.
            Err(_) => return records,
            Ok(_) => break,
        }
    }
    records.slice(..at.min(records.len()))
}

/// The offset after the last batch.
fn next_offset(records: &[u8]) -> Option<i64> {
    let mut at = 0;
    let mut next = None;
    while at < records.len() {
        let header = BatchHeader::parse(&records[at..]).ok()?;
        next = Some(header.next_offset());
        at += header.size_bytes();
    }
    next
}
