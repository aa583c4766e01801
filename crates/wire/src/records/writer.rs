//! Building batches from records: for internal topics, tools and tests.

use bytes::Bytes;

use super::compression::compress;
use super::error::BatchError;
use super::header::{Attributes, BatchHeader, Compression};
use super::outgoing::{OutgoingBatch, ProducerStamp};
use super::record::Header;
use super::varint::{varlong_bytes, write_varlong};

/// Collects records into one batch.
#[derive(Debug, Default)]
pub struct BatchWriter {
    records: Vec<u8>,
    record_count: usize,
    base_timestamp: i64,
    max_timestamp: i64,
    transactional: bool,
    compression: Compression,
}

impl BatchWriter {
    /// An empty, uncompressed batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses the batch when it is finished.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Makes the batch part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// Number of records so far.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Bytes of the records so far, uncompressed.
    pub fn records_bytes(&self) -> usize {
        self.records.len()
    }

    /// Adds a record; its timestamp is in milliseconds since the epoch.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp - self.base_timestamp;
        let offset_delta = self.record_count as i64;
        let headers_bytes: usize = headers
            .iter()
            .map(|header| field_bytes(Some(header.key)) + field_bytes(header.value))
            .sum();
        let length = 1
            + varlong_bytes(timestamp_delta)
            + varlong_bytes(offset_delta)
            + field_bytes(key)
            + field_bytes(value)
            + varlong_bytes(headers.len() as i64)
            + headers_bytes;
        let out = &mut self.records;
        write_varlong(out, length as i64);
        out.push(0);
        write_varlong(out, timestamp_delta);
        write_varlong(out, offset_delta);
        write_field(out, key);
        write_field(out, value);
        write_varlong(out, headers.len() as i64);
        for header in headers {
            write_field(out, Some(header.key));
            write_field(out, header.value);
        }
        self.record_count += 1;
    }

    /// The batch with a producer's stamp.
    ///
    /// # Errors
    /// If there are no records or too many, or they do not compress.
    pub fn finish(self, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
        let count = i32::try_from(self.record_count).unwrap_or(0);
        if count == 0 {
            return Err(BatchError::RecordCount(self.record_count));
        }
        let kinds = if self.transactional { 0x10 } else { 0 };
        let header = BatchHeader {
            attributes: Attributes(Attributes::compressed_with(self.compression).0 | kinds),
            last_offset_delta: count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: count,
            ..BatchHeader::default()
        };
        let payload = if self.compression.is_compressed() {
            Bytes::from(compress(self.compression, &self.records)?)
        } else {
            Bytes::from(self.records)
        };
        Ok(OutgoingBatch::seal(header, payload, stamp))
    }
}

fn field_bytes(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => varlong_bytes(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            write_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => write_varlong(out, -1),
    }
}
