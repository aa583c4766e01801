//! The fields of a family: a write contract over topics. Most of them are declarations that later
//! releases act on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Exclude, Group, Naming, Offsets, Span, Transactions};

/// Topics under one write contract.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Family {
    /// Topics by name.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Topics by the beginning of their name.
    #[serde(default)]
    pub topic_prefixes: Vec<String>,
    /// Topics whose whole name matches a pattern in Java's dialect.
    #[serde(default)]
    pub topic_patterns: Vec<String>,
    /// Topics that are not mirrored although something above names them.
    #[serde(default)]
    pub exclude: Exclude,
    /// Who writes and who reads where.
    #[serde(default)]
    pub pattern: Pattern,
    /// Alias of the cluster where the family's writes are accepted.
    pub write_cluster: Option<String>,
    /// Principals that write, who may be fenced or throttled.
    #[schemars(extend("x-not-yet" = "fencing lands with failover; clients are moved by hand"))]
    pub writers: Option<Vec<String>>,
    /// Aliases of the clusters that hold a mirror, in order of preference.
    #[serde(default)]
    pub failover_to: Vec<String>,
    /// Who decides that a mirror becomes the write cluster.
    #[serde(default)]
    pub promotion: Promotion,
    /// What happens to writers when the mirror lags.
    #[serde(default)]
    pub protection: Protection,
    /// What the mirrors are called.
    #[serde(default)]
    pub naming: Naming,
    /// How positions of consumers find their place in the mirror.
    #[serde(default)]
    pub offsets: Offsets,
    /// What of transactions is mirrored.
    #[serde(default)]
    pub transactions: Transactions,
    /// Which order is kept.
    #[serde(default)]
    pub ordering: Ordering,
    /// How often a record may arrive.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// Where consumers resume after a failover.
    #[schemars(extend("x-not-yet" = "consumers resume by their own auto.offset.reset"))]
    pub replay: Option<Replay>,
    /// Consumer groups and what becomes of them. Without it every group that commits offsets of the
    /// family's topics follows, but `console-consumer-.*`, `connect-.*` and `__.*`; with it those
    /// that it names.
    pub groups: Option<Vec<Group>>,
    /// The schema registry that the records need.
    #[schemars(extend("x-not-yet" = "replicate the registry's own topic like any other"))]
    pub schemas: Option<Schemas>,
    /// Most that a failover may lose.
    #[schemars(extend("x-not-yet" = "`farlog lag` shows what a failover would lose now"))]
    pub rpo: Option<Rpo>,
    /// Longest time that a failover may take.
    #[schemars(extend("x-not-yet" = "failover is done by hand"))]
    pub rto: Option<Span>,
    /// How the old write cluster comes back.
    #[schemars(extend("x-not-yet" = "failback is done by hand"))]
    pub failback: Option<Failback>,
    /// How often failover is rehearsed.
    #[schemars(extend("x-not-yet" = "rehearse failover by hand"))]
    pub drill: Option<Drill>,
    /// Who may approve.
    #[schemars(extend("x-not-yet" = "no runbook waits for an approval"))]
    pub approvers: Option<Approvers>,
    /// What clients connect to.
    #[schemars(extend("x-not-yet" = "clients are pointed to a cluster by hand"))]
    pub endpoint: Option<Endpoint>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// Who writes and who reads where.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// One cluster is written and read, the others stand by.
    #[default]
    ActivePassive,
    /// One cluster is written, all are read.
    ActiveRead,
    /// Each cluster writes its share of the keys.
    #[schemars(extend("x-not-yet" = "`active-passive` and `active-read` have one write cluster"))]
    PartitionedActive,
    /// Every cluster writes.
    #[schemars(extend("x-not-yet" = "`active-passive` and `active-read` have one write cluster"))]
    MultiWriter,
    /// Spokes send to a hub.
    #[schemars(extend("x-not-yet" = "write one link per spoke with `naming: prefixed`"))]
    HubAndSpoke,
    /// From one cluster to another for good.
    #[schemars(extend("x-not-yet" = "`active-passive` keeps the copy; clients move by hand"))]
    Migration,
    /// Every cluster mirrors every other.
    #[schemars(extend("x-not-yet" = "write one link per pair with `naming: prefixed`"))]
    Mesh,
    /// Not replicated.
    None,
}

/// Who decides that a mirror becomes the write cluster.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Promotion {
    /// A person.
    #[default]
    Manual,
    /// Farlog, with a witness, a fresh passed drill and green readiness.
    #[schemars(extend("x-not-yet" = "`manual`: a person decides"))]
    Automatic,
}

/// What happens to writers when the mirror lags.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Nothing.
    #[default]
    Async,
    /// They are throttled when the lag passes the RPO.
    #[schemars(extend("x-not-yet" = "`async`: writers are never slowed down"))]
    Bounded,
    /// They wait for the mirror.
    #[schemars(extend("x-not-yet" = "`async`: writers are never slowed down"))]
    Sync,
}

/// Which order is kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ordering {
    /// That of each partition.
    #[default]
    Partition,
}

/// How often a record may arrive.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Exactly once.
    #[default]
    None,
}

/// Where consumers resume after a failover.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// At their translated position.
    FromCheckpoint,
}

/// The schema registry that the records need.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schemas {
    /// Its name.
    pub registry: String,
    /// What must be so before a failover.
    pub require: Option<String>,
}

/// Most that a failover may lose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rpo {
    /// In time.
    pub time: Option<Span>,
    /// In records.
    pub records: Option<u64>,
}

/// How the old write cluster comes back.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failback {
    /// As a mirror first.
    PassiveFirst,
}

/// How often failover is rehearsed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drill {
    /// At least this often.
    pub every: Span,
}

/// Who may approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Approvers {
    /// A failover.
    #[serde(default)]
    pub failover: Vec<String>,
    /// A failback.
    #[serde(default)]
    pub failback: Vec<String>,
}

/// What clients connect to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    /// Its name.
    pub dns: String,
    /// Longest time that a resolver may remember it.
    pub max_ttl: Option<Span>,
}
