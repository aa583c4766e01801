//! What a caller decides about a broker.

use std::net::SocketAddr;

use farlog_store::{RecoveredLog, Store};

use crate::clock::Clock;
use crate::listener::ListenerOptions;
use crate::security::SecurityOptions;
use crate::settings::BrokerSettings;

/// Where clients are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Everything that a broker needs to know.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where to listen, and how to speak there; at least one.
    pub listeners: Vec<ListenerOptions>,
    /// Users, certificates and what else keeps others out.
    pub security: SecurityOptions,
    /// The broker's id.
    pub node_id: i32,
    /// The cluster's id if it has none yet; `None` makes one from the clock and the process.
    pub cluster_id: Option<String>,
    /// The logs.
    pub store: Store,
    /// What the store found at its start.
    pub recovered: Vec<RecoveredLog>,
    /// Partitions of a topic whose creator did not say.
    pub default_partitions: i32,
    /// Whether a topic that a client asks for is made (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// What Kafka's brokers have names for.
    pub settings: BrokerSettings,
    /// The time.
    pub clock: Clock,
}

impl BrokerOptions {
    /// Options with the defaults, over a store whose logs end with the process.
    pub fn in_memory(listen: SocketAddr) -> Self {
        Self {
            listeners: vec![ListenerOptions::plaintext(listen)],
            security: SecurityOptions::default(),
            node_id: 1,
            cluster_id: None,
            store: Store::in_memory(),
            recovered: Vec::new(),
            default_partitions: 1,
            auto_create_topics: true,
            settings: BrokerSettings::default(),
            clock: Clock::system(),
        }
    }
}
