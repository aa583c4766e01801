//! The keys of MirrorMaker 2's connectors (printed from the ConfigDefs of 4.1) and what becomes of
//! each here.

/// What becomes of a connector key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Read by the compiler of flows.
    Honoured,
    /// Accepted; why it changes nothing.
    NoEffect(&'static str),
    /// Part of a feature that is announced as not yet here.
    NotYet,
    /// Names Java classes; those that mean nothing or the built-in are fine.
    PlugIn(&'static [&'static str]),
    /// Must be empty.
    Refused(&'static str),
}

use Treatment::{Honoured, NoEffect, NotYet, PlugIn, Refused};

const SET_BY_THE_DRIVER: Treatment = NoEffect("the flow decides it");
const POSITIONS: Treatment = NoEffect("Farlog keeps positions in topics of its own");
const METRICS: Treatment = NoEffect("Farlog's metrics are Prometheus metrics");
const ALWAYS_EXACT: Treatment = NoEffect("Farlog is always exactly once");
const RETRIES: Treatment =
    NoEffect("Farlog retries what can be retried and stops a partition with its reason otherwise");
const SCHEDULING: Treatment = NoEffect("Farlog spreads partitions over its own tasks");
const BYTE_ARRAYS: Treatment = PlugIn(&["org.apache.kafka.connect.converters.ByteArrayConverter"]);

/// Keys that may be written bare, where they count for all flows, or for one flow.
const CONNECTOR: &[(&str, Treatment)] = &[
    ("enabled", Honoured),
    ("source.cluster.alias", SET_BY_THE_DRIVER),
    ("target.cluster.alias", SET_BY_THE_DRIVER),
    ("name", SET_BY_THE_DRIVER),
    ("connector.class", SET_BY_THE_DRIVER),
    ("connector.plugin.version", SET_BY_THE_DRIVER),
    ("tasks.max", SCHEDULING),
    ("tasks.max.enforce", SCHEDULING),
    ("admin.timeout.ms", NoEffect("Farlog has its own time limits")),
    ("replication.policy.class", Honoured),
    ("replication.policy.separator", Honoured),
    ("replication.policy.internal.topic.separator.enabled", Honoured),
    ("forwarding.admin.class", PlugIn(&["org.apache.kafka.clients.admin.ForwardingAdmin"])),
    ("metric.reporters", PlugIn(&["org.apache.kafka.common.metrics.JmxReporter"])),
    ("key.converter", BYTE_ARRAYS),
    ("value.converter", BYTE_ARRAYS),
    ("header.converter", BYTE_ARRAYS),
    ("key.converter.plugin.version", SET_BY_THE_DRIVER),
    ("value.converter.plugin.version", SET_BY_THE_DRIVER),
    ("header.converter.plugin.version", SET_BY_THE_DRIVER),
    ("transforms", Refused("single message transforms cannot run here: batches stay raw")),
    ("predicates", Refused("predicates of transforms cannot run here: batches stay raw")),
    ("errors.tolerance", RETRIES),
    ("errors.retry.timeout", RETRIES),
    ("errors.retry.delay.max.ms", RETRIES),
    ("errors.log.enable", RETRIES),
    ("errors.log.include.messages", RETRIES),
    ("config.action.reload", NoEffect("secrets are read when Farlog starts")),
    ("topics", Honoured),
    ("topics.exclude", Honoured),
    ("topics.blacklist", Honoured),
    ("topic.filter.class", PlugIn(&["org.apache.kafka.connect.mirror.DefaultTopicFilter"])),
    ("heartbeats.replication.enabled", Honoured),
    ("config.properties.exclude", Honoured),
    ("config.properties.blacklist", Honoured),
    (
        "config.property.filter.class",
        PlugIn(&["org.apache.kafka.connect.mirror.DefaultConfigPropertyFilter"]),
    ),
    ("consumer.poll.timeout.ms", NoEffect("Farlog does not poll")),
    ("refresh.topics.enabled", Honoured),
    ("refresh.topics.interval.seconds", Honoured),
    ("sync.topic.configs.enabled", Honoured),
    ("sync.topic.configs.interval.seconds", Honoured),
    ("sync.topic.acls.enabled", NotYet),
    ("sync.topic.acls.interval.seconds", NotYet),
    ("replication.factor", Honoured),
    ("offset-syncs.topic.replication.factor", Honoured),
    ("offset-syncs.topic.location", Honoured),
    ("offset.lag.max", Honoured),
    ("emit.offset-syncs.enabled", Honoured),
    ("groups", Honoured),
    ("groups.exclude", Honoured),
    ("groups.blacklist", Honoured),
    ("group.filter.class", PlugIn(&["org.apache.kafka.connect.mirror.DefaultGroupFilter"])),
    ("refresh.groups.enabled", NoEffect("groups follow from their first commit on")),
    ("refresh.groups.interval.seconds", NoEffect("groups follow from their first commit on")),
    ("emit.checkpoints.enabled", Honoured),
    ("emit.checkpoints.interval.seconds", Honoured),
    ("sync.group.offsets.enabled", Honoured),
    ("sync.group.offsets.interval.seconds", NoEffect("groups follow within milliseconds")),
    ("checkpoints.topic.replication.factor", Honoured),
    ("emit.heartbeats.enabled", Honoured),
    ("emit.heartbeats.interval.seconds", Honoured),
    ("heartbeats.topic.replication.factor", Honoured),
    ("metric.names.formats", METRICS),
    ("use.incremental.alter.configs", NoEffect("Farlog always alters incrementally")),
    ("add.source.alias.to.metrics", METRICS),
    ("auto.include.jmx.reporter", METRICS),
    ("exactly.once.support", ALWAYS_EXACT),
    ("transaction.boundary", ALWAYS_EXACT),
    ("transaction.boundary.interval.ms", ALWAYS_EXACT),
    ("offsets.storage.topic", POSITIONS),
];

/// Keys that are not the connectors' but the driver's or the worker's, written bare.
const DRIVER: &[(&str, Treatment)] = &[
    ("clusters", Honoured),
    ("config.providers", Honoured),
    ("dedicated.mode.enable.internal.rest", NoEffect("instances meet in Kafka, not over REST")),
    ("listeners", NoEffect("instances meet in Kafka, not over REST")),
    ("rest.advertised.host.name", NoEffect("instances meet in Kafka, not over REST")),
    ("rest.advertised.port", NoEffect("instances meet in Kafka, not over REST")),
    ("rest.advertised.listener", NoEffect("instances meet in Kafka, not over REST")),
    ("access.control.allow.origin", NoEffect("instances meet in Kafka, not over REST")),
    ("access.control.allow.methods", NoEffect("instances meet in Kafka, not over REST")),
    ("response.http.headers.config", NoEffect("instances meet in Kafka, not over REST")),
    ("ssl.client.auth", NoEffect("instances meet in Kafka, not over REST")),
    ("admin.listeners", NoEffect("instances meet in Kafka, not over REST")),
];

/// Bare keys of the worker that count for every herder, by prefix.
const WORKER_PREFIXES: &[&str] =
    &["offset.storage", "config.storage", "status.storage", "task", "worker"];

/// Keys of Connect's worker, which count as `<target>.<key>`.
const WORKER: &[&str] = &[
    "connect.protocol",
    "connector.client.config.override.policy",
    "exactly.once.source.support",
    "group.id",
    "heartbeat.interval.ms",
    "offset.flush.interval.ms",
    "offset.flush.timeout.ms",
    "plugin.discovery",
    "plugin.path",
    "rebalance.timeout.ms",
    "scheduled.rebalance.max.delay.ms",
    "session.timeout.ms",
    "topic.creation.enable",
    "topic.tracking.allow.reset",
    "topic.tracking.enable",
    "worker.sync.timeout.ms",
    "worker.unsync.backoff.ms",
];

/// What becomes of a key that a connector knows.
pub(super) fn connector(key: &str) -> Option<Treatment> {
    CONNECTOR.iter().find(|(name, _)| *name == key).map(|(_, treatment)| *treatment)
}

/// What becomes of a bare key of the driver or of every worker.
pub(super) fn driver(key: &str) -> Option<Treatment> {
    if let Some((_, treatment)) = DRIVER.iter().find(|(name, _)| *name == key) {
        return Some(*treatment);
    }
    if key.starts_with("config.providers.") {
        return Some(Honoured);
    }
    WORKER_PREFIXES.iter().any(|prefix| key.starts_with(prefix)).then_some(POSITIONS)
}

/// What becomes of a key of Connect's worker.
pub(super) fn worker(key: &str) -> Option<Treatment> {
    if ["key.converter", "value.converter", "header.converter"].contains(&key) {
        return Some(BYTE_ARRAYS);
    }
    if key == "exactly.once.source.support" {
        return Some(ALWAYS_EXACT);
    }
    let known = WORKER.contains(&key)
        || key.starts_with("config.providers")
        || WORKER_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    known.then_some(NoEffect("Farlog runs without Kafka Connect"))
}

/// Names for "did you mean".
pub(super) fn connector_names() -> impl Iterator<Item = &'static str> {
    CONNECTOR.iter().chain(DRIVER).map(|(name, _)| *name)
}
