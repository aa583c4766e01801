//! Batches on their way to a broker.

use bytes::Bytes;

use super::error::BatchError;
use super::header::{Attributes, BATCH_HEADER_BYTES, BatchHeader};
use super::raw::RawBatch;

/// Who writes a batch, and its place in what they write.
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
    /// Not idempotent.
    pub const NONE: Self = Self { producer_id: -1, producer_epoch: -1, base_sequence: -1 };
}

/// A batch for a produce request. It cannot be made with holes, with a base offset, or with counts
/// that do not match: a broker does not check uncompressed records, and stores what it is sent.
#[derive(Clone, Debug)]
pub struct OutgoingBatch {
    front: [u8; BATCH_HEADER_BYTES],
    header: BatchHeader,
    payload: Bytes,
}

impl OutgoingBatch {
    /// `header`'s length and CRC are computed here.
    pub(super) fn seal(mut header: BatchHeader, payload: Bytes, stamp: ProducerStamp) -> Self {
        header.base_offset = 0;
        header.partition_leader_epoch = -1;
        header.magic = 2;
        header.producer_id = stamp.producer_id;
        header.producer_epoch = stamp.producer_epoch;
        header.base_sequence = stamp.base_sequence;
        // 12 bytes are not counted; payloads are bounded far below 2^31 by the callers' limits.
        header.batch_length = (BATCH_HEADER_BYTES - 12 + payload.len()) as i32;
        header.crc = header.crc_over(&payload);
        let mut front = [0; BATCH_HEADER_BYTES];
        header.write_to(&mut front);
        Self { front, header, payload }
    }

    /// The header's bytes.
    pub fn front(&self) -> &[u8; BATCH_HEADER_BYTES] {
        &self.front
    }

    /// The header's values.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes behind the header.
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

    /// The CRC in the header.
    pub fn crc(&self) -> u32 {
        self.header.crc
    }

    /// Header and payload in one piece, for logs and tests.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.size_bytes());
        bytes.extend_from_slice(&self.front);
        bytes.extend_from_slice(&self.payload);
        Bytes::from(bytes)
    }
}

impl RawBatch {
    /// Why the batch may not be sent as it is; `None` if it may.
    pub fn pass_through_obstacle(&self) -> Option<&'static str> {
        let header = &self.header;
        if header.attributes.is_control() {
            Some("it is a control batch")
        } else if header.record_count != header.last_offset_delta + 1 {
            Some("compaction left holes in it")
        } else if header.attributes.is_log_append_time() {
            Some("its timestamps were written by the broker")
        } else {
            None
        }
    }

    /// Whether the batch may be sent as it is.
    pub fn can_pass_through(&self) -> bool {
        self.pass_through_obstacle().is_none()
    }
}

/// The batch with other producer fields, no transaction, and the payload as it lies.
///
/// A delete horizon is cleared too: the target's cleaner would drop tombstones at once. The base
/// timestamp that it replaced stays what the records' deltas count from (KIP-534).
///
/// # Errors
/// If a broker would refuse it, or clients would see other timestamps.
pub fn pass_through(batch: &RawBatch, stamp: ProducerStamp) -> Result<OutgoingBatch, BatchError> {
    if let Some(why) = batch.pass_through_obstacle() {
        return Err(BatchError::NotForwardable { offset: batch.header.base_offset, why });
    }
    let mut header = batch.header;
    header.attributes = Attributes::compressed_with(header.attributes.compression());
    Ok(OutgoingBatch::seal(header, batch.payload(), stamp))
}
