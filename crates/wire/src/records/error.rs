//! What can be wrong with a batch.

use thiserror::Error;

use super::compression::CodecError;

/// A batch that cannot be read, forwarded, merged or written. `offset` is the batch's base offset
/// as its header has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Fewer bytes than the batch needs.
    #[error("batch of {found} bytes, {needed} are needed")]
    Truncated {
        /// Bytes that the header, or the length in it, asks for.
        needed: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// A message format that is not record batches.
    #[error(
        "batch at offset {offset} has message format {magic}, Farlog reads format 2 (Kafka 0.11 \
         and later)"
    )]
    Magic {
        /// Base offset, or offset of the message.
        offset: i64,
        /// The format found.
        magic: i8,
    },
    /// A length that no batch can have.
    #[error("batch at offset {offset} declares a length of {declared} bytes")]
    Length {
        /// Base offset.
        offset: i64,
        /// The length found.
        declared: i32,
    },
    /// A compression that Kafka does not define.
    #[error("batch at offset {offset} has unknown compression {code}")]
    UnknownCompression {
        /// Base offset.
        offset: i64,
        /// The code found, 0 to 7.
        code: i16,
    },
    /// Offsets and counts that contradict each other.
    #[error(
        "batch at offset {offset} declares {record_count} records, last offset delta \
         {last_offset_delta}, {payload_bytes} bytes of records"
    )]
    Counts {
        /// Base offset.
        offset: i64,
        /// Last offset delta.
        last_offset_delta: i32,
        /// Record count.
        record_count: i32,
        /// Bytes after the header.
        payload_bytes: usize,
    },
    /// The bytes are not those that were written.
    #[error(
        "batch at offset {offset} has CRC {declared:#010x} in its header, {found:#010x} in fact"
    )]
    Crc {
        /// Base offset.
        offset: i64,
        /// In the header.
        declared: u32,
        /// Of the bytes.
        found: u32,
    },
    /// A record that contradicts itself or its batch.
    #[error("batch at offset {offset}, record {index}: {what}")]
    Record {
        /// Base offset.
        offset: i64,
        /// Which record of the batch, from 0.
        index: i32,
        /// What is wrong.
        what: RecordFault,
    },
    /// Bytes after the last record.
    #[error("batch at offset {offset}: {bytes} bytes follow the last of {record_count} records")]
    TrailingBytes {
        /// Base offset.
        offset: i64,
        /// Record count.
        record_count: i32,
        /// Bytes too many.
        bytes: usize,
    },
    /// The codec refused the data, or the data a codec's limit.
    #[error("batch at offset {offset}: {source}")]
    Codec {
        /// Base offset.
        offset: i64,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// A batch whose records are compressed where plain ones are needed.
    #[error("batch at offset {offset} is compressed")]
    Compressed {
        /// Base offset.
        offset: i64,
    },
    /// A batch that must not be sent as it is.
    #[error("batch at offset {offset} cannot be forwarded: {obstacle}")]
    NotForwardable {
        /// Base offset.
        offset: i64,
        /// Why not.
        obstacle: Obstacle,
    },
    /// A batch without records.
    #[error("a batch needs at least one record")]
    Empty,
    /// More records than fit before the sequence wraps, or than the caller allows.
    #[error("{record_count} records from sequence {base_sequence} on do not fit one batch")]
    TooManyRecords {
        /// Sequence of the first.
        base_sequence: i32,
        /// Number of records.
        record_count: i64,
    },
    /// A batch beyond what the length field can say.
    #[error("a batch cannot have {size_bytes} bytes")]
    TooLarge {
        /// The size it would have, in bytes.
        size_bytes: usize,
    },
    /// Timestamps of one batch that are too far apart for a 64-bit difference.
    #[error("timestamps {base_timestamp} and {timestamp} do not fit one batch")]
    TimestampRange {
        /// Timestamp of the batch's first record, in milliseconds since the epoch.
        base_timestamp: i64,
        /// Timestamp of the record, in milliseconds since the epoch.
        timestamp: i64,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// It ends behind the batch, or before its own fields.
    #[error("its length does not fit the batch")]
    Length,
    /// A variable-length integer that is cut off, or wider than its type.
    #[error("a malformed variable-length integer")]
    Varint,
    /// A key, value or header that does not fit.
    #[error("its fields do not fit its length")]
    Fields,
    /// An offset that is not above the one before it, or is above the batch's last.
    #[error("its offset is out of order")]
    Offset,
    /// A timestamp outside of 64 bits.
    #[error("its timestamp overflows")]
    Timestamp,
    /// A control record whose key or value is not what KIP-98 says.
    #[error("it is not a control record")]
    Control,
}

/// Why a batch must not be sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Obstacle {
    /// Transaction markers and the like: a broker takes them from nobody but itself.
    #[error("it is a control batch")]
    Control,
    /// Compaction took records out: a broker wants as many records as offsets.
    #[error("compaction left holes in it")]
    Holes,
    /// Compaction took every record out and left the header.
    #[error("it has no records")]
    NoRecords,
    /// A broker would put the producer's timestamps in the place of those that clients saw.
    #[error("its timestamps are those of the append")]
    LogAppendTime,
}
