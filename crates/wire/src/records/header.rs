//! The 61 bytes at the front of every record batch.
//!
//! Source: Kafka's documentation, "Record Batch"; KIP-98 (format 2), KIP-534 (delete horizon).

use std::fmt;

use super::compression::Compression;
use super::error::BatchError;
use super::record::RECORD_BYTES_MIN;

/// Bytes of a batch header, up to the first record.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The message format that has record batches.
pub const MAGIC: i8 = 2;

/// Base offset and batch length: not counted by the batch length.
pub(super) const LOG_OVERHEAD_BYTES: usize = 12;

/// Where the format's version is, in this format and in those before it.
pub(super) const MAGIC_AT: usize = 16;

/// Where the part under the checksum begins: at the attributes.
pub(super) const CHECKED_AT: usize = 21;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Whose clock gave the records' timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    #[default]
    CreateTime,
    /// The broker's, at the append: every record has the batch's `max_timestamp`.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

impl Attributes {
    /// Of an ordinary batch whose records are compressed so.
    pub fn compressed_with(compression: Compression) -> Self {
        Self(compression as i16)
    }

    /// These, with the transactional bit set or cleared.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Self {
        if transactional { Self(self.0 | TRANSACTIONAL) } else { Self(self.0 & !TRANSACTIONAL) }
    }

    /// These, with the bit of control batches set or cleared.
    #[must_use]
    pub fn with_control(self, control: bool) -> Self {
        if control { Self(self.0 | CONTROL) } else { Self(self.0 & !CONTROL) }
    }

    /// These, with another compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !COMPRESSION_MASK | compression as i16)
    }

    /// How the records are compressed. [`BatchHeader::parse`] refuses codes that Kafka does not
    /// define; here they read as not compressed.
    pub fn compression(self) -> Compression {
        Compression::from_code(self.0 & COMPRESSION_MASK).unwrap_or_default()
    }

    /// Whose clock gave the timestamps.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the broker wrote the time of the append over the records' own.
    pub fn is_log_append_time(self) -> bool {
        self.timestamp_type() == TimestampType::LogAppendTime
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether its records are transaction markers and the like: not data.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp is the time after which the cleaner may drop the batch's
    /// tombstones. The records' timestamps count from it all the same.
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Attributes({:#04x})", self.0)
    }
}

/// The header of a batch, in the order of its bytes; big-endian on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record when the batch was written: compaction may have removed it.
    pub base_offset: i64,
    /// Bytes that follow this field.
    pub batch_length: i32,
    /// Leader epoch of the append, written by the broker; not under the checksum.
    pub partition_leader_epoch: i32,
    /// Format version: 2.
    pub magic: i8,
    /// CRC-32C of everything behind it.
    pub crc: u32,
    /// Compression, timestamp type and kinds.
    pub attributes: Attributes,
    /// Offset of the last record, relative to the base, as it was written.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from, in milliseconds since the epoch.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, in milliseconds since the epoch.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Records that are there.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes` and checks that its lengths and counts are
    /// possible. Does not look at what follows, nor at the CRC.
    ///
    /// # Errors
    /// See [`BatchError`]: too short, another format, impossible values.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        // A message of formats 0 and 1 may be shorter than our header: name it, and do not take it
        // for a batch that was cut off.
        if bytes.len() > MAGIC_AT && bytes[MAGIC_AT] != MAGIC as u8 {
            let offset = i64::from_be_bytes(array(bytes, 0));
            return Err(BatchError::Magic { offset, magic: bytes[MAGIC_AT] as i8 });
        }
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(BatchError::Truncated { needed: BATCH_HEADER_BYTES, found: bytes.len() });
        }
        let header = Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            batch_length: i32::from_be_bytes(array(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            magic: i8::from_be_bytes(array(bytes, MAGIC_AT)),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: Attributes(i16::from_be_bytes(array(bytes, CHECKED_AT))),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        let offset = self.base_offset;
        let length = usize::try_from(self.batch_length).unwrap_or(0);
        let Some(payload_bytes) = length.checked_sub(BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES)
        else {
            return Err(BatchError::Length { offset, declared: self.batch_length });
        };
        let code = self.attributes.0 & COMPRESSION_MASK;
        let Some(compression) = Compression::from_code(code) else {
            return Err(BatchError::UnknownCompression { offset, code });
        };
        let extent = i64::from(self.last_offset_delta) + 1;
        let offsets_fit = offset >= 0 && extent > 0 && offset.checked_add(extent).is_some();
        let count_fits = (0..=extent).contains(&i64::from(self.record_count));
        let bytes_fit = compression.is_compressed()
            || self.record_count as usize <= payload_bytes / RECORD_BYTES_MIN;
        if offsets_fit && count_fits && bytes_fit {
            return Ok(());
        }
        Err(BatchError::Counts {
            offset,
            last_offset_delta: self.last_offset_delta,
            record_count: self.record_count,
            payload_bytes,
        })
    }

    /// Offset of the batch's last record when it was written, whether it is still there or not.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Bytes of the whole batch, this header included.
    pub fn size_bytes(&self) -> usize {
        // `check` refuses a negative length.
        LOG_OVERHEAD_BYTES + self.batch_length as usize
    }

    /// Whether compaction took records out of the batch.
    pub fn has_holes(&self) -> bool {
        i64::from(self.record_count) != i64::from(self.last_offset_delta) + 1
    }

    /// Writes the header as the fields stand, the CRC too.
    pub fn write_to(&self, bytes: &mut [u8; BATCH_HEADER_BYTES]) {
        bytes[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        bytes[16..17].copy_from_slice(&self.magic.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
    }

    /// The checksum of the header's part under it, without the records.
    pub(super) fn checked_part_crc(&self) -> u32 {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        self.write_to(&mut bytes);
        crc32c::crc32c(&bytes[CHECKED_AT..])
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
