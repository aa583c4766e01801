//! The running product: settings become clusters, clusters become links, links run until a signal.
//!
//! Reads like a recipe: [`AppOptions`] → [`App::build`] → [`App::run`]. Sockets are taken when the
//! app is built, work starts when it is run, and every way out says how it ended.

pub mod clusters;
pub mod embedded;
pub mod links;
pub mod memory;
pub mod published;
pub mod rotation;
pub mod signals;
pub mod statuses;
pub mod supervisor;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use farlog_client::tls::TlsOptionsError;
use farlog_link::Clock;
use indicatif::MultiProgress;
use tokio::sync::{mpsc, watch};

use crate::exit::Exit;
use crate::http::{BindError, HttpServer, Listen};
use crate::progress::Progress;
use crate::settings::topology::{LinkLimits, Topology};
use clusters::SharedCluster;
use embedded::{EmbeddedCluster, EmbeddedError};
use memory::{PROCESS_MEMORY_BYTES, Share};
use rotation::Rotation;
use signals::StopSignal;
use statuses::{Snapshot, Statuses};
use supervisor::{LinkTask, Supervisor};

/// What a running Farlog is made from.
#[derive(Debug)]
pub struct AppOptions {
    /// Clusters and links.
    pub topology: Topology,
    /// The file that they are from, if any: read again for new secrets.
    pub settings_file: Option<PathBuf>,
    /// Where metrics and health are served.
    pub listen: Listen,
    /// The name of this instance in status.
    pub instance: String,
    /// The name is this instance's own also after a restart: it then takes its place at once.
    pub is_named: bool,
    /// The time.
    pub clock: Clock,
    /// How long a drain may take.
    pub drain_deadline: Duration,
    /// Where live lines are drawn; `None` writes a log line every now and then.
    pub live: Option<MultiProgress>,
}

/// Why the app cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The settings name certificates that cannot be used.
    #[error("cluster {alias}: {source}")]
    Tls {
        /// The cluster.
        alias: String,
        /// What is wrong with them.
        source: TlsOptionsError,
    },
    /// A cluster that is to live in this process cannot be started.
    #[error("cluster {alias}: {source}")]
    Embedded {
        /// The cluster.
        alias: String,
        /// Why.
        source: Box<EmbeddedError>,
    },
    /// The address for metrics and health cannot be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Built: addresses are taken, embedded clusters serve, nothing is contacted yet.
#[derive(Debug)]
pub struct App {
    embedded: Vec<(String, EmbeddedCluster)>,
    supervisor: Supervisor,
    rotation: Option<Rotation>,
    statuses: Statuses,
    server: Option<HttpServer>,
    live: Option<MultiProgress>,
}

// === impl BuildError ===

impl BuildError {
    /// What the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Tls { .. } => Exit::Usage,
            Self::Embedded { .. } | Self::Bind(_) => Exit::Machine,
        }
    }
}

// === impl App ===

impl App {
    /// Builds leaf to root: clusters, links, statuses, server.
    pub async fn build(options: AppOptions) -> Result<Self, BuildError> {
        let AppOptions { topology, settings_file, listen, instance, is_named, .. } = options;
        let AppOptions { clock, drain_deadline, live, .. } = options;
        let mut clusters = BTreeMap::new();
        for (alias, settings) in &topology.clusters {
            let cluster = clusters::options(settings)
                .map_err(|source| BuildError::Tls { alias: alias.clone(), source })?;
            clusters.insert(alias.clone(), Arc::new(SharedCluster::new(alias, cluster)));
        }
        let limits: Vec<LinkLimits> = topology.links.iter().map(|link| link.limits).collect();
        let shares = memory::divide(&limits);
        tell_memory(&shares);
        let tasks: Vec<LinkTask> = topology
            .links
            .iter()
            .zip(shares)
            .map(|(link, share)| {
                let end = |alias: &str| {
                    let end = clusters.get(alias).cloned();
                    end.expect("the settings are accepted only if every link's clusters exist")
                };
                let mut options = links::options(link, &instance, is_named);
                share.give_to(&mut options);
                links::task(options, end(&link.source), end(&link.target), clock.clone())
            })
            .collect();
        let statuses = ask_all(&tasks, clock.clone());
        let server = match listen {
            Listen::Nowhere => None,
            Listen::On(address) => {
                Some(HttpServer::bind(address, statuses.clone(), clock.now_ms()).await?)
            }
        };
        let supervisor = Supervisor::new(tasks, drain_deadline);
        let nudge = supervisor.nudge();
        let rotation =
            settings_file.map(|file| Rotation::new(file, &topology.clusters, &clusters, nudge));
        let embedded = open_embedded(&topology).await?;
        Ok(Self { embedded, supervisor, rotation, statuses, server, live })
    }

    /// Where metrics and health are served, if they are.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(HttpServer::address)
    }

    /// Runs until a signal, or until nothing can run, and says how it ended.
    pub async fn run(self, signals: mpsc::Receiver<StopSignal>) -> Exit {
        // Metrics and progress go on through the drain, so that it can be watched.
        let (stop, stopping) = watch::channel(false);
        let serving = self.server.map(|server| {
            let address = server.address();
            tracing::info!(
                "metrics at http://{address}/metrics, status at http://{address}/status"
            );
            tokio::spawn(server.run(stopping.clone()))
        });
        let progress = Progress::new(self.statuses, self.live);
        let progress = tokio::spawn(progress.run(stopping));
        // Through the drain, too: what is sent last may need a new connection.
        let rotating = self.rotation.map(|rotation| tokio::spawn(rotation.run()));
        let mut watching = embedded::watch_over(&self.embedded);
        let mut exit = self.supervisor.run(signals).await;
        if watching.try_join_next().is_some() && exit == Exit::Done {
            exit = Exit::Failed;
        }
        // From here on they end because they are told to.
        watching.abort_all();
        while watching.join_next().await.is_some() {}
        if let Some(rotating) = rotating {
            rotating.abort();
        }
        stop.send_replace(true);
        if let Err(error) = progress.await {
            tracing::error!(%error, "the progress task failed");
        }
        // Last of all: links drain into them.
        for (alias, cluster) in self.embedded {
            if let Err(error) = cluster.stop().await {
                tracing::error!(alias, %error, "an embedded cluster failed");
            }
        }
        if let Some(serving) = serving {
            // A client that keeps its connection open must not keep the process alive.
            serving.abort();
        }
        exit
    }
}

/// Starts the clusters that live in this process.
async fn open_embedded(topology: &Topology) -> Result<Vec<(String, EmbeddedCluster)>, BuildError> {
    let mut open = Vec::new();
    for (alias, cluster) in &topology.clusters {
        let Some(settings) = &cluster.embedded else { continue };
        let opened = EmbeddedCluster::open(settings).await;
        let opened = opened.map_err(|source| BuildError::Embedded {
            alias: alias.clone(),
            source: Box::new(source),
        })?;
        let (address, data) = (opened.address(), settings.data.display());
        tracing::info!("cluster {alias} is embedded: at {address}, data in {data}");
        open.push((alias.clone(), opened));
    }
    Ok(open)
}

fn tell_memory(shares: &[Share]) {
    let bytes = shares.iter().map(|share| share.memory_bytes).fold(0, usize::saturating_add);
    if bytes > PROCESS_MEMORY_BYTES {
        tracing::warn!(
            links = shares.len(),
            bytes,
            budget_bytes = PROCESS_MEMORY_BYTES,
            "links may hold more in memory than is meant for one process: give it that much, \
             lower `limits.memory-bytes`, or run some links elsewhere"
        );
    } else {
        tracing::debug!(links = shares.len(), bytes, "memory divided among links");
    }
}

fn ask_all(tasks: &[LinkTask], clock: Clock) -> Statuses {
    let ask: Vec<_> = tasks.iter().map(|task| task.status.clone()).collect();
    Statuses::from_fn(move || Snapshot {
        at_ms: clock.now_ms(),
        links: ask.iter().map(|status| status()).collect(),
    })
}
