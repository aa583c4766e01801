//! What a caller decides about a link.

use std::time::Duration;

use farlog_wire::records::Compression;

use crate::groups::GroupSelection;
use crate::limits;
use crate::mm2::MirrorMakerTopics;
use crate::topics::config_sync::ConfigSyncPolicy;
use crate::topics::filter::TopicSelection;

/// Where mirroring of a partition begins when nothing of it was mirrored before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the source's log start.
    Earliest,
    /// At the source's log end: only what comes after.
    Latest,
    /// At the first record with this timestamp or a later one, in milliseconds since the epoch.
    Timestamp(i64),
}

/// Which producer ids a link writes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerIds {
    /// Tagged where the target says that it is Apache Kafka in KRaft mode, else allocated.
    Auto,
    /// Ids of Farlog's own making. Never on Redpanda: it would go on to hand them to others.
    Tagged,
    /// One id allocated by the target, kept in the state topic.
    Allocated,
}

/// Which offsets the records of a mirror have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// The next free ones; an exact map to those of the source is kept.
    #[default]
    Translate,
    /// Those that they have at the source (ADR 0011).
    Preserve,
}

/// What to do about source records that retention deleted before they were mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSourceDataLoss {
    /// Report the range and go on at the log start: waiting would only lose more.
    Continue,
    /// Stop the partition.
    Stop,
}

/// Everything that a link needs to know.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The link's name: part of its group, its producer id and its state. No `|` in it.
    pub name: String,
    /// Alias of the source cluster.
    pub source_alias: String,
    /// Alias of the target cluster.
    pub target_alias: String,
    /// Which topics, and under which names.
    pub topics: TopicSelection,
    /// Where to begin.
    pub start: Start,
    /// Which offsets records get.
    pub offsets: Offsets,
    /// Replication factor of mirror topics and internal topics; -1 is the target's default.
    pub replication_factor: i16,
    /// How often topics, partitions and configs are looked at.
    pub refresh_interval: Duration,
    /// Which groups follow; `None` for none.
    pub groups: Option<GroupSelection>,
    /// Which configs are kept in step; `None` for none but the floor.
    pub config_sync: Option<ConfigSyncPolicy>,
    /// How often configs are read from both clusters.
    pub config_interval: Duration,
    /// Bound on the bytes fetched per second.
    pub rate_bytes_per_second: Option<u64>,
    /// Bound on the bytes fetched and not yet acknowledged. As many bytes of unused fetch buffers
    /// are kept for the next fetches.
    pub memory_bytes: usize,
    /// Bound on the batches of one partition under way; `None` lets the round trip decide.
    pub in_flight_max: Option<usize>,
    /// Bytes asked of one partition in one fetch.
    pub fetch_partition_bytes_max: i32,
    /// Bytes asked of one broker in one fetch, however many partitions it is about. No more is
    /// asked of a partition, and never more than `memory_bytes`.
    pub fetch_bytes_max: i32,
    /// Compress what is merged with this, and merge compressed batches below 64 KB, too; `None`
    /// keeps the compression that batches have, and merges compressed ones below 8 KB only.
    pub recompress: Option<Compression>,
    /// Which producer ids to write with.
    pub producer_ids: ProducerIds,
    /// The target's `producer.id.expiration.ms`, where it may not be read from the brokers.
    pub producer_id_expiration_ms: Option<i64>,
    /// What to do when retention overtakes the link.
    pub on_source_data_loss: OnSourceDataLoss,
    /// What to write for MirrorMaker 2's readers; `None` writes nothing.
    pub mirrormaker: Option<MirrorMakerTopics>,
    /// Name of this instance in status; with `static_instance` also its place in the group.
    pub instance: String,
    /// Take the place of an instance of the same name at once, as after a restart.
    pub static_instance: bool,
    /// How long the group waits for an instance that went silent.
    pub session_timeout: Duration,
    /// Records of one mirror in the state topic from which on the next turn replaces them by blocks
    /// of its map.
    pub sealed_records_min: usize,
}

impl LinkOptions {
    /// Options with the defaults.
    pub fn new(
        name: impl Into<String>,
        source_alias: impl Into<String>,
        target_alias: impl Into<String>,
        topics: TopicSelection,
    ) -> Self {
        Self {
            name: name.into(),
            source_alias: source_alias.into(),
            target_alias: target_alias.into(),
            topics,
            start: Start::Earliest,
            offsets: Offsets::Translate,
            replication_factor: -1,
            refresh_interval: limits::REFRESH_INTERVAL,
            groups: None,
            config_sync: None,
            config_interval: limits::CONFIG_INTERVAL,
            rate_bytes_per_second: None,
            memory_bytes: limits::MEMORY_BYTES,
            in_flight_max: None,
            fetch_partition_bytes_max: limits::FETCH_PARTITION_BYTES_MAX,
            fetch_bytes_max: limits::FETCH_BYTES_MAX,
            recompress: None,
            producer_ids: ProducerIds::Auto,
            producer_id_expiration_ms: None,
            on_source_data_loss: OnSourceDataLoss::Continue,
            mirrormaker: None,
            instance: "farlog".to_owned(),
            static_instance: false,
            session_timeout: limits::SESSION_TIMEOUT,
            sealed_records_min: limits::STATE_SEALED_RECORDS_MIN,
        }
    }

    /// Unused buffers of merged batches that are kept for the next ones.
    pub(crate) fn merge_buffers_kept_max(&self) -> usize {
        (self.memory_bytes / limits::MEMORY_BYTES_PER_MERGE_BUFFER).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::{Naming, NamingPolicy, TopicFilter};

    #[test]
    fn buffers_kept_follow_the_memory() {
        let naming = NamingPolicy::new(Naming::Same, "east", "west");
        let topics = TopicSelection { filter: TopicFilter::default(), heartbeats: false, naming };
        let mut options = LinkOptions::new("link", "east", "west", topics);
        assert_eq!(options.merge_buffers_kept_max(), 12);
        options.memory_bytes = 1024;
        assert_eq!(options.merge_buffers_kept_max(), 1);
    }
}
