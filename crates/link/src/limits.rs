//! The bounds of a link, each with its unit.

use std::time::Duration;

/// Merged batches stay below this: Kafka's default `max.message.bytes` is 1,048,588.
pub const MERGED_BATCH_BYTES_MAX: usize = 1_000_000;

/// Compressed batches of this size and more pass as they are, also with `recompress`.
pub const PASSED_THROUGH_BYTES_MIN: usize = 64 * 1024;

/// Compressed batches below this are merged with their neighbours and compressed again as they
/// were: from about this size on, a request of their own costs target and link less (ADR 0009).
pub const MERGED_COMPRESSED_BYTES_MAX: usize = 8 * 1024;
/// Gaps that one batch may contain; beyond it the batch is cut, which bounds a state record.
pub const RUNS_PER_BATCH_MAX: usize = 8_192;

/// Assembled batches of one partition that may wait to be sent.
pub const READY_BATCHES_MAX: usize = 2;

/// Bytes asked of one partition in one fetch.
pub const FETCH_PARTITION_BYTES_MAX: i32 = 1024 * 1024;

/// Bytes asked of one broker in one fetch.
pub const FETCH_BYTES_MAX: i32 = 3 * 1024 * 1024;

/// Bytes asked of one broker in one fetch, however many lanes share the memory; with more lanes
/// than that allows, they take turns.
pub const FETCH_SHARE_BYTES_MIN: i32 = 64 * 1024;

/// How long the source may wait for data before it answers an idle fetch.
pub const FETCH_WAIT_MS: i32 = 250;

/// The same while a partition of the lane could not be asked because its reader is behind.
pub const FETCH_WAIT_BUSY_MS: i32 = 10;

/// Fetch answers of one partition that may wait for its worker.
pub const FETCHED_WAITING_MAX: usize = 2;

/// Connections per source or target broker, shared by the partitions that it leads.
pub const LANES_PER_BROKER: usize = 4;

/// Bytes of one link that may be fetched and not yet acknowledged.
pub const MEMORY_BYTES: usize = 12 * 1024 * 1024;

/// A link keeps one buffer of merged batches for this much of its memory, at least one …
pub const MEMORY_BYTES_PER_MERGE_BUFFER: usize = 1024 * 1024;

/// … if they are no larger than this.
pub const MERGE_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Batches of one partition under way: this many on a short round trip …
pub const IN_FLIGHT_MIN: usize = 5;

/// … and this many from `IN_FLIGHT_MAX_ROUND_TRIP` on.
pub const IN_FLIGHT_MAX: usize = 20;

/// The round trip at which the window is at its largest.
pub const IN_FLIGHT_MAX_ROUND_TRIP: Duration = Duration::from_millis(40);

/// Decompressed bytes of one batch that a link is ready to look into.
pub const DECOMPRESSED_BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often a position is saved while a partition moves.
pub const ANCHOR_INTERVAL: Duration = Duration::from_secs(30);

/// Back-off after a failure of a partition: doubled from the first to the second.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// See `BACKOFF_MIN`.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How often a stopped partition looks whether its cause has gone.
pub const STOPPED_RETRY: Duration = Duration::from_secs(10);

/// How long the place where a mirror ends is believed while its broker would take a batch anywhere:
/// its leader may have changed meanwhile, and lost records, without a word to an idle link.
pub const UNARMED_SURE: Duration = Duration::from_secs(10);
/// Between two readings of a log end that must agree after a connection was lost.
pub const SETTLE_INTERVAL: Duration = Duration::from_millis(200);

/// Partitions of the state topic.
pub const STATE_PARTITIONS: i32 = 8;

/// Records that may wait for the state writer: above it writing fails at once.
pub const STATE_WRITES_WAITING_MAX: usize = 16 * 1024;

/// Bytes of one produce request to the state topic, the last record excepted.
pub const STATE_WRITE_BYTES_MAX: usize = 256 * 1024;

/// Attempts to write before the partition that waits reads its position again.
pub const STATE_WRITE_ATTEMPTS_MAX: u32 = 5;

/// How long the target may wait for its replicas before it gives up on a batch.
pub const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Entries of one mirror partition kept in memory; older ones are read again if ever needed.
pub const ENTRIES_KEPT_MAX: usize = 256;

/// Stretches between two gaps that an offset map keeps as they are before it packs them.
pub const OFFSET_MAP_OPEN_MAX: usize = 256;

/// Stretches that it packs into one block, which is read from its beginning.
pub const OFFSET_MAP_BLOCK_MAX: usize = 4096;

/// Bytes of packed blocks of one offset map. Beyond it positions in the oldest ones are no longer
/// exact: some records are read again.
pub const OFFSET_MAP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Records of one mirror in the state topic from which on they are replaced by blocks of its map.
pub const STATE_SEALED_RECORDS_MIN: usize = 128;

/// How often topics, partitions and configs are looked at.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// How often configs are read from both clusters.
pub const CONFIG_INTERVAL: Duration = Duration::from_secs(60);

/// Kafka's least session timeout by default (`group.min.session.timeout.ms`).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Partitions of the topic of checkpoints.
pub const CHECKPOINT_PARTITIONS: i32 = 8;

/// Offsets of groups that are followed; more are left out, and said.
pub const FOLLOWED_OFFSETS_MAX: usize = 1_000_000;

/// Offsets of one partition of `__consumer_offsets` that may belong to open transactions.
pub const UNDECIDED_COMMITS_MAX: usize = 1_000_000;

/// Bytes of `__consumer_offsets` that may be fetched and not yet taken in.
pub const COMMITS_MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// Readings of partitions of `__consumer_offsets` that may wait to be taken in.
pub const COMMITS_WAITING_MAX: usize = 256;

/// Groups whose offsets are being written at a time.
pub const GROUP_WRITES_IN_FLIGHT_MAX: usize = 32;

/// Groups that wait for the mirror and are looked at again at a time, when it has moved.
pub const GROUPS_WOKEN_MAX: usize = 512;

/// How long an offset waits for the mirror to have everything before it, before the end of the
/// mirror is committed instead.
pub const GROUP_HOLD: Duration = Duration::from_secs(1);

/// Between two attempts for a group that could not be written, that has members at the target, or
/// whose offset there is not Farlog's.
pub const GROUP_RETRY: Duration = Duration::from_secs(5);

/// Groups named in a status, of those that need attention.
pub const GROUPS_NAMED_MAX: usize = 20;

/// How often an instance publishes its status.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes of one batch that is written to an internal topic of MirrorMaker 2.
pub const MIRRORMAKER_BATCH_BYTES_MAX: usize = 256 * 1024;

/// How often offset syncs are written.
pub const OFFSET_SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// For how many of these intervals the last record of a partition may wait for its offset sync.
pub const OFFSET_SYNC_TICKS_MAX: u32 = 10;

/// Offset syncs of one partition that are written at once; more are spread evenly.
pub const OFFSET_SYNCS_AT_ONCE_MAX: i64 = 100;

/// Offset syncs of all partitions that are written at once; each has its share, and at least one.
pub const OFFSET_SYNCS_WAITING_MAX: usize = 100_000;

/// Records of one internal topic of MirrorMaker 2 that are read, the newest of them.
pub const OBSERVED_INTERNAL_RECORDS_MAX: i64 = 2_000_000;

/// Records of a log that are compared to find one position in a mirror.
pub const OBSERVED_RECORDS_MAX: usize = 20_000;

/// Bytes that a batch may have, uncompressed, that is only looked into.
pub const OBSERVED_BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Partitions that are looked at side by side.
pub const OBSERVED_AT_ONCE_MAX: usize = 8;

const _: () = assert!(FETCH_PARTITION_BYTES_MAX <= FETCH_BYTES_MAX);
const _: () = assert!(IN_FLIGHT_MIN <= IN_FLIGHT_MAX);
// One full answer of every lane of one broker fits the budget, so that fetching cannot lock up.
const _: () = assert!(FETCH_BYTES_MAX as usize * LANES_PER_BROKER <= MEMORY_BYTES);
