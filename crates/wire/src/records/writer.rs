//! Batches from records: for internal topics, tools and tests.

use bytes::Bytes;

use super::compression::{Compression, compress};
use super::error::BatchError;
use super::header::Attributes;
use super::outgoing::{Contents, OutgoingBatch, ProducerStamp};
use super::record::{Header, push_record};

/// Collects records into one batch.
#[derive(Debug, Default)]
pub struct BatchWriter {
    records: Vec<u8>,
    record_count: usize,
    base_timestamp: i64,
    max_timestamp: i64,
    attributes: Attributes,
    /// Why a record could not be added: what [`finish`](Self::finish) will answer.
    refused: Option<BatchError>,
}

impl BatchWriter {
    /// An empty batch, not compressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the records compressed by [`finish`](Self::finish).
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.attributes = self.attributes.with_compression(compression);
        self
    }

    /// Makes the batch part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional(true);
        self
    }

    /// Records so far.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Bytes of the records so far, uncompressed, without the batch's header.
    pub fn records_bytes(&self) -> usize {
        self.records.len()
    }

    /// Adds a record; its timestamp is in milliseconds since the epoch, -1 for none. A record that
    /// does not fit one batch with those before it makes [`finish`](Self::finish) fail.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        if self.refused.is_some() {
            return;
        }
        if let Err(error) = self.try_push(timestamp, key, value, headers) {
            self.refused = Some(error);
        }
    }

    fn try_push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BatchError> {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let base_timestamp = self.base_timestamp;
        let timestamp_delta = timestamp
            .checked_sub(base_timestamp)
            .ok_or(BatchError::TimestampRange { base_timestamp, timestamp })?;
        let offset_delta = i32::try_from(self.record_count).map_err(|_| {
            BatchError::TooManyRecords { base_sequence: 0, record_count: self.record_count as i64 }
        })?;
        let parts = [key, value]
            .into_iter()
            .chain(headers.iter().flat_map(|header| [Some(header.key), header.value]));
        let field_bytes: usize = parts.flatten().map(<[u8]>::len).sum();
        let size_bytes = self.records.len() + field_bytes;
        if size_bytes > i32::MAX as usize {
            return Err(BatchError::TooLarge { size_bytes });
        }
        push_record(&mut self.records, timestamp_delta, offset_delta, key, value, headers);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        Ok(())
    }

    /// The batch with a producer's stamp.
    ///
    /// # Errors
    /// If there are no records, if one did not fit, or if they do not compress.
    pub fn finish(self, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let compression = self.attributes.compression();
        let payload = if compression.is_compressed() {
            compress(compression, &self.records)
                .map_err(|source| BatchError::Codec { offset: 0, source })?
        } else {
            self.records
        };
        let contents = Contents {
            attributes: self.attributes,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            // `push` counts no further than an i32.
            record_count: i32::try_from(self.record_count).unwrap_or(i32::MAX),
        };
        let payload_crc = crc32c::crc32c(&payload);
        OutgoingBatch::new(contents, Bytes::from(payload), payload_crc, stamp)
    }

    /// The batch of a producer that is not idempotent.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_unsequenced(self) -> Result<OutgoingBatch, BatchError> {
        self.finish(ProducerStamp::NONE)
    }
}
