//! What `farlog status` and `farlog lag` have in common: reading what running links published.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use farlog_client::{Cluster, ConnectError};
use farlog_link::Clock;
use indicatif::MultiProgress;

use super::Outcome;
use super::connect::CONNECT_TIMEOUT;
use super::file;
use super::logging::LoggingArguments;
use crate::app::clusters;
use crate::app::published::{Published, PublishedError};
use crate::render::OutputFormat;
use crate::render::view::StatusView;
use crate::settings::topology::{ClusterSettings, Topology};

/// Arguments of both commands.
#[derive(Debug, Args)]
pub struct PublishedArguments {
    /// The settings file that the links run with; only their target clusters are asked.
    pub file: PathBuf,
    /// Only these links.
    #[arg(long, value_name = "NAME")]
    pub link: Vec<String>,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// What was found, and what to end with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) view: StatusView,
    pub(super) outcome: Outcome,
}

/// Why the links of one target cannot be told.
#[derive(Debug, thiserror::Error)]
enum TargetError {
    #[error(transparent)]
    Tls(#[from] farlog_client::tls::TlsOptionsError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Published(#[from] PublishedError),
}

/// Reads what the links of a file published; `Err` holds what to end with when nothing was found.
///
/// # Errors
/// If stderr cannot be written or the runtime does not start.
pub(super) fn read(arguments: &PublishedArguments) -> io::Result<Result<Found, Outcome>> {
    let started = arguments.logging.start("warn", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(Err(started));
    }
    let topology = match topology(arguments)? {
        Ok(topology) => topology,
        Err(outcome) => return Ok(Err(outcome)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::system();
    runtime.block_on(ask(&topology, &clock)).map(Ok)
}

/// The topology with the links that are asked for.
fn topology(arguments: &PublishedArguments) -> io::Result<Result<Topology, Outcome>> {
    let name = arguments.file.display();
    let mut topology = match file::topology(&arguments.file)? {
        Ok(topology) => topology,
        Err(outcome) => return Ok(Err(outcome)),
    };
    for wanted in &arguments.link {
        if topology.link(wanted).is_none() {
            let known: Vec<&str> = topology.links.iter().map(|each| each.name.as_str()).collect();
            let known = known.join(", ");
            writeln!(io::stderr(), "error: {name} has no link `{wanted}`; it has {known}")?;
            return Ok(Err(Outcome::Usage));
        }
    }
    if !arguments.link.is_empty() {
        topology.links.retain(|link| arguments.link.contains(&link.name));
    }
    Ok(Ok(topology))
}

/// Asks every target. One that cannot be asked is said, and does not hide the others.
async fn ask(topology: &Topology, clock: &Clock) -> io::Result<Found> {
    let mut by_target: BTreeMap<&str, Option<Published>> = BTreeMap::new();
    let mut outcome = Outcome::Done;
    for link in &topology.links {
        let Some(settings) = topology.clusters.get(&link.target) else { continue };
        if by_target.contains_key(link.target.as_str()) {
            continue;
        }
        let published = match ask_one(settings).await {
            Ok(published) => Some(published),
            Err(error) => {
                let (target, hint) = (&link.target, settings.when_unreachable());
                writeln!(io::stderr(), "error: cluster {target} cannot be asked: {error}{hint}")?;
                outcome = Outcome::Unavailable;
                None
            }
        };
        by_target.insert(&link.target, published);
    }
    let now_ms = clock.now_ms();
    let mut links = Vec::new();
    for link in &topology.links {
        if let Some(Some(published)) = by_target.get(link.target.as_str()) {
            links.extend(published.views(&link.name, &link.source, &link.target, now_ms));
        }
    }
    Ok(Found { view: StatusView { at_ms: now_ms, links }, outcome })
}

async fn ask_one(settings: &ClusterSettings) -> Result<Published, TargetError> {
    let mut options = clusters::options(settings)?;
    options.retry.give_up_after = CONNECT_TIMEOUT;
    let cluster = Cluster::connect(options).await?;
    Ok(Published::read(&cluster).await?)
}
