//! Batches on their way to a broker.

use bytes::{BufMut, Bytes, BytesMut};

use super::crc;
use super::error::BatchError;
use super::header::{Attributes, BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, MAGIC};
use super::raw::RawBatch;

/// Who writes a batch, and its place in what they write (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
}

impl ProducerStamp {
    /// Of a producer that is not idempotent.
    pub const NONE: Self = Self { producer_id: -1, producer_epoch: -1, base_sequence: -1 };

    /// Refuses as many records as would carry the sequence beyond 2³¹ - 1: a batch never straddles
    /// the wrap, so that a sequence says where a batch begins.
    fn check(self, record_count: i32) -> Result<(), BatchError> {
        if record_count < 1 {
            return Err(BatchError::Empty);
        }
        if self.base_sequence.checked_add(record_count - 1).is_none() {
            return Err(BatchError::TooManyRecords {
                base_sequence: self.base_sequence,
                record_count: i64::from(record_count),
            });
        }
        Ok(())
    }
}

/// A batch for a produce request: made by [`pass_through`], [`rewrite_compressed`],
/// [`BatchBuilder`], [`ExactBuilder`] and [`BatchWriter`] only, which give it base offset 0, as
/// many records as offsets, and a checksum that fits, because a broker stores an uncompressed batch
/// whose records contradict its header as it is sent. Only what is made for a broker that takes
/// offsets as they are given has another base offset, or holes.
///
/// [`rewrite_compressed`]: super::rewrite_compressed
/// [`BatchBuilder`]: super::BatchBuilder
/// [`ExactBuilder`]: super::ExactBuilder
/// [`BatchWriter`]: super::BatchWriter
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingBatch {
    header: BatchHeader,
    front: [u8; BATCH_HEADER_BYTES],
    payload: Bytes,
}

/// What a new batch says of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents {
    pub(super) attributes: Attributes,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) record_count: i32,
}

impl OutgoingBatch {
    /// A batch of `contents`, whose payload has the checksum `payload_crc`.
    pub(super) fn new(
        contents: Contents,
        payload: Bytes,
        payload_crc: u32,
        stamp: ProducerStamp,
    ) -> Result<Self, BatchError> {
        Self::sparse(contents, contents.record_count, payload, payload_crc, stamp)
    }

    /// The same, of more offsets than records, which only few brokers take.
    pub(super) fn sparse(
        contents: Contents,
        extent: i32,
        payload: Bytes,
        payload_crc: u32,
        stamp: ProducerStamp,
    ) -> Result<Self, BatchError> {
        stamp.check(extent)?;
        let mut header = BatchHeader {
            base_offset: 0,
            batch_length: batch_length(payload.len())?,
            partition_leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes: contents.attributes,
            last_offset_delta: extent - 1,
            base_timestamp: contents.base_timestamp,
            max_timestamp: contents.max_timestamp,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            record_count: contents.record_count,
        };
        header.crc = crc::join(header.checked_part_crc(), payload_crc, payload.len());
        Ok(Self::with_header(header, payload))
    }

    fn with_header(header: BatchHeader, payload: Bytes) -> Self {
        let mut front = [0; BATCH_HEADER_BYTES];
        header.write_to(&mut front);
        Self { header, front, payload }
    }

    /// The same batch for a broker that puts it where it says.
    #[must_use]
    pub fn at(mut self, base_offset: i64) -> Self {
        // Not under the checksum.
        self.header.base_offset = base_offset;
        self.header.write_to(&mut self.front);
        self
    }

    /// Number of offsets: that of the records, if it has no holes.
    pub fn extent(&self) -> i64 {
        i64::from(self.header.last_offset_delta) + 1
    }

    /// The header's values.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The header's bytes: the front of the batch.
    pub fn front(&self) -> &[u8; BATCH_HEADER_BYTES] {
        &self.front
    }

    /// The bytes behind the header: the records.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Bytes of the whole batch.
    pub fn size_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.payload.len()
    }

    /// Number of records.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Sequence of the first record.
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Largest timestamp of the records, in milliseconds since the epoch.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// The checksum in the header.
    pub fn crc(&self) -> u32 {
        self.header.crc
    }

    /// Header and payload in one piece: a copy, for logs, tests and messages that are not hot.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size_bytes());
        bytes.put_slice(&self.front);
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }
}

/// What the length field says of a batch with a payload of so many bytes.
fn batch_length(payload_bytes: usize) -> Result<i32, BatchError> {
    i32::try_from(BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + payload_bytes)
        .map_err(|_| BatchError::TooLarge { size_bytes: BATCH_HEADER_BYTES + payload_bytes })
}

/// The batch as another producer's, outside of any transaction; its records stay where they lie.
///
/// Base offset 0 and leader epoch -1, as a broker wants them. The delete horizon is cleared: the
/// target's cleaner would drop tombstones at once; the records' timestamps go on counting from the
/// base timestamp that it left (KIP-534). The checksum is changed by what the header changed by,
/// without reading the records, so that bytes damaged on their way here stay damaged to the
/// target broker's eyes too.
///
/// # Errors
/// [`BatchError::NotForwardable`] with [`RawBatch::pass_through_obstacle`];
/// [`BatchError::TooManyRecords`] if the sequence would wrap inside the batch.
pub fn pass_through(batch: &RawBatch, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
    let old = &batch.header;
    if let Some(obstacle) = batch.pass_through_obstacle() {
        return Err(BatchError::NotForwardable { offset: old.base_offset, obstacle });
    }
    stamp.check(old.record_count)?;
    let payload = batch.payload();
    let mut header = BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        attributes: Attributes::compressed_with(old.attributes.compression()),
        producer_id: stamp.producer_id,
        producer_epoch: stamp.producer_epoch,
        base_sequence: stamp.base_sequence,
        ..*old
    };
    let change = old.checked_part_crc() ^ header.checked_part_crc();
    header.crc = old.crc ^ crc::advance(change, payload.len());
    Ok(OutgoingBatch::with_header(header, payload))
}
