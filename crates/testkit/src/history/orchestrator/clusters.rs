//! Two clusters, each behind a proxy for the program that mirrors, and open to the test itself.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::script::Side;
use crate::history::session::HistoryError;
use crate::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener};
use crate::proxy::FaultProxy;

/// Source and target.
#[derive(Debug)]
pub struct Clusters {
    source: Arc<KafkaCluster>,
    target: Arc<KafkaCluster>,
    /// One for each broker.
    source_proxies: Vec<FaultProxy>,
    target_proxies: Vec<FaultProxy>,
}

impl Clusters {
    /// Starts both, of one broker each.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start() -> Result<Clusters, HistoryError> {
        Clusters::start_with_target_of(1)
    }

    /// Starts both, the target with so many brokers, so that its partitions can have replicas and
    /// their leaders move.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start_with_target_of(brokers: u8) -> Result<Clusters, HistoryError> {
        let source_proxies = proxies(1)?;
        let target_proxies = proxies(brokers)?;
        // A controller of its own, so that a broker that was killed comes back with a new leader
        // epoch, as it does in every cluster of more than one node.
        let source = base(&source_proxies)
            .controller_apart()
            .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
            .property("log.cleaner.backoff.ms", 500)
            .property("log.retention.check.interval.ms", 2_000);
        let target = base(&target_proxies)
            .brokers(brokers)
            // Finds within seconds what a broker with the defaults finds within ten minutes.
            .property("producer.id.expiration.check.interval.ms", 2_000)
            .property("group.min.session.timeout.ms", 500);
        Clusters::start_both((source, source_proxies), (target, target_proxies))
    }

    /// Starts clusters of two releases. Either may be the source, see
    /// [`reversed`](Self::reversed), so each has the settings of both.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start_releases(
        source: KafkaVersion,
        target: KafkaVersion,
    ) -> Result<Clusters, HistoryError> {
        let (source_proxies, target_proxies) = (proxies(1)?, proxies(1)?);
        let base = |version: KafkaVersion, proxies: &[FaultProxy]| {
            behind(KafkaOptions::new(version), proxies)
                .controller_apart()
                .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
                .property("log.cleaner.backoff.ms", 500)
                .property("log.retention.check.interval.ms", 2_000)
                .property("producer.id.expiration.check.interval.ms", 2_000)
                .property("group.min.session.timeout.ms", 500)
        };
        let (source, target) = (base(source, &source_proxies), base(target, &target_proxies));
        Clusters::start_both((source, source_proxies), (target, target_proxies))
    }

    fn start_both(
        (source, source_proxies): (KafkaOptions, Vec<FaultProxy>),
        (target, target_proxies): (KafkaOptions, Vec<FaultProxy>),
    ) -> Result<Clusters, HistoryError> {
        // They start beside each other: most of it is waiting.
        let (source, target) = std::thread::scope(|scope| {
            let source = scope.spawn(|| KafkaCluster::start(source));
            let target = KafkaCluster::start(target);
            (source.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), target)
        });
        Ok(Clusters {
            source: Arc::new(source.map_err(fixture("starting the source"))?),
            target: Arc::new(target.map_err(fixture("starting the target"))?),
            source_proxies,
            target_proxies,
        })
    }

    /// The same clusters, the other way round.
    pub fn reversed(&self) -> Clusters {
        Clusters {
            source: Arc::clone(&self.target),
            target: Arc::clone(&self.source),
            source_proxies: self.target_proxies.clone(),
            target_proxies: self.source_proxies.clone(),
        }
    }

    /// The source cluster.
    pub fn source(&self) -> &KafkaCluster {
        &self.source
    }

    /// The target cluster.
    pub fn target(&self) -> &KafkaCluster {
        &self.target
    }

    /// One of them.
    pub fn cluster(&self, side: Side) -> &KafkaCluster {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// What the program that mirrors goes through, one for each broker.
    pub fn proxies(&self, side: Side) -> &[FaultProxy] {
        match side {
            Side::Source => &self.source_proxies,
            Side::Target => &self.target_proxies,
        }
    }

    /// Where the program that mirrors connects.
    pub fn bootstrap(&self, side: Side) -> String {
        self.cluster(side).bootstrap_of(Listener::Proxied)
    }
}

fn proxies(count: u8) -> Result<Vec<FaultProxy>, HistoryError> {
    let started = (0..count).map(|_| FaultProxy::start());
    started
        .collect::<Result<_, _>>()
        .map_err(|source| HistoryError::System { what: "starting a proxy".to_owned(), source })
}

fn base(proxies: &[FaultProxy]) -> KafkaOptions {
    behind(KafkaOptions::new(KafkaVersion::V4_3), proxies)
}

fn behind(options: KafkaOptions, proxies: &[FaultProxy]) -> KafkaOptions {
    proxies.iter().fold(options, KafkaOptions::behind)
}

pub(in crate::history) fn fixture<E: std::fmt::Display>(
    what: &str,
) -> impl FnOnce(E) -> HistoryError {
    move |error| HistoryError::Fixture { what: what.to_owned(), problem: error.to_string() }
}

/// Now, in milliseconds since the epoch.
pub(in crate::history) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
