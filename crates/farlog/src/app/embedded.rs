//! Clusters that live inside this process.

use std::net::SocketAddr;

use farlog_broker::{Broker, BrokerOptions, HostPort, ListenerOptions};
use farlog_store::{Recovery, Store, StoreOptions};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::settings::topology::EmbeddedSettings;

/// A cluster that serves until it is stopped.
#[derive(Debug)]
pub struct EmbeddedCluster {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
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
        Ok(Self { address, stop, serving: tokio::spawn(broker.run(stopping)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
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
