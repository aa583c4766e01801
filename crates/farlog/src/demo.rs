//! `farlog demo`: two embedded clusters in this process, a link between them over real connections,
//! a live load, a consumer group, and the records as they arrive. Nothing else has to be installed.

mod billing;
mod follower;
mod guide;
mod load;
mod shop;
mod tally;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use farlog_broker::BrokerOptions;
use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use farlog_link::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::app::embedded::EmbeddedCluster;
use crate::app::signals::StopSignal;
use crate::app::{App, AppOptions};
use crate::exit::Exit;
use crate::http::Listen;
use crate::settings::surroundings::Process;
use crate::settings::topology::Topology;
use crate::settings::{self, LoadOptions};
use billing::Billing;
use guide::Guide;
use load::Load;
use tally::Tally;

/// How long the link may take to mirror what is still on the way at the end, and the group to read
/// it.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// How long to watch, and how much.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Ends by itself after so long.
    pub duration: Option<Duration>,
    /// Records of the live load, each second.
    pub records_per_second: u64,
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DemoError {
    what: String,
}

/// The settings file, which others may read while the demo runs.
struct SettingsFile {
    directory: PathBuf,
    path: PathBuf,
}

impl DemoError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    fn doing<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::new(format!("{what}: {error}"))
    }
}

/// Plays the demo to its end; `signals` end it, too.
///
/// # Errors
/// If something cannot be started, or if a record is lost, comes twice or out of order.
pub async fn run(
    options: DemoOptions,
    mut signals: mpsc::Receiver<StopSignal>,
) -> Result<Exit, DemoError> {
    let begun = Instant::now();
    let (source, target) = (start().await?, start().await?);
    let (from, to) = (source.address().to_string(), target.address().to_string());
    let file = SettingsFile::write(&shop::settings(&from, &to))?;
    let producer = connect(&from).await?;
    shop::open(&producer).await?;
    let app = App::build(app_options(file.topology()?)).await;
    let app = app.map_err(DemoError::doing("cannot build the link"))?;
    let metrics = app.http_address().map(|address| address.to_string()).unwrap_or_default();
    let (stop_app, app_signals) = mpsc::channel(1);
    let mirroring = tokio::spawn(app.run(app_signals));
    let tally = Tally::new();
    let (closing, closed) = watch::channel(false);
    let load = Load::new(producer, options.records_per_second, tally.clone());
    let load = tokio::spawn(load.run(closed));
    let mut followers = follower::follow(&to, &tally);
    let billing = Billing::start(&from, &tally).await?;
    let guide = Guide {
        settings: &file.path,
        farlog: &std::env::current_exe().unwrap_or_else(|_| PathBuf::from("farlog")),
        source: from.clone(),
        target: to.clone(),
        metrics,
    };
    say(&format!("{guide}ready in {} ms\n", begun.elapsed().as_millis()))?;

    let ended = watch_it(options, &tally, &billing, &mut signals).await;
    closing.send_replace(true);
    load.await.map_err(DemoError::doing("the load failed"))??;
    ended?;
    let drained = drain(&tally, &billing).await;
    let committed = billing.committed().await?;
    billing.leave().await;
    followers.abort_all();
    while followers.join_next().await.is_some() {}
    // A link that has ended by itself is told by its exit.
    let _ = stop_app.send(StopSignal::Terminate).await;
    let exit = mirroring.await.map_err(DemoError::doing("the link failed"))?;
    stop(source).await?;
    stop(target).await?;
    say(&format!("\n{}\n", tally.summary(committed)))?;
    drained?;
    Ok(exit)
}

fn app_options(topology: Topology) -> AppOptions {
    AppOptions {
        topology,
        settings_file: None,
        listen: Listen::On(loopback()),
        instance: "demo".to_owned(),
        is_named: false,
        clock: Clock::system(),
        drain_deadline: DRAIN_PATIENCE,
        live: None,
    }
}

/// A line a second, until it is time to end.
async fn watch_it(
    options: DemoOptions,
    tally: &Tally,
    billing: &Billing,
    signals: &mut mpsc::Receiver<StopSignal>,
) -> Result<(), DemoError> {
    let start = Instant::now();
    let end = options.duration.map(|duration| start + duration);
    let mut lines = interval(Duration::from_secs(1));
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    lines.tick().await;
    loop {
        tokio::select! {
            _ = lines.tick() => {}
            () = until(end) => return Ok(()),
            _ = signals.recv() => return Ok(()),
        }
        if let Some(failure) = tally.failure() {
            return Err(failure);
        }
        let committed = billing.committed().await?;
        say(&format!("{}\n", tally.line(start.elapsed(), committed)))?;
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Waits until the mirror holds all that was produced, and the group has read all of it.
async fn drain(tally: &Tally, billing: &Billing) -> Result<(), DemoError> {
    let deadline = Instant::now() + DRAIN_PATIENCE;
    while !tally.is_level(billing.committed().await?) {
        if let Some(failure) = tally.failure() {
            return Err(failure);
        }
        if Instant::now() >= deadline {
            let what = format!("mirror and group were not level within {DRAIN_PATIENCE:?}");
            return Err(DemoError::new(what));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

async fn connect(bootstrap: &str) -> Result<Cluster, DemoError> {
    let servers = ServerAddress::parse_list(bootstrap)
        .map_err(DemoError::doing("cannot read a broker's address"))?;
    let cluster = Cluster::connect(ClusterOptions::new(servers)).await;
    cluster.map_err(DemoError::doing(format!("cannot connect to {bootstrap}")))
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn say(text: &str) -> Result<(), DemoError> {
    let mut out = io::stdout();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(DemoError::doing("cannot write to standard output"))
}

async fn start() -> Result<EmbeddedCluster, DemoError> {
    let started = EmbeddedCluster::start(BrokerOptions::in_memory(loopback())).await;
    started.map_err(DemoError::doing("cannot start a cluster"))
}

async fn stop(cluster: EmbeddedCluster) -> Result<(), DemoError> {
    cluster.stop().await.map_err(DemoError::doing("a cluster failed"))
}

impl SettingsFile {
    fn write(text: &str) -> Result<Self, DemoError> {
        let directory = std::env::temp_dir().join(format!("farlog-demo-{}", std::process::id()));
        let path = directory.join("farlog.yaml");
        let written = fs::create_dir_all(&directory).and_then(|()| fs::write(&path, text));
        written.map_err(DemoError::doing(format!("cannot write {}", path.display())))?;
        Ok(Self { directory, path })
    }

    fn topology(&self) -> Result<Topology, DemoError> {
        let path: &Path = &self.path;
        let bytes = fs::read(path).map_err(DemoError::doing(path.display()))?;
        let name = path.display().to_string();
        let process = Process::new(&self.directory);
        let loaded = settings::load(&name, &bytes, &LoadOptions::default(), &process);
        if loaded.is_accepted() {
            return Ok(loaded.topology);
        }
        Err(DemoError::new(loaded.report.render()))
    }
}

impl Drop for SettingsFile {
    fn drop(&mut self) {
        // What stays behind in the directory for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
