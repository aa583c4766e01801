//! What a test may ask of a Kafka cluster.

use std::collections::BTreeMap;

use crate::jars::KafkaVersion;

/// What the JVMs of a cluster are tuned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JvmMode {
    /// A cheap start: the first-tier compiler only, the serial collector, few threads. A broker is
    /// up in about two seconds and two CPU-seconds.
    Test,
    /// Throughput: the JVM's and Kafka's own defaults, as Kafka's start script would have them.
    Bench,
}

/// A way into a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listener {
    /// No encryption, no authentication; always there. With an authorizer its clients
    /// (`User:ANONYMOUS`) may do everything, so that a test can prepare what it needs.
    Plain,
    /// As [`Plain`](Self::Plain), but advertised at the address of a proxy in front of the broker.
    Proxied,
}

impl Listener {
    /// Its name in the broker's settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Listener::Plain => "PLAIN",
            Listener::Proxied => "PROXIED",
        }
    }

    /// Kafka's `security.protocol` for it.
    pub fn security_protocol(self) -> &'static str {
        match self {
            Listener::Plain | Listener::Proxied => "PLAINTEXT",
        }
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    pub(crate) version: KafkaVersion,
    pub(crate) brokers: u8,
    pub(crate) jvm: JvmMode,
    pub(crate) heap_mb: u32,
    pub(crate) properties: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// One broker of this version, 512 MB of heap, tuned for tests.
    pub fn new(version: KafkaVersion) -> KafkaOptions {
        KafkaOptions {
            version,
            brokers: 1,
            jvm: JvmMode::Test,
            heap_mb: 512,
            properties: BTreeMap::new(),
        }
    }

    /// Sets a broker property; wins over those of the fixture.
    pub fn property(mut self, name: &str, value: impl ToString) -> KafkaOptions {
        self.properties.insert(name.to_owned(), value.to_string());
        self
    }

    /// One broker, or two (and a controller beside them).
    ///
    /// # Panics
    /// On any other count.
    pub fn brokers(mut self, count: u8) -> KafkaOptions {
        assert!((1..=2).contains(&count), "a test cluster has one or two brokers, not {count}");
        self.brokers = count;
        self
    }

    /// What to tune the JVMs for.
    pub fn jvm(mut self, mode: JvmMode) -> KafkaOptions {
        self.jvm = mode;
        self
    }

    /// The listeners each broker has.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        vec![Listener::Plain]
    }

    /// Where clients are told to go instead of the broker's own address, if anywhere.
    pub(super) fn advertised_address(&self, _listener: Listener, _broker: i32) -> Option<String> {
        None
    }

    /// The heap of each broker.
    pub fn heap_mb(mut self, heap_mb: u32) -> KafkaOptions {
        self.heap_mb = heap_mb;
        self
    }
}
