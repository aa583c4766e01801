//! Batches as they lie in a fetch response.

use std::iter::FusedIterator;

use bytes::Bytes;

use super::compression::{Compression, decompress_into};
use super::error::{BatchError, Obstacle};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, CHECKED_AT, LOG_OVERHEAD_BYTES};
use super::{crc, record};

/// One whole batch: its header, and its bytes as a slice of the frame they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBatch {
    /// The header, parsed.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl RawBatch {
    /// Takes one whole batch and nothing more.
    ///
    /// # Errors
    /// If the header is malformed, or says another length than `bytes` has.
    pub fn new(bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        if bytes.len() != header.size_bytes() {
            return Err(BatchError::Truncated { needed: header.size_bytes(), found: bytes.len() });
        }
        Ok(Self { header, bytes })
    }

    /// All bytes, the header's included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes behind the header: the records, compressed or not.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_BYTES..)
    }

    pub(super) fn payload_slice(&self) -> &[u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// Compares the bytes with the checksum in the header.
    ///
    /// # Errors
    /// [`BatchError::Crc`] if they differ.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let found = crc32c::crc32c(&self.bytes[CHECKED_AT..]);
        if found == self.header.crc {
            return Ok(());
        }
        let offset = self.header.base_offset;
        Err(BatchError::Crc { offset, declared: self.header.crc, found })
    }

    /// Why the batch must not be sent as it is; `None` if it may.
    pub fn pass_through_obstacle(&self) -> Option<Obstacle> {
        let header = &self.header;
        if header.attributes.is_control() {
            Some(Obstacle::Control)
        } else if header.record_count == 0 {
            Some(Obstacle::NoRecords)
        } else if header.has_holes() {
            Some(Obstacle::Holes)
        } else if header.attributes.is_log_append_time() {
            Some(Obstacle::LogAppendTime)
        } else {
            None
        }
    }

    /// Whether the batch may be sent as it is.
    pub fn can_pass_through(&self) -> bool {
        self.pass_through_obstacle().is_none()
    }

    /// The records, in order. Checked one by one while they are read; the batch must not be
    /// compressed: see [`decompressed`](Self::decompressed).
    ///
    /// # Errors
    /// [`BatchError::Compressed`].
    pub fn records(&self) -> Result<record::Records<'_>, BatchError> {
        record::Records::new(self)
    }

    /// The same batch with its records uncompressed, and length and checksum made to fit; the
    /// batch itself if they are. Never uses more than `decompressed_bytes_max` for the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] if they do not decompress or are larger, [`BatchError::Counts`] if
    /// they cannot be as many as the header says.
    pub fn decompressed(&self, decompressed_bytes_max: usize) -> Result<Self, BatchError> {
        let compression = self.header.attributes.compression();
        if !compression.is_compressed() {
            return Ok(self.clone());
        }
        let offset = self.header.base_offset;
        let mut bytes = vec![0; BATCH_HEADER_BYTES];
        decompress_into(compression, self.payload_slice(), decompressed_bytes_max, &mut bytes)
            .map_err(|source| BatchError::Codec { offset, source })?;
        let mut header = self.header;
        header.attributes = header.attributes.with_compression(Compression::None);
        header.batch_length = i32::try_from(bytes.len() - LOG_OVERHEAD_BYTES)
            .map_err(|_| BatchError::TooLarge { size_bytes: bytes.len() })?;
        let payload = &bytes[BATCH_HEADER_BYTES..];
        header.crc = crc::join(header.checked_part_crc(), crc32c::crc32c(payload), payload.len());
        let mut front = [0; BATCH_HEADER_BYTES];
        header.write_to(&mut front);
        bytes[..BATCH_HEADER_BYTES].copy_from_slice(&front);
        Self::new(Bytes::from(bytes))
    }
}

/// Splits a fetch response's records into batches.
///
/// A broker answers with as many bytes as were asked for, so that the last batch may be cut off:
/// it ends the iteration, and [`Batches::cut_off_bytes`] says so. An error ends it too.
pub fn batches(records: Bytes) -> Batches {
    Batches { rest: records, ended: false }
}

/// The batches of a fetch response, in order.
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
    ended: bool,
}

impl Batches {
    /// Bytes not handed out yet; after the iteration: those of a last batch that was cut off, or
    /// of the batch that the iteration failed at and of all behind it.
    pub fn cut_off_bytes(&self) -> usize {
        self.rest.len()
    }
}

impl Iterator for Batches {
    type Item = Result<RawBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match whole_batch(&self.rest) {
            Ok(Some(header)) => {
                let bytes = self.rest.split_to(header.size_bytes());
                Some(Ok(RawBatch { header, bytes }))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for Batches {}

/// The header of the batch that `bytes` begin with; `None` if the batch is cut off.
fn whole_batch(bytes: &[u8]) -> Result<Option<BatchHeader>, BatchError> {
    match BatchHeader::parse(bytes) {
        Ok(header) => Ok((header.size_bytes() <= bytes.len()).then_some(header)),
        Err(BatchError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where to fetch after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextFetch {
    /// Offset after the last whole batch.
    pub offset: i64,
    /// Leader epoch of that batch.
    pub leader_epoch: i32,
}

/// Where to fetch after `records`, from the headers alone; `None` if no whole batch is in them.
///
/// # Errors
/// As [`batches`] does for the first malformed header.
pub fn next_fetch(records: &[u8]) -> Result<Option<NextFetch>, BatchError> {
    let mut rest = records;
    let mut next = None;
    while let Some(header) = whole_batch(rest)? {
        let leader_epoch = header.partition_leader_epoch;
        next = Some(NextFetch { offset: header.next_offset(), leader_epoch });
        rest = &rest[header.size_bytes()..];
    }
    Ok(next)
}
