//! What can be wrong with a batch.

use super::header::Compression;

/// A batch that cannot be read, forwarded or rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than a header has.
    #[error("batch of {found} bytes; at least {needed} are needed")]
    Truncated {
        /// Bytes needed.
        needed: usize,
        /// Bytes found.
        found: usize,
    },
    /// An older message format.
    #[error(
        "batch at offset {offset} has message format {magic}; Farlog mirrors format 2 (Kafka 0.11 \
         and later): rewrite the topic, or let its old segments expire"
    )]
    Magic {
        /// Base offset.
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
        /// The code found.
        code: i16,
    },
    /// Offsets and counts that contradict each other.
    #[error(
        "batch at offset {offset} has {record_count} records and last offset delta \
         {last_offset_delta}"
    )]
    Counts {
        /// Base offset.
        offset: i64,
        /// Last offset delta.
        last_offset_delta: i32,
        /// Record count.
        record_count: i32,
    },
    /// The bytes are not those that were written.
    #[error(
        "batch at offset {offset} has CRC {expected:#010x} in its header, its bytes {found:#010x}"
    )]
    Crc {
        /// Base offset.
        offset: i64,
        /// In the header.
        expected: u32,
        /// Of the bytes.
        found: u32,
    },
    /// A record that contradicts its batch.
    #[error("record {index} of the batch at offset {offset}: {what}")]
    Record {
        /// Base offset.
        offset: i64,
        /// Which record, from 0.
        index: i32,
        /// What is wrong.
        what: &'static str,
    },
    /// Compressed data that does not decompress.
    #[error("{} data does not decompress: {why}", .compression.name())]
    Decompress {
        /// The codec.
        compression: Compression,
        /// What the codec said.
        why: String,
    },
    /// Compressed data that is larger inside than we are ready to hold.
    #[error("{} data decompresses to more than {bytes_max} bytes", .compression.name())]
    DecompressedTooLarge {
        /// The codec.
        compression: Compression,
        /// The limit.
        bytes_max: usize,
    },
    /// Data that does not compress.
    #[error("{} compression failed: {why}", .compression.name())]
    Compress {
        /// The codec.
        compression: Compression,
        /// What the codec said.
        why: String,
    },
    /// A batch that a broker would refuse as it is.
    #[error("batch at offset {offset} cannot pass through: {why}")]
    NotForwardable {
        /// Base offset.
        offset: i64,
        /// Holes, LogAppendTime, control.
        why: &'static str,
    },
    /// A batch without records, or with more than one can hold.
    #[error("a batch cannot hold {0} records")]
    RecordCount(usize),
}
