//! The bounds of a broker, each with its unit.

use std::time::Duration;

/// Connections at a time; further ones are closed at once.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;

/// Produce requests of one connection that may wait for the disk; no further request is read then.
pub(crate) const PRODUCES_IN_FLIGHT_MAX: usize = 64;

/// Bytes of responses of one connection that may wait for the client to read them.
pub(crate) const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// Bytes of records in an answer from which on they are not copied on their way out.
pub(crate) const SHARED_FIELD_BYTES_MIN: usize = 64 * 1024;

/// Bytes of the buffer for requests that a connection keeps from one to the next; what a larger
/// request needs is given back.
pub(crate) const KEPT_FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How often it is looked whether a request that has its place in memory goes on arriving, if
/// others wait for one.
pub(crate) const FRAME_PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes of a request that must have arrived since the last look then; else its connection is
/// closed.
pub(crate) const FRAME_PROGRESS_BYTES_MIN: usize = 64 * 1024;

/// How long a client may leave the answers to its produce requests unread, once there is no room
/// for more of them between it and us.
pub(crate) const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// From a connection's first byte to its proof of who it is: TLS and SASL together.
pub(crate) const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a failed authentication waits before it is told, as Kafka has it
/// (`connection.failed.authentication.delay.ms`).
pub(crate) const FAILED_AUTHENTICATION_DELAY: Duration = Duration::from_millis(100);

/// Clients whose rates are counted for their quotas; further ones go unlimited, and are counted
/// once others have been silent for an hour.
pub(crate) const QUOTA_RATES_MAX: usize = 100_000;

/// Entities that can have quotas.
pub(crate) const QUOTA_ENTITIES_MAX: usize = 100_000;

/// Access control entries; every request looks at all of them.
pub(crate) const ACLS_MAX: usize = 10_000;

/// Keys that tokens may be signed with.
pub(crate) const TOKEN_KEYS_MAX: usize = 1_000;

/// Between two authentications of one connection, as Kafka has it.
pub(crate) const REAUTHENTICATION_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Partitions of one topic, and how many one request may make.
pub(crate) const PARTITIONS_PER_TOPIC_MAX: i32 = 10_000;

/// Length of a topic's name, in characters, as Kafka has it.
pub(crate) const TOPIC_NAME_MAX: usize = 249;

/// Batches by which a producer's repeated request is recognised, as Kafka has it.
pub(crate) const BATCHES_REMEMBERED: usize = 5;

/// Decompressed bytes of one batch that the broker is ready to look into.
pub(crate) const DECOMPRESSED_BATCH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes appended to a partition after which a checkpoint is worth its writing: what a start reads
/// of it besides what has come since.
pub(crate) const CHECKPOINT_AFTER_BYTES: u64 = 8 * 1024 * 1024;

/// How long anything that was appended waits for a checkpoint, in milliseconds.
pub(crate) const CHECKPOINT_AFTER_MS: i64 = 60_000;

/// Bytes of a checkpoint; the store keeps none that is larger.
pub(crate) const CHECKPOINT_BYTES_MAX: usize = 1024 * 1024;

/// Between two looks for partitions that need a checkpoint.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Segments of one partition that are told apart by their times.
pub(crate) const SEGMENTS_REMEMBERED_MAX: usize = 256;

/// Bytes read at once when a log is searched or recovered.
pub(crate) const SCAN_BYTES: usize = 1024 * 1024;

/// Longest that a fetch may wait, whatever it asks for.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// How long requests under way may take when the broker stops.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer to a fetch, in bytes, whatever it asks for (`fetch.max.bytes` of Kafka).
pub(crate) const FETCH_BYTES_MAX: i32 = 55 * 1024 * 1024;

/// Fetch sessions at a time (`max.incremental.fetch.session.cache.slots` of Kafka); fetches beyond
/// them do without.
pub(crate) const FETCH_SESSIONS_MAX: usize = 1_000;

/// Partitions of one fetch session; a fetch of more does without.
pub(crate) const FETCH_SESSION_PARTITIONS_MAX: usize = 10_000;

/// How long a fetch session is kept for its client when others want its place, in milliseconds
/// (`min.incremental.fetch.session.eviction.ms` of Kafka).
pub(crate) const FETCH_SESSION_IDLE_MS: i64 = 120_000;

/// How long a produce request waits for the disk or the bucket at least, however little patience it
/// has: Kafka's own log has no such wait, so clients may say 0.
pub(crate) const PRODUCE_WAIT_MIN: Duration = Duration::from_secs(1);
