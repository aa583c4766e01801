//! The limits of this crate, named with their units.

use std::time::Duration;

/// Bytes of one batch: Kafka's largest frame, with room.
pub(crate) const BATCH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes of one checkpoint; larger ones are left out, which costs their owner time at the next
/// start.
pub(crate) const CHECKPOINT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that one write to the log takes together, if one batch alone is not larger.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Entries that one write to the log takes together.
pub(crate) const GROUP_ENTRIES_MAX: usize = 4096;

/// Bytes of neighbouring entries of one log that the index names as one: what a read that begins
/// in their middle reads in vain.
pub(crate) const RUN_BYTES_MAX: u32 = 64 * 1024;

/// A log that is so many times as long as it should be is written slowly, until what moves its
/// oldest part to segments has caught up; and how slowly, in bytes a second.
pub(crate) const LONG_LOG_TIMES: u64 = 4;
pub(crate) const LONG_LOG_BYTES_PER_SECOND: u64 = 32 * 1024 * 1024;

/// Bytes of one file of the log when the next one is begun: positions in it have 32 bits.
pub(crate) const LOG_FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Bytes that one read gives at most, if one batch alone is not larger.
pub(crate) const READ_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a segment object, at most: it is made in memory.
pub(crate) const SEGMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a segment that have one checksum and one entry in its index, if one batch alone is not
/// larger: what a read that begins in their middle reads in vain.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// Bytes of files that are written at once, if one batch alone is not larger: for many megabytes
/// together Linux makes large folios, and took eight times the CPU for that.
pub(crate) const WRITE_BYTES: usize = 256 * 1024;

/// Bytes of buffers for reads, kept for the next ones, and of one of them.
pub(crate) const KEPT_BUFFERS_BYTES_MAX: usize = 8 * 1024 * 1024;
pub(crate) const KEPT_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of such a buffer are a multiple of this many; what is smaller is not kept.
pub(crate) const BUFFER_STEP_BYTES: usize = 256 * 1024;

/// Bytes of segments' indexes that are held in memory.
pub(crate) const INDEX_CACHE_BYTES: usize = 4 * 1024 * 1024;

/// How often something is asked of a bucket before its error is passed on.
pub(crate) const OBJECT_ATTEMPTS_MAX: usize = 8;

/// How often a cloud's client tries one request by itself; each is one of the attempts above.
pub(crate) const REQUEST_ATTEMPTS_MAX: usize = 4;

/// After which a cloud's client does not try a request again by itself.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// How long one request for the write-ahead log may take.
pub(crate) const LOG_REQUEST_TIME_MAX: Duration = Duration::from_secs(20);

/// After which a connection that the write-ahead log has not used is not used again: between two
/// requests nobody would see that the other side has closed it.
pub(crate) const LOG_CONNECTION_IDLE_MAX: Duration = Duration::from_secs(4);

/// Between the first two attempts; then twice as long each time.
pub(crate) const OBJECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Between two attempts, at most.
pub(crate) const OBJECT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often the newest manifest is looked for, when it is replaced while it is read.
pub(crate) const MANIFEST_ATTEMPTS_MAX: usize = 8;

/// Between two looks at whether anything is to be moved or deleted, if nothing happens.
pub(crate) const MOVE_INTERVAL: Duration = Duration::from_secs(5);

/// The first chunk of a write-ahead log in a bucket.
pub(crate) const CHUNK_FIRST: u64 = 1;

/// Chunks of a write-ahead log in a bucket that are read at the same time.
pub(crate) const CHUNKS_AT_A_TIME: usize = 32;

/// Chunks that one file of a write-ahead log in a bucket consists of at most; whoever opens the
/// store reads each of them.
pub(crate) const CHUNKS_PER_FILE_MAX: u64 = 2048;

/// Complete files of a write-ahead log in a bucket; beyond them the oldest are moved.
pub(crate) const BUCKET_LOG_FILES_MAX: usize = 3;

/// Bytes that memory needs for a batch besides its own.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = 128;

/// Bytes that one read of a file takes at start-up.
pub(crate) const SCAN_BYTES: usize = 1024 * 1024;

const _: () = {
    // Positions in a file of the log have 32 bits: a file ends at most one group of writes, or one
    // batch, behind the size at which it is full.
    let group = GROUP_BYTES_MAX as u64 + GROUP_ENTRIES_MAX as u64 * 128;
    assert!(LOG_FILE_BYTES_MAX + group + BATCH_BYTES_MAX as u64 <= u32::MAX as u64);
};
