//! The settings of each process of a cluster: who it is, where it listens, what it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::options::{KafkaOptions, Listener};
use super::security;
use crate::jvm::JvmMode;
use crate::ports::PortLease;

/// The node id of a controller that stands beside its brokers, or of ZooKeeper.
const CONTROLLER_ID: i32 = 100;

/// How long ZooKeeper takes a broker that was killed to be there: only then may it come back.
pub(super) const ZOOKEEPER_SESSION_MS: u64 = 3_000;

const ZOOKEEPER: &str = "zookeeper";

/// One process of the cluster, before it is started.
#[derive(Debug)]
pub(super) struct NodeLayout {
    pub(super) id: i32,
    /// `broker`, `controller`, both, or `zookeeper`.
    pub(super) roles: &'static str,
    /// Its own directory; everything below is inside.
    pub(super) directory: PathBuf,
    /// Where the brokers find the controller, or ZooKeeper.
    pub(super) controller: Option<PortLease>,
    pub(super) listeners: BTreeMap<Listener, PortLease>,
}

impl NodeLayout {
    pub(super) fn is_broker(&self) -> bool {
        self.roles.contains("broker")
    }

    pub(super) fn is_zookeeper(&self) -> bool {
        self.roles == ZOOKEEPER
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
    let with_zookeeper = options.version.has_zookeeper();
    let alone = !options.controller_apart && !with_zookeeper;
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
            roles: if with_zookeeper { ZOOKEEPER } else { "controller" },
            directory: root.join(format!("node-{CONTROLLER_ID}")),
            controller: Some(PortLease::take()?),
            listeners: BTreeMap::new(),
        });
    }
    Ok(nodes)
}

/// The `server.properties` of one node; `center` is the one with the controller, or ZooKeeper.
pub(super) fn properties(options: &KafkaOptions, node: &NodeLayout, center: &Center) -> String {
    let settings = if node.is_zookeeper() {
        zookeeper(node)
    } else {
        let mut settings = membership(options, node, center);
        settings.extend(listeners(options, node));
        settings.insert("log.dirs".to_owned(), node.data().display().to_string());
        settings.extend(sizes(options));
        settings.extend(security::properties(options, node, node.root()));
        settings.extend(options.properties.clone());
        settings
    };
    let mut text = String::new();
    for (name, value) in settings {
        writeln!(text, "{name}={value}").expect("writing to a String cannot fail");
    }
    text
}

/// What keeps the cluster together.
#[derive(Debug)]
pub(super) struct Center {
    id: i32,
    address: String,
}

impl Center {
    /// That of these nodes.
    pub(super) fn of(nodes: &[NodeLayout]) -> Center {
        nodes
            .iter()
            .find_map(|node| {
                Some(Center { id: node.id, address: node.controller.as_ref()?.address() })
            })
            .expect("every layout has a controller or ZooKeeper")
    }
}

fn zookeeper(node: &NodeLayout) -> BTreeMap<String, String> {
    let port = node.controller.as_ref().expect("ZooKeeper has a port").port();
    let session_ms = ZOOKEEPER_SESSION_MS.to_string();
    let settings = [
        ("dataDir", node.data().display().to_string()),
        ("clientPortAddress", "127.0.0.1".to_owned()),
        ("clientPort", port.to_string()),
        ("admin.enableServer", "false".to_owned()),
        ("tickTime", "500".to_owned()),
        ("maxClientCnxns", "0".to_owned()),
        ("maxSessionTimeout", session_ms),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Who the node is, and where the others are.
fn membership(
    options: &KafkaOptions,
    node: &NodeLayout,
    center: &Center,
) -> BTreeMap<String, String> {
    let settings = if options.version.has_zookeeper() {
        vec![
            ("broker.id", node.id.to_string()),
            ("zookeeper.connect", center.address.clone()),
            ("zookeeper.session.timeout.ms", ZOOKEEPER_SESSION_MS.to_string()),
            ("zookeeper.connection.timeout.ms", "60000".to_owned()),
        ]
    } else {
        vec![
            ("process.roles", node.roles.to_owned()),
            ("node.id", node.id.to_string()),
            ("controller.quorum.voters", format!("{}@{}", center.id, center.address)),
            ("controller.listener.names", "CONTROLLER".to_owned()),
        ]
    };
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn listeners(options: &KafkaOptions, node: &NodeLayout) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
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
    settings
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
