//! One cluster for all tests of a test binary.

use std::ops::Deref;
use std::sync::OnceLock;

use super::cluster::KafkaCluster;
use super::options::KafkaOptions;
use crate::scratch::KEEP_FILE;

/// A cluster that the first test starts and all tests of the binary share; they keep out of each
/// other's way by topics of their own. It lives in a static of the test:
///
/// ```no_run
/// use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, SharedKafka};
/// static SOURCE: SharedKafka = SharedKafka::new(|| KafkaOptions::new(KafkaVersion::V4_3));
/// let bootstrap = SOURCE.get().bootstrap();
/// ```
///
/// Statics are not dropped; when the test binary ends, the watchdogs (see [`crate::process`]) kill
/// the brokers and remove their files, unless a test failed while it held the guard.
#[derive(Debug)]
pub struct SharedKafka {
    options: fn() -> KafkaOptions,
    cluster: OnceLock<Result<KafkaCluster, String>>,
}

impl SharedKafka {
    /// A cluster with these options, not started yet.
    pub const fn new(options: fn() -> KafkaOptions) -> SharedKafka {
        SharedKafka { options, cluster: OnceLock::new() }
    }

    /// The cluster; started now if it is not yet.
    ///
    /// # Panics
    /// In each test, when it did not come up.
    pub fn get(&self) -> SharedKafkaGuard<'_> {
        let start = || KafkaCluster::start((self.options)()).map_err(|error| error.to_string());
        match self.cluster.get_or_init(start) {
            Ok(cluster) => SharedKafkaGuard { cluster },
            Err(error) => panic!("the shared cluster is not there: {error}"),
        }
    }
}

/// A test's hold on a shared cluster: if the test panics, the cluster's files stay for a look.
#[derive(Debug)]
pub struct SharedKafkaGuard<'a> {
    cluster: &'a KafkaCluster,
}

impl Deref for SharedKafkaGuard<'_> {
    type Target = KafkaCluster;

    fn deref(&self) -> &KafkaCluster {
        self.cluster
    }
}

impl Drop for SharedKafkaGuard<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut kept = Vec::new();
        for broker in self.cluster.brokers() {
            // Without the file the watchdog removes the logs: nothing worse.
            if std::fs::write(broker.directory().join(KEEP_FILE), "").is_ok() {
                kept.push(broker.directory().display().to_string());
            }
        }
        eprintln!("kept for a look: {}", kept.join(", "));
    }
}
