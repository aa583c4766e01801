//! The bounds of transactions, each with its unit.

/// How long a transactional id that nobody uses is remembered, in milliseconds
/// (`transactional.id.expiration.ms` of Kafka).
pub(crate) const UNUSED_MS_MAX: i64 = 604_800_000;

/// Transactional ids at a time; Kafka has no bound, and each takes memory here.
pub(crate) const TRANSACTIONAL_IDS_MAX: usize = 100_000;

/// Partitions of `__transaction_state`. Fewer than Kafka's 50: one broker gains nothing from more.
pub(crate) const STATE_PARTITIONS: i32 = 8;
