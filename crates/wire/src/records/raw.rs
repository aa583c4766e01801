//! Batches as they lie in a fetch answer.

use bytes::Bytes;

use super::compression::decompress;
use super::error::BatchError;
use super::header::{
    Attributes, BATCH_HEADER_BYTES, BatchHeader, CRC_BEGIN, Compression, LOG_OVERHEAD_BYTES,
};

/// One batch: its header, and all of its bytes as a slice of the frame.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The header, parsed.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl RawBatch {
    /// Takes one whole batch.
    pub fn new(bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        if bytes.len() != header.size_bytes() {
            return Err(BatchError::Truncated { needed: header.size_bytes(), found: bytes.len() });
        }
        Ok(Self { header, bytes })
    }

    /// All bytes, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes behind the header: records, compressed or not.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_BYTES..)
    }

    /// Compares the bytes with the CRC in the header.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let found = crc32c::crc32c(&self.bytes[CRC_BEGIN..]);
        if found == self.header.crc {
            return Ok(());
        }
        let offset = self.header.base_offset;
        Err(BatchError::Crc { offset, expected: self.header.crc, found })
    }

    /// The same batch, uncompressed. Its length and CRC fields are those of the new bytes.
    pub fn decompressed(&self, bytes_max: usize) -> Result<Self, BatchError> {
        let compression = self.header.attributes.compression();
        if !compression.is_compressed() {
            return Ok(self.clone());
        }
        let records = decompress(compression, &self.payload(), bytes_max)?;
        let mut header = self.header;
        let length = BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + records.len();
        header.batch_length = i32::try_from(length)
            .map_err(|_| BatchError::DecompressedTooLarge { compression, bytes_max })?;
        let kinds = header.attributes.0 & !Attributes::compressed_with(compression).0;
        header.attributes = Attributes(kinds | Attributes::compressed_with(Compression::None).0);
        header.crc = header.crc_over(&records);
        let mut front = [0; BATCH_HEADER_BYTES];
        header.write_to(&mut front);
        let mut bytes = Vec::with_capacity(BATCH_HEADER_BYTES + records.len());
        bytes.extend_from_slice(&front);
        bytes.extend_from_slice(&records);
        Ok(Self { header, bytes: Bytes::from(bytes) })
    }
}

/// Slices a fetch answer into batches. A batch that is cut off at the end ends the iteration:
/// brokers answer with as many bytes as were asked for.
pub fn batches(records: Bytes) -> impl Iterator<Item = Result<RawBatch, BatchError>> {
    Batches { rest: records, failed: false }
}

struct Batches {
    rest: Bytes,
    failed: bool,
}

impl Iterator for Batches {
    type Item = Result<RawBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.len() < BATCH_HEADER_BYTES {
            return None;
        }
        let header = match BatchHeader::parse(&self.rest) {
            Ok(header) => header,
            Err(error) => {
                self.failed = true;
                return Some(Err(error));
            }
        };
        if self.rest.len() < header.size_bytes() {
            return None;
        }
        let bytes = self.rest.split_to(header.size_bytes());
        Some(Ok(RawBatch { header, bytes }))
    }
}

/// Where to fetch after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextFetch {
    /// Offset behind the last whole batch.
    pub offset: i64,
    /// Leader epoch of that batch.
    pub leader_epoch: i32,
}

/// Where to fetch after `records`; `None` if there is no whole batch in it.
pub fn next_fetch(records: &[u8]) -> Result<Option<NextFetch>, BatchError> {
    let mut rest = records;
    let mut next = None;
    while rest.len() >= BATCH_HEADER_BYTES {
        let header = BatchHeader::parse(rest)?;
        if rest.len() < header.size_bytes() {
            break;
        }
        let leader_epoch = header.partition_leader_epoch;
        next = Some(NextFetch { offset: header.next_offset(), leader_epoch });
        rest = &rest[header.size_bytes()..];
    }
    Ok(next)
}
