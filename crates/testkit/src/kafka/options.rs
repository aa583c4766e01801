//! What a test may ask of a Kafka cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::jars::{Jars, KafkaVersion, NotFetched};
use crate::jvm::JvmMode;
use crate::proxy::FaultProxy;

/// A way into a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listener {
    /// No encryption, no authentication; always there. With an authorizer its clients
    /// (`User:ANONYMOUS`) may do everything, so that a test can prepare what it needs.
    Plain,
    /// As [`Plain`](Self::Plain), but advertised at the address of a proxy in front of the broker.
    Proxied,
    /// SASL without encryption: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    Sasl,
    /// TLS; who brings no certificate is `User:ANONYMOUS`.
    Tls,
    /// SASL, the same mechanisms, inside TLS.
    SaslTls,
}

impl Listener {
    /// Its name in the broker's settings.
    pub(super) fn name(self) -> &'static str {
        match self {
            Listener::Plain => "PLAIN",
            Listener::Proxied => "PROXIED",
            Listener::Sasl => "SASL",
            Listener::Tls => "TLS",
            Listener::SaslTls => "SASL_TLS",
        }
    }

    /// Kafka's `security.protocol` for it.
    pub fn security_protocol(self) -> &'static str {
        match self {
            Listener::Plain | Listener::Proxied => "PLAINTEXT",
            Listener::Sasl => "SASL_PLAINTEXT",
            Listener::Tls => "SSL",
            Listener::SaslTls => "SASL_SSL",
        }
    }

    pub(super) fn has_sasl(self) -> bool {
        matches!(self, Listener::Sasl | Listener::SaslTls)
    }

    pub(super) fn has_tls(self) -> bool {
        matches!(self, Listener::Tls | Listener::SaslTls)
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    pub(super) version: KafkaVersion,
    /// Those of the workspace if none.
    pub(super) jars: Option<Jars>,
    pub(super) brokers: u8,
    pub(super) controller_apart: bool,
    pub(super) jvm: JvmMode,
    pub(super) heap_mb: u32,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) listeners: BTreeSet<Listener>,
    /// One for each broker, in the order of their ids, if any.
    pub(super) proxies: Vec<FaultProxy>,
    /// Names and passwords.
    pub(super) users: Vec<(String, String)>,
    pub(super) authorizer: bool,
    pub(super) client_certificates_required: bool,
}

impl KafkaOptions {
    /// One broker of this version with a plain listener, 512 MB of heap, tuned for tests.
    pub fn new(version: KafkaVersion) -> KafkaOptions {
        KafkaOptions {
            version,
            jars: None,
            brokers: 1,
            controller_apart: false,
            jvm: JvmMode::Test,
            heap_mb: 512,
            properties: BTreeMap::new(),
            listeners: BTreeSet::from([Listener::Plain]),
            proxies: Vec::new(),
            users: Vec::new(),
            authorizer: false,
            client_certificates_required: false,
        }
    }

    /// Runs these jars, of whatever release they are.
    pub fn jars(mut self, jars: &Jars) -> KafkaOptions {
        self.version = jars.version();
        self.jars = Some(jars.clone());
        self
    }

    /// Sets a broker property; wins over those of the fixture.
    pub fn property(mut self, name: &str, value: impl ToString) -> KafkaOptions {
        self.properties.insert(name.to_owned(), value.to_string());
        self
    }

    /// One broker, or two or three (and a controller beside them).
    ///
    /// # Panics
    /// On any other count.
    pub fn brokers(mut self, count: u8) -> KafkaOptions {
        assert!((1..=3).contains(&count), "a test cluster has one to three brokers, not {count}");
        self.brokers = count;
        self.controller_apart |= count > 1;
        self
    }

    /// Runs the controller as a process beside the one broker, as it always is with two. Then a
    /// kill of the broker is noticed: its partitions lose their leader when its session ends, and
    /// get it back under a new leader epoch. A 3.9 broker that is its own controller leads on under
    /// the old epoch after a kill, as was seen; a 4.3 one (KIP-966) takes a new one by itself.
    pub fn controller_apart(mut self) -> KafkaOptions {
        self.controller_apart = true;
        self
    }

    /// What to tune the JVMs for.
    pub fn jvm(mut self, mode: JvmMode) -> KafkaOptions {
        self.jvm = mode;
        self
    }

    /// The heap of each broker.
    pub fn heap_mb(mut self, heap_mb: u32) -> KafkaOptions {
        self.heap_mb = heap_mb;
        self
    }

    /// Adds a listener. [`Listener::Proxied`] comes with [`behind`](Self::behind).
    ///
    /// # Panics
    /// On [`Listener::Proxied`].
    pub fn listener(mut self, listener: Listener) -> KafkaOptions {
        assert!(listener != Listener::Proxied, "a proxied listener needs its proxies: `behind`");
        self.listeners.insert(listener);
        self
    }

    /// Adds [`Listener::Proxied`]: clients that bootstrap there are sent to this proxy, and the
    /// proxy to the broker. With two brokers it is called twice, for broker 1 first.
    pub fn behind(mut self, proxy: &FaultProxy) -> KafkaOptions {
        self.listeners.insert(Listener::Proxied);
        self.proxies.push(proxy.clone());
        self
    }

    /// Adds a user for the SASL listeners, known to PLAIN and both SCRAM mechanisms.
    ///
    /// # Panics
    /// When name or password need quoting in Kafka's settings.
    pub fn user(mut self, name: &str, password: &str) -> KafkaOptions {
        let plain =
            |text: &str| !text.is_empty() && !text.contains(['"', '\\', ',', ']', '=', ';']);
        assert!(plain(name) && plain(password), "names and passwords of tests stay simple");
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Turns on Kafka's authorizer: users may do nothing but what ACLs allow.
    pub fn authorizer(mut self) -> KafkaOptions {
        self.authorizer = true;
        self
    }

    /// TLS listeners serve only clients that bring a certificate.
    pub fn client_certificates_required(mut self) -> KafkaOptions {
        self.client_certificates_required = true;
        self
    }

    /// The full number of the release that runs.
    pub(super) fn release(&self) -> &str {
        self.jars.as_ref().map_or_else(|| self.version.number(), Jars::release)
    }

    /// The Java class path of the jars that run.
    pub(super) fn class_path(&self) -> Result<String, NotFetched> {
        match &self.jars {
            Some(jars) => Ok(jars.class_path()),
            None => self.version.class_path(),
        }
    }

    /// Whether Farlog's embedded broker can stand in: one broker, one plain listener, and Kafka
    /// itself is not what is measured.
    pub(super) fn is_plain(&self) -> bool {
        let plain = self.listeners.iter().eq([&Listener::Plain]) && self.jvm == JvmMode::Test;
        self.brokers == 1 && !self.controller_apart && plain && !self.authorizer
    }

    /// Where clients are told to go instead of the broker's own address, if anywhere.
    pub(super) fn advertised_address(&self, listener: Listener, broker: i32) -> Option<String> {
        let index = usize::try_from(broker - 1).ok()?;
        match listener {
            Listener::Proxied => self.proxies.get(index).map(|proxy| proxy.address().to_string()),
            _ => None,
        }
    }
}
