//! The compiled form of any settings file: clusters and one-way links, whoever wrote them down and
//! in whatever format.

mod client;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use farlog_link::Offsets;
use farlog_link::groups::GroupSelection;
use farlog_link::mm2::MirrorMakerTopics;
use farlog_link::topics::{ConfigSyncPolicy, TopicSelection};
use farlog_wire::records::Compression;

use super::diagnostics::Place;

/// Everything that Farlog runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// By alias. Every alias that a link names is here.
    pub clusters: BTreeMap<String, ClusterSettings>,
    /// In order of `clusters` (MirrorMaker 2) or of names (families, then links). Names are unique.
    pub links: Vec<LinkSettings>,
}

/// How to reach one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Never empty.
    pub bootstrap_servers: Vec<ServerAddress>,
    /// TLS and SASL.
    pub security: SecuritySettings,
    /// `client.id`, where one was given.
    pub client_id: Option<String>,
    /// Where it stands, as in `aws/us-east-1`.
    pub location: Option<String>,
    /// Whose law applies.
    pub jurisdiction: Option<String>,
    /// For a cluster that lives inside Farlog.
    pub embedded: Option<EmbeddedSettings>,
}

/// A cluster that lives inside Farlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// Folder of its data.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its clients are told; `None` for the address listened on.
    pub advertised: Option<ServerAddress>,
    /// Whether the disk must have a record before it is acknowledged.
    pub fsync: bool,
}

/// `host:port`; an IPv6 host without its brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// Name or address.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

/// TLS and SASL of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecuritySettings {
    /// `None` is a connection without TLS.
    pub tls: Option<TlsSettings>,
    /// `None` is a connection without SASL.
    pub sasl: Option<SaslSettings>,
}

/// TLS, with the certificates already read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Authorities that sign the brokers' certificates; `None` means the system's.
    pub authorities_pem: Option<Vec<u8>>,
    /// Our own certificate and key, where brokers ask for one.
    pub identity: Option<TlsIdentity>,
    /// Accept a valid certificate of any host.
    pub any_host_name: bool,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// Leaf first.
    pub certificates_pem: Vec<u8>,
    /// Not encrypted.
    pub key_pem: Vec<u8>,
}

/// A SASL login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslSettings {
    /// How the password is proved.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// SASL mechanisms that Farlog speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// `PLAIN`
    Plain,
    /// `SCRAM-SHA-256`
    ScramSha256,
    /// `SCRAM-SHA-512`
    ScramSha512,
}

/// A text that never shows itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

/// One one-way flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Unique in the topology. Part of the link's identity on the target: renaming it is a new
    /// link.
    pub name: String,
    /// The family that it was compiled from, if any.
    pub family: Option<String>,
    /// Where the settings file asks for it.
    pub place: Place,
    /// Alias of the source cluster.
    pub source: String,
    /// Alias of the target cluster.
    pub target: String,
    /// Which topics, and what their mirrors are called.
    pub topics: TopicSelection,
    /// Of mirror topics that the link creates; `None` leaves it to the target's brokers.
    pub replication_factor: Option<i16>,
    /// Where a partition starts that was never mirrored.
    pub start: Start,
    /// Which offsets the records of mirrors have.
    pub offsets: Offsets,
    /// What of transactions is mirrored.
    pub transactions: Transactions,
    /// Where the link's producer ids come from.
    pub producer_ids: ProducerIds,
    /// Source bytes per second; `None` is no limit.
    pub rate_limit_bytes_per_second: Option<u64>,
    /// Which consumer groups follow; `None` if none do.
    pub groups: Option<GroupSelection>,
    /// Which configs follow the source topic; `None` copies none (the floor is still kept).
    pub config_sync: Option<ConfigSyncSettings>,
    /// How often the source is asked for new topics and partitions; `None` only once, at start.
    pub refresh_interval: Option<Duration>,
    /// How long the other instances wait for one that went silent; `None` leaves the default.
    pub session_timeout: Option<Duration>,
    /// What merged batches are compressed with; `None` leaves batches as they are.
    pub recompress: Option<Compression>,
    /// What happens when the source deleted records before they were mirrored.
    pub on_source_data_loss: OnSourceDataLoss,
    /// Bounds; each `None` leaves the link's default.
    pub limits: LinkLimits,
    /// The MirrorMaker 2 whose file this is.
    pub mirrormaker: Option<MirrorMakerSettings>,
}

/// What a MirrorMaker 2 keeps of a flow, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorMakerSettings {
    /// Names of its topics, what is written to them, and which groups it translates.
    pub topics: MirrorMakerTopics,
    /// Connect's group at the target.
    pub connect_group: String,
    /// Where Connect stores how far records are mirrored.
    pub source_offsets_topic: String,
}

/// Config sync of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSyncSettings {
    /// What is copied.
    pub policy: ConfigSyncPolicy,
    /// How often.
    pub interval: Duration,
}

/// Where a partition starts that was never mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    #[default]
    Earliest,
    /// With the first record written after the link was created.
    Latest,
    /// At the first record that is not older.
    Timestamp {
        /// Milliseconds since 1970, UTC.
        unix_ms: i64,
    },
}

/// What of transactions is mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transactions {
    /// Committed records, once; aborted ones never.
    #[default]
    CommittedOnly,
}

/// Where a link's producer ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProducerIds {
    /// Tagged where the target is known to be Apache Kafka, allocated elsewhere.
    #[default]
    Auto,
    /// Of the link's own choosing.
    Tagged,
    /// Allocated by the target once, and remembered.
    Allocated,
}

/// What happens when the source deleted records before they were mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSourceDataLoss {
    /// The gap is reported, and mirroring goes on behind it.
    #[default]
    Continue,
    /// The partition stops and says what is lost.
    Stop,
}

/// Bounds of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkLimits {
    /// Bytes asked of one partition in one fetch.
    pub fetch_partition_bytes: Option<u64>,
    /// Bytes asked of one broker in one fetch.
    pub fetch_bytes: Option<u64>,
    /// Batches of one partition under way to the target.
    pub in_flight_batches: Option<u32>,
    /// Bytes of all partitions that may be fetched and not yet acknowledged.
    pub memory_bytes: Option<u64>,
}

impl Topology {
    /// The link of a name.
    pub fn link(&self, name: &str) -> Option<&LinkSettings> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Keeps only the links whose target is listed (`--clusters` of `connect-mirror-maker.sh`).
    pub fn only_targets(&mut self, targets: &[String]) {
        self.links.retain(|link| targets.contains(&link.target));
    }
}

impl SaslMechanism {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}
