//! The fields of `farlog.yaml`. This file is the reference: the JSON Schema, `farlog explain`, the
//! configuration page and the checks are all made from it.
//!
//! A field or value with `x-not-yet` is parsed, explained and refused; the text says what works
//! today.

mod family;
mod groups;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use family::*;
pub use groups::*;
pub use text::{Address, Instant, Rate, Size, Span};

/// What Farlog replicates, between which clusters, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingsFile {
    /// Version of this format: always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The Kafka clusters, by the alias that the rest of the file calls them.
    pub clusters: BTreeMap<String, Cluster>,
    /// Topics under one write contract, by name. Each compiles to one link per cluster in
    /// `failover-to`.
    #[serde(default)]
    pub families: BTreeMap<String, Family>,
    /// One-way flows, by name. The name is part of a link's identity on its target: renamed, it is
    /// a new link.
    #[serde(default)]
    pub links: BTreeMap<String, Link>,
}

/// One Kafka cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cluster {
    /// Any of its brokers, as `host:port`; the others are found through them. May also be given by
    /// `bootstrap.servers` in `client-properties`.
    #[serde(default)]
    pub bootstrap_servers: Vec<Address>,
    /// Where it stands, for people and plans: `aws/us-east-1`.
    pub location: Option<String>,
    /// Whose law applies there: `eu`.
    pub jurisdiction: Option<String>,
    /// A Java client's properties file: security.protocol, sasl.jaas.config,
    /// ssl.truststore.location (PEM) and so on. A relative path starts at this file's folder.
    pub client_properties: Option<String>,
    /// What must stay secret, often as `${file:/run/secrets/…}` or `${env:…}`: either the text
    /// of client properties, or `username:password` for SASL (over TLS with SCRAM-SHA-512, unless
    /// `client-properties` says otherwise). Wins over `client-properties`.
    pub credentials: Option<String>,
    /// Run the cluster inside Farlog: it is there while `farlog run` runs with this file.
    pub embedded: Option<Embedded>,
}

/// A cluster that lives inside Farlog.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Embedded {
    /// Folder of its data, made if it is not there. A relative path starts at this file's folder.
    pub data: String,
    /// Where it listens, as `IP:port`. Two embedded clusters need two ports.
    #[schemars(extend("default" = "127.0.0.1:9092"))]
    pub listen: Option<Address>,
    /// What its clients are told to connect to, as `host:port`; without it the address that it
    /// listens on.
    pub advertised: Option<Address>,
    /// Acknowledge records when the disk has them. Without, they survive a kill of the process,
    /// but not of the machine.
    #[schemars(extend("default" = true))]
    pub fsync: Option<bool>,
}

/// One one-way flow from a source to a target cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Alias of the cluster that is read.
    pub source: String,
    /// Alias of the cluster that is written.
    pub target: String,
    /// Topics by name.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Topics by the beginning of their name; `""` is every topic.
    #[serde(default)]
    pub topic_prefixes: Vec<String>,
    /// Topics whose whole name matches a pattern in Java's dialect.
    #[serde(default)]
    pub topic_patterns: Vec<String>,
    /// Topics that are not mirrored although something above names them.
    #[serde(default)]
    pub exclude: Exclude,
    /// What the mirrors are called.
    #[serde(default)]
    pub naming: Naming,
    /// Text between alias and topic with `naming: prefixed`.
    #[schemars(extend("default" = "."))]
    pub separator: Option<String>,
    /// Where a partition starts that was never mirrored.
    #[serde(default)]
    pub start: Start,
    /// How positions of consumers find their place in the mirror.
    #[serde(default)]
    pub offsets: Offsets,
    /// What of transactions is mirrored.
    #[serde(default)]
    pub transactions: Transactions,
    /// Replication factor of mirror topics that Farlog creates. Without it, the target's own
    /// default.
    #[schemars(range(min = 1, max = 32767))]
    pub replication_factor: Option<i16>,
    /// Where the link's producer ids come from.
    #[serde(default)]
    pub producer_ids: ProducerIds,
    /// Most bytes per second that the link reads from its source. Without it, no limit.
    pub rate_limit: Option<Rate>,
    /// Which consumer groups follow.
    #[serde(default)]
    pub groups: LinkGroups,
    /// Which configs of a topic its mirror takes over.
    #[serde(default)]
    pub config_sync: ConfigSync,
    /// How often the source is asked for new topics and partitions.
    #[schemars(extend("default" = "5s"))]
    pub refresh_interval: Option<Span>,
    /// How long the other instances wait for one that went silent before one of them takes over.
    /// The target's brokers accept no less than their `group.min.session.timeout.ms`.
    #[schemars(extend("default" = "6s"))]
    pub session_timeout: Option<Span>,
    /// What happens when the source deleted records before they were mirrored.
    #[serde(default)]
    pub on_source_data_loss: OnSourceDataLoss,
    /// Bounds of memory and of what is under way. The defaults suit nearly everybody.
    #[serde(default)]
    pub limits: Limits,
    /// Stay this far behind, so that poison can be stopped before it arrives.
    #[schemars(extend("x-not-yet" = "links mirror as fast as they can"))]
    pub delay: Option<Span>,
    /// Merge batches also where they are compressed (below 64 KB), and compress what is merged,
    /// plain records, too: for expensive lines, and for batches of some ten KB, which otherwise
    /// cost a request each. Without it batches keep the compression that they have, and compressed
    /// ones are merged below 8 KB only.
    pub recompress: Option<Recompress>,
}

/// Topics that are not mirrored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exclude {
    /// By name.
    #[serde(default)]
    pub topics: Vec<String>,
    /// By the beginning of their name.
    #[serde(default)]
    pub topic_prefixes: Vec<String>,
    /// By a pattern in Java's dialect that the whole name matches.
    #[serde(default)]
    pub topic_patterns: Vec<String>,
}

/// What mirrors are called.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// As their source topic.
    #[default]
    Same,
    /// `<source alias>.<topic>`, as MirrorMaker 2 calls them.
    Prefixed,
}

/// Where a partition starts that was never mirrored.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Start {
    /// By a word.
    At(StartAt),
    /// By time.
    From(StartFrom),
}

impl Default for Start {
    fn default() -> Start {
        Start::At(StartAt::Earliest)
    }
}

/// Where a partition starts, by a word.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartAt {
    /// At its first record. This is the default.
    Earliest,
    /// With the first record written after the link was created.
    Latest,
}

/// Where a partition starts, by time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StartFrom {
    /// At the first record that is not older: `2026-01-31T12:00:00Z` or milliseconds since 1970.
    pub timestamp: Instant,
}

/// How positions of consumers find their place in the mirror.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Offsets {
    /// An exact map from source to target offsets is kept.
    #[default]
    Translate,
    /// Every record has the offset in the mirror that it has at the source. Only for targets that
    /// are Apache Kafka or embedded; the operations page says what the mirror then holds besides.
    Preserve,
}

/// What of transactions is mirrored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transactions {
    /// Committed records, once; aborted ones never.
    #[default]
    CommittedOnly,
    /// Transactions stay transactions.
    #[schemars(extend("x-not-yet" = "`committed-only` mirrors what was committed"))]
    Atomic,
}

/// Where a link's producer ids come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProducerIds {
    /// Tagged where the target is known to be Apache Kafka, allocated elsewhere.
    #[default]
    Auto,
    /// Of Farlog's own choosing. Only for Apache Kafka.
    Tagged,
    /// Allocated by the target once, and remembered.
    Allocated,
}

/// What merged batches are compressed with.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recompress {
    /// zstd, at Kafka's default level.
    Zstd,
    /// LZ4: larger, and cheaper.
    Lz4,
    /// Snappy.
    Snappy,
    /// gzip.
    Gzip,
}

/// What happens when the source deleted records before they were mirrored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnSourceDataLoss {
    /// The gap is reported, and mirroring goes on behind it.
    #[default]
    Continue,
    /// The partition stops and says what is lost.
    Stop,
}

/// Which configs of a topic its mirror takes over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigSync {
    /// Whether configs follow at all. What exactly-once mirroring needs is set in any case.
    #[schemars(extend("default" = true))]
    pub enabled: bool,
    /// Config names that do not follow, as patterns, in addition to those that MirrorMaker 2
    /// leaves out (min.insync.replicas, unclean.leader.election.enable and the like).
    pub exclude: Vec<String>,
    /// How often configs are compared.
    #[schemars(extend("default" = "60s"))]
    pub interval: Option<Span>,
}

impl Default for ConfigSync {
    fn default() -> ConfigSync {
        ConfigSync { enabled: true, exclude: Vec::new(), interval: None }
    }
}

/// Bounds of one link.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Bytes asked of one partition in one fetch.
    pub fetch_partition_bytes: Option<Size>,
    /// Bytes asked of one broker in one fetch at most, however many partitions it is about. No
    /// more is asked of one partition, and less where the connections to all brokers could not
    /// wait for that much at the same time within `memory-bytes`.
    pub fetch_bytes: Option<Size>,
    /// Batches of one partition under way to the target.
    #[schemars(range(min = 1, max = 100))]
    pub in_flight_batches: Option<u32>,
    /// Bytes of all partitions that may be fetched and not yet acknowledged. Unless set, an even
    /// share of what other links leave of 96 MiB, 12 MiB at most.
    pub memory_bytes: Option<Size>,
}

/// The JSON Schema of `farlog.yaml`.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(SettingsFile).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "farlog.yaml".into());
    }
    schema
}
