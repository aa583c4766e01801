//! The 61 bytes at the front of every record batch of magic 2 (KIP-98), read and written in place.

use super::error::BatchError;

/// Bytes of a batch header, up to the first record.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Base offset and batch length: not counted by the batch length.
pub(super) const LOG_OVERHEAD_BYTES: usize = 12;

/// Where the checksummed part begins: at the attributes.
pub(super) const CRC_BEGIN: usize = 21;

const CRC_OFFSET: usize = 17;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, framed as xerial's Java library does.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// Whether the records are compressed.
    pub fn is_compressed(self) -> bool {
        self != Self::None
    }

    /// Kafka's name for it, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    fn bits(self) -> i16 {
        self as i16
    }
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

impl Attributes {
    /// Attributes of an ordinary batch.
    pub fn compressed_with(compression: Compression) -> Self {
        Self(compression.bits())
    }

    /// How the records are compressed. [`BatchHeader::parse`] refuses other values.
    pub fn compression(self) -> Compression {
        match self.0 & COMPRESSION_MASK {
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The broker wrote the time of the append over the records' own timestamps.
    pub fn is_log_append_time(self) -> bool {
        self.0 & LOG_APPEND_TIME != 0
    }

    /// Part of a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Transaction markers and the like: not data.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The base timestamp is the time after which the cleaner may drop tombstones (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attributes({:#04x})", self.0)
    }
}

/// A batch's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, as first written: compaction may have removed it.
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub batch_length: i32,
    /// Leader epoch at the append; outside the CRC.
    pub partition_leader_epoch: i32,
    /// Format version: 2.
    pub magic: i8,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Compression, timestamp type and kinds.
    pub attributes: Attributes,
    /// Offset of the last record, relative to the base; compaction keeps it.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from, in milliseconds since the epoch.
    pub base_timestamp: i64,
    /// Largest timestamp of the records.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Number of records present.
    pub record_count: i32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

impl BatchHeader {
    /// Reads a header; checks format and lengths, not the CRC.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(BatchError::Truncated { needed: BATCH_HEADER_BYTES, found: bytes.len() });
        }
        let header = Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            batch_length: i32::from_be_bytes(array(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            magic: i8::from_be_bytes(array(bytes, 16)),
            crc: u32::from_be_bytes(array(bytes, CRC_OFFSET)),
            attributes: Attributes(i16::from_be_bytes(array(bytes, 21))),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        };
        header.check()
    }

    fn check(self) -> Result<Self, BatchError> {
        let offset = self.base_offset;
        if self.magic != 2 {
            return Err(BatchError::Magic { offset, magic: self.magic });
        }
        if (self.batch_length as i64) < (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i64 {
            return Err(BatchError::Length { offset, declared: self.batch_length });
        }
        if self.attributes.0 & COMPRESSION_MASK > Compression::Zstd.bits() {
            return Err(BatchError::UnknownCompression {
                offset,
                code: self.attributes.0 & COMPRESSION_MASK,
            });
        }
        let extent = i64::from(self.last_offset_delta) + 1;
        let counts_fit = self.record_count >= 0 && i64::from(self.record_count) <= extent;
        if offset < 0
            || self.last_offset_delta < 0
            || offset.checked_add(extent).is_none()
            || !counts_fit
        {
            return Err(BatchError::Counts {
                offset,
                last_offset_delta: self.last_offset_delta,
                record_count: self.record_count,
            });
        }
        Ok(self)
    }

    /// Offset of the last record, present or not.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Bytes of the whole batch.
    pub fn size_bytes(&self) -> usize {
        // `check` refuses a negative length.
        LOG_OVERHEAD_BYTES + self.batch_length as usize
    }

    /// Writes the header, CRC as it stands in the field.
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

    /// The CRC of a batch with this header and `payload`.
    pub fn crc_over(&self, payload: &[u8]) -> u32 {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        self.write_to(&mut bytes);
        crc32c::crc32c_append(crc32c::crc32c(&bytes[CRC_BEGIN..]), payload)
    }
}
