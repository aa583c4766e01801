//! The settings of each process of a cluster: who it is, where it listens, what it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::options::{KafkaOptions, Listener};
use super::security;
use crate::jvm::JvmMode;
use crate::ports::PortLease;

/// The node id of a controller that stands beside its brokers.
const CONTROLLER_ID: i32 = 100;

/// One process of the cluster, before it is started.
#[derive(Debug)]
pub(super) struct NodeLayout {
    pub(super) id: i32,
    pub(super) roles: &'static str,
    /// Its own directory; everything below is inside.
    pub(super) directory: PathBuf,
    pub(super) controller: Option<PortLease>,
    pub(super) listeners: BTreeMap<Listener, PortLease>,
}

impl NodeLayout {
    pub(super) fn is_broker(&self) -> bool {
        self.roles.contains("broker")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The cluster's directory.
    pub(super) fn root(&self) -> &Path {
        self.directory.parent().expect("a node's directory is in the cluster's")
    }

    pub(super) fn properties_file(&self) -> PathBuf {
        self.directory.join("server.properties")
    }
}

/// Decides on the processes of a cluster and takes their ports.
pub(super) fn nodes(options: &KafkaOptions, root: &Path) -> io::Result<Vec<NodeLayout>> {
    let mut nodes = Vec::new();
    let alone = !options.controller_apart;
    for id in 1..=i32::from(options.brokers) {
        let mut listeners = BTreeMap::new();
        for listener in &options.listeners {
            listeners.insert(*listener, PortLease::take()?);
        }
        nodes.push(NodeLayout {
            id,
            roles: if alone { "broker,controller" } else { "broker" },
            directory: root.join(format!("node-{id}")),
            controller: if alone { Some(PortLease::take()?) } else { None },
            listeners,
        });
    }
    if !alone {
        nodes.push(NodeLayout {
            id: CONTROLLER_ID,
            roles: "controller",
            directory: root.join(format!("node-{CONTROLLER_ID}")),
            controller: Some(PortLease::take()?),
            listeners: BTreeMap::new(),
        });
    }
    Ok(nodes)
}

/// The `server.properties` of one node.
pub(super) fn properties(options: &KafkaOptions, node: &NodeLayout, voter: &str) -> String {
    let root = node.root();
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
    set("process.roles", node.roles.to_owned());
    set("node.id", node.id.to_string());
    set("controller.quorum.voters", voter.to_owned());
    set("controller.listener.names", "CONTROLLER".to_owned());
    set("log.dirs", node.data().display().to_string());
    let mut listeners = Vec::new();
    let mut advertised = Vec::new();
    let mut protocols = vec!["CONTROLLER:PLAINTEXT".to_owned()];
    for listener in &options.listeners {
        protocols.push(format!("{}:{}", listener.name(), listener.security_protocol()));
    }
    for (listener, lease) in &node.listeners {
        let own = format!("{}://{}", listener.name(), lease.address());
        advertised.push(match options.advertised_address(*listener, node.id) {
            Some(elsewhere) => format!("{}://{elsewhere}", listener.name()),
            None => own.clone(),
        });
        listeners.push(own);
    }
    if let Some(lease) = &node.controller {
        listeners.push(format!("CONTROLLER://{}", lease.address()));
    }
    set("listeners", listeners.join(","));
    set("listener.security.protocol.map", protocols.join(","));
    if node.is_broker() {
        set("advertised.listeners", advertised.join(","));
        set("inter.broker.listener.name", Listener::Plain.name().to_owned());
    }
    settings.extend(sizes(options));
    settings.extend(security::properties(options, node, root));
    settings.extend(options.properties.clone());
    let mut text = String::new();
    for (name, value) in settings {
        writeln!(text, "{name}={value}").expect("writing to a String cannot fail");
    }
    text
}

/// Replication factors that so few brokers can hold, and less of what costs time to start.
fn sizes(options: &KafkaOptions) -> Vec<(String, String)> {
    let replicas = options.brokers.to_string();
    let mut sizes = vec![
        ("offsets.topic.replication.factor", replicas.as_str()),
        ("transaction.state.log.replication.factor", replicas.as_str()),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", replicas.as_str()),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        // A killed broker may register again only when its old session is over: nine seconds and
        // some back-off by default.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // Fifty partitions each by default: the first consumer would wait for all of them.
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.num.partitions", "1"),
    ];
    if options.jvm == JvmMode::Test {
        sizes.extend([
            ("num.network.threads", "2"),
            ("num.io.threads", "3"),
            ("background.threads", "2"),
        ]);
    }
    sizes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
