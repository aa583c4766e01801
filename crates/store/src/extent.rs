//! What the store knows of logs: names, offsets, sizes.

use bytes::Bytes;

/// Names one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The topic's id.
    pub topic: [u8; 16],
    /// The partition's number.
    pub partition: i32,
}

/// A batch to append, its offsets already written into it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Offset of its first record; at or after the log's end.
    pub base_offset: i64,
    /// Offset after its last record.
    pub next_offset: i64,
    /// Largest timestamp of its records, in milliseconds since the epoch.
    pub max_timestamp_ms: i64,
    /// The whole batch, header included.
    pub bytes: Bytes,
}

/// From where to where a log reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The first offset that may be read.
    pub start_offset: i64,
    /// The offset after the last durable batch.
    pub durable_end_offset: i64,
    /// The offset after the last appended batch.
    pub end_offset: i64,
    /// Bytes between start and end.
    pub size_bytes: u64,
}

/// A part of a log that is retained or deleted as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Offset of its first batch.
    pub base_offset: i64,
    /// Offset after its last batch.
    pub next_offset: i64,
    /// Largest timestamp of its records, in milliseconds since the epoch.
    pub max_timestamp_ms: i64,
    /// Its batches, in bytes.
    pub size_bytes: u64,
}

/// What the owner of a log derived from it up to an offset, so that it need not read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before this offset is accounted for.
    pub at_offset: i64,
    /// The owner's own format.
    pub state: Bytes,
}

/// A log as it was found at start.
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    /// Its name.
    pub id: LogId,
    /// The first offset that may be read.
    pub start_offset: i64,
    /// The offset after the last batch.
    pub end_offset: i64,
    /// The newest checkpoint that survived.
    pub checkpoint: Option<Checkpoint>,
}
