//! Clusters that live inside this process.

use std::net::SocketAddr;

use farlog_broker::{Broker, BrokerOptions, HostPort, ListenerOptions};
use farlog_store::{Recovery, Store, StoreOptions};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::settings::topology::EmbeddedSettings;

/// A cluster that serves until it is stopped.
#[derive(Debug)]
pub struct EmbeddedCluster {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// Its other end lives as long as the cluster serves.
    lives: watch::Receiver<()>,
}

/// Why an embedded cluster cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Its data cannot be opened.
    #[error(transparent)]
    Store(#[from] farlog_store::OpenError),
    /// It cannot serve.
    #[error(transparent)]
    Start(#[from] farlog_broker::OpenError),
}

impl EmbeddedCluster {
    /// Serves what is in the folder of the settings.
    ///
    /// # Errors
    /// If the folder or the address is in use, or the data is damaged.
    pub async fn open(settings: &EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let EmbeddedSettings { data, listen, advertised, fsync } = settings;
        let options = StoreOptions { fsync: *fsync, ..StoreOptions::new(data) };
        let (store, recovery) = Store::open(options).await?;
        tell_recovery(&recovery, &format!("records are in {}", data.display()));
        let advertised = advertised.as_ref();
        let advertised = advertised.map(|at| HostPort { host: at.host.clone(), port: at.port });
        let listener = ListenerOptions { advertised, ..ListenerOptions::plaintext(*listen) };
        let options = BrokerOptions {
            store,
            recovered: recovery.logs,
            listeners: vec![listener],
            ..BrokerOptions::in_memory(*listen)
        };
        Ok(Self::start(options).await?)
    }

    /// Serves a store that is open already.
    ///
    /// # Errors
    /// If the address is in use, or the data contradicts itself.
    pub async fn start(options: BrokerOptions) -> Result<Self, farlog_broker::OpenError> {
        let broker = Broker::open(options).await?;
        let address = broker.handle().address();
        let (stop, stopping) = watch::channel(false);
        let (living, lives) = watch::channel(());
        let serving = tokio::spawn(async move {
            let _living = living;
            broker.run(stopping).await;
        });
        Ok(Self { address, stop, serving, lives })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended, in order or not.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lives = self.lives.clone();
        async move { while lives.changed().await.is_ok() {} }
    }

    /// Ends it; what was acknowledged is in its store.
    ///
    /// # Errors
    /// If it had failed by a defect.
    pub async fn stop(self) -> Result<(), JoinError> {
        self.stop.send_replace(true);
        self.serving.await
    }
}

/// Has a task for each cluster, which ends, and says so, if the cluster ends before somebody has
/// told it to.
pub fn watch_over(clusters: &[(String, EmbeddedCluster)]) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for (alias, cluster) in clusters {
        let (alias, ended) = (alias.clone(), cluster.ended());
        watching.spawn(async move {
            ended.await;
            tracing::error!(
                "the embedded cluster {alias} has ended by itself, which is a defect of Farlog; \
                 start Farlog again: what was acknowledged is in its folder"
            );
        });
    }
    watching
}

/// Says what a store found when it was opened; `place` is where, for people.
pub fn tell_recovery(recovery: &Recovery, place: &str) {
    let report = recovery.report;
    tracing::info!(
        logs = recovery.logs.len(),
        files = report.log_files,
        bytes = report.log_bytes,
        entries = report.entries,
        torn_bytes = report.torn_bytes,
        was_closed = report.was_closed,
        "what was found: {place}"
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_cluster_that_ends_by_itself_is_noticed() {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut clusters = Vec::new();
        for alias in ["one", "other"] {
            let cluster = EmbeddedCluster::start(BrokerOptions::in_memory(at)).await.unwrap();
            clusters.push((alias.to_owned(), cluster));
        }
        let mut watching = watch_over(&clusters);
        assert!(watching.try_join_next().is_none());
        clusters[0].1.serving.abort();
        let noticed = tokio::time::timeout(PATIENCE, watching.join_next()).await;
        noticed.unwrap().unwrap().unwrap();
        let (_, other) = clusters.remove(1);
        let ended = other.ended();
        other.stop().await.unwrap();
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let (_, one) = clusters.remove(0);
        assert!(one.stop().await.is_err());
    }
}
