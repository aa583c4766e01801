//! The bounds of groups, each with its unit.

/// Partitions of `__consumer_offsets`: enough for the groups of one broker.
pub(crate) const OFFSETS_PARTITIONS: i32 = 8;

/// Groups that may be known at a time.
pub(crate) const GROUPS_MAX: usize = 100_000;

/// Bytes of one member's protocols or subscription.
pub(crate) const MEMBER_METADATA_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of what a client notes beside an offset (`offset.metadata.max.bytes` of Kafka).
pub(crate) const OFFSET_METADATA_BYTES_MAX: usize = 4_096;

/// How long a member that joins for the first time may wait for the group to settle, in
/// milliseconds, as Kafka has it.
pub(crate) const NEW_MEMBER_TIMEOUT_MS: i64 = 300_000;
