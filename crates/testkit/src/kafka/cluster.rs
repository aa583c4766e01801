//! A cluster: its processes together.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;

use super::layout::{self, Center};
use super::node::{Broker, KafkaError};
use super::options::{KafkaOptions, Listener};
use super::security::TlsFiles;
use crate::jars::KafkaVersion;
use crate::scratch::Scratch;
use crate::tools::{Tool, ToolError};

/// A running cluster. Dropping it kills its processes and removes its files, unless the thread
/// panics: then the files stay and their place is printed.
#[derive(Debug)]
pub struct KafkaCluster {
    // The processes go before the directory they write to.
    nodes: Vec<Broker>,
    version: KafkaVersion,
    cluster_id: String,
    scratch: Scratch,
}

impl KafkaCluster {
    /// Starts a cluster and waits until every broker is up.
    ///
    /// # Errors
    /// When a process does not come up; the error quotes the end of its log.
    ///
    /// # Panics
    /// When some brokers have a proxy and others do not.
    pub fn start(options: KafkaOptions) -> Result<KafkaCluster, KafkaError> {
        options.class_path()?;
        assert!(
            options.proxies.is_empty() || options.proxies.len() == usize::from(options.brokers),
            "each broker needs a proxy of its own"
        );
        let scratch = Scratch::new("kafka").map_err(KafkaError::system("making a directory"))?;
        let layouts = layout::nodes(&options, scratch.path())
            .map_err(KafkaError::system("taking loopback ports"))?;
        if options.listeners.iter().any(|listener| listener.has_tls()) {
            TlsFiles::write(scratch.path()).map_err(KafkaError::system("making certificates"))?;
        }
        let center = Center::of(&layouts);
        let mut cluster_id = cluster_id();
        let mut nodes = Vec::new();
        for layout in layouts {
            nodes.push(Broker::prepare(&options, layout, &center, &cluster_id)?);
        }
        for (broker, proxy) in nodes.iter().filter(|node| node.is_broker()).zip(&options.proxies) {
            let address = broker.address(Listener::Proxied);
            proxy.forward_to(address.expect("brokers behind a proxy have a proxied listener"));
        }
        start_all(&nodes)?;
        if options.version.has_zookeeper() {
            cluster_id = nodes[0].cluster_id()?;
        }
        Ok(KafkaCluster { nodes, version: options.version, cluster_id, scratch })
    }

    /// The release that runs.
    pub fn version(&self) -> KafkaVersion {
        self.version
    }

    /// The id the cluster was formatted with, or, with ZooKeeper, has given itself.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// `bootstrap.servers` of the plain listener.
    pub fn bootstrap(&self) -> String {
        self.bootstrap_of(Listener::Plain)
    }

    /// `bootstrap.servers` of a listener (of a proxied one: the proxies' addresses).
    ///
    /// # Panics
    /// When the cluster was not started with it.
    pub fn bootstrap_of(&self, listener: Listener) -> String {
        let addresses: Vec<String> =
            self.brokers().filter_map(|broker| broker.advertised(listener)).collect();
        assert!(!addresses.is_empty(), "the cluster has no listener {listener:?}");
        addresses.join(",")
    }

    /// The certificates, when there is a TLS listener.
    pub fn tls(&self) -> TlsFiles {
        TlsFiles::of(self.scratch.path())
    }

    /// The brokers, by id from 1.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.nodes.iter().filter(|node| node.is_broker())
    }

    /// One broker.
    ///
    /// # Panics
    /// When there is none with this id.
    pub fn broker(&self, id: i32) -> &Broker {
        self.brokers().find(|broker| broker.id() == id).expect("a broker with this id")
    }

    /// The data directory of a broker.
    ///
    /// # Panics
    /// When there is no broker with this id.
    pub fn log_dir(&self, broker: i32) -> PathBuf {
        self.broker(broker).log_dir()
    }

    /// Stops every process in an orderly way: the brokers, then the controller.
    ///
    /// # Errors
    /// The first process that had to be killed; the others are stopped all the same.
    pub fn stop(&self) -> Result<(), KafkaError> {
        self.on_all(Broker::stop)
    }

    /// Kills every process with SIGKILL.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn kill(&self) -> Result<(), KafkaError> {
        self.on_all(Broker::kill)
    }

    /// Stops what runs, then starts every process on its old port and data.
    ///
    /// # Errors
    /// When one does not come up again.
    pub fn restart(&self) -> Result<(), KafkaError> {
        self.stop()?;
        start_all(&self.nodes)
    }

    /// Freezes every process (SIGSTOP).
    ///
    /// # Errors
    /// When one does not run.
    pub fn pause(&self) -> Result<(), KafkaError> {
        self.on_all(Broker::pause)
    }

    /// Lets every process go on (SIGCONT).
    ///
    /// # Errors
    /// When one does not run.
    pub fn resume(&self) -> Result<(), KafkaError> {
        self.on_all(Broker::resume)
    }

    /// Creates a topic with Kafka's own tool, with one replica on each broker.
    ///
    /// # Errors
    /// Those of the tool.
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: u32,
        configs: &[(&str, &str)],
    ) -> Result<(), ToolError> {
        let configs = configs.iter().map(|(name, value)| format!("--config={name}={value}"));
        let old = self.version < KafkaVersion::V3_7;
        let class =
            if old { "kafka.admin.TopicCommand" } else { "org.apache.kafka.tools.TopicCommand" };
        Tool::kafka(self.version, class)
            .args(["--bootstrap-server", &self.bootstrap(), "--create", "--topic", topic])
            .args(["--partitions".to_owned(), partitions.to_string()])
            .args(["--replication-factor".to_owned(), self.brokers().count().to_string()])
            .args(configs)
            .run()
            .map(|_| ())
    }

    /// Leaves logs and data behind when the cluster goes.
    pub fn keep_files(&mut self) {
        self.scratch.keep();
    }

    fn on_all(&self, act: impl Fn(&Broker) -> Result<(), KafkaError>) -> Result<(), KafkaError> {
        on_all(&self.nodes, act)
    }
}

/// Brokers wait for the controller and the other way round, so all start before any is awaited.
fn start_all(nodes: &[Broker]) -> Result<(), KafkaError> {
    on_all(nodes, Broker::spawn)?;
    on_all(nodes, Broker::wait_until_up)
}

fn on_all(
    nodes: &[Broker],
    act: impl Fn(&Broker) -> Result<(), KafkaError>,
) -> Result<(), KafkaError> {
    let outcomes: Vec<_> = nodes.iter().map(act).collect();
    outcomes.into_iter().collect()
}

/// A random id in Kafka's spelling: 16 bytes in URL-safe base64 without padding.
fn cluster_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let half = || u128::from(RandomState::new().hash_one(0));
    let bits = half() << 64 | half();
    // 21 digits of six bits, and one for the last two. A leading `-` would look like an option.
    let digit = |index: u32| {
        let value = if index == 21 { bits << 4 } else { bits >> (122 - 6 * index) } & 63;
        char::from(DIGITS[if index == 0 { value & 31 } else { value } as usize])
    };
    (0..22).map(digit).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn cluster_ids_are_22_digits_and_differ() {
        let (one, other) = (super::cluster_id(), super::cluster_id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }
}
