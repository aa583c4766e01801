//! `farlog observe FILE`: a running MirrorMaker 2, seen from beside it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use farlog_client::Cluster;
use farlog_link::Clock;
use farlog_link::mm2::observe::{Observation, ObserveOptions, observe};
use indicatif::MultiProgress;

use super::Outcome;
use super::connect::connect;
use super::file;
use super::logging::LoggingArguments;
use crate::render::observe::{FlowView, ObserveView};
use crate::render::{self, OutputFormat};
use crate::settings::topology::{LinkSettings, MirrorMakerSettings, Topology};

/// Arguments of `farlog observe`.
#[derive(Debug, Args)]
pub struct ObserveArguments {
    /// The file that MirrorMaker 2 runs from; its name ends in .properties.
    pub file: PathBuf,
    /// Only flows into these clusters, separated by commas (as MirrorMaker 2's --clusters).
    #[arg(long, value_name = "ALIAS", value_delimiter = ',')]
    pub clusters: Vec<String>,
    /// Only this group, whether MirrorMaker 2 translates it or not.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// How to print; `wide` shows every partition.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Looks at every flow once.
///
/// # Errors
/// If the output cannot be written.
pub fn run(arguments: &ObserveArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let started = arguments.logging.start("warn", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let mut topology = match file::topology(&arguments.file)? {
        Ok(topology) => topology,
        Err(outcome) => return Ok(outcome),
    };
    let of_mirrormaker = |link: &LinkSettings| link.mirrormaker.is_some();
    if !topology.links.iter().any(of_mirrormaker) {
        writeln!(
            io::stderr(),
            "error: {} is no file of MirrorMaker 2, and what is observed is one that runs; for \
             Farlog's own links there are `farlog status` and `farlog lag`",
            arguments.file.display()
        )?;
        return Ok(Outcome::Usage);
    }
    if !arguments.clusters.is_empty() {
        topology.only_targets(&arguments.clusters);
    }
    if topology.links.is_empty() {
        let wanted = arguments.clusters.join(", ");
        writeln!(io::stderr(), "error: no flow of the file leads to {wanted}")?;
        return Ok(Outcome::Usage);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (view, outcome) = runtime.block_on(look(&topology, arguments.group.as_deref()));
    write!(data, "{}", render::observe(&view, arguments.output))?;
    Ok(outcome)
}

/// Looks at every flow. One that cannot be seen says why, and does not hide the others.
async fn look(topology: &Topology, group: Option<&str>) -> (ObserveView, Outcome) {
    let clock = Clock::system();
    let mut connected: BTreeMap<&str, Result<Cluster, (Outcome, String)>> = BTreeMap::new();
    for link in &topology.links {
        for alias in [link.source.as_str(), link.target.as_str()] {
            if !connected.contains_key(alias) {
                connected.insert(alias, connect(topology, alias).await);
            }
        }
    }
    let mut view = ObserveView { at_ms: clock.now_ms(), flows: Vec::new() };
    let mut outcome = Outcome::Done;
    for link in &topology.links {
        let Some(mirrormaker) = &link.mirrormaker else { continue };
        let mut flow = FlowView::new(link, mirrormaker);
        let ends = [&connected[link.source.as_str()], &connected[link.target.as_str()]];
        match look_at(link, mirrormaker, group, ends).await {
            Ok(seen) => flow.take(seen, clock.now_ms()),
            Err((exit, why)) => {
                outcome = exit;
                flow.error = why;
            }
        }
        view.flows.push(flow);
    }
    (view, outcome)
}

async fn look_at(
    link: &LinkSettings,
    mirrormaker: &MirrorMakerSettings,
    group: Option<&str>,
    ends: [&Result<Cluster, (Outcome, String)>; 2],
) -> Result<Observation, (Outcome, String)> {
    let [source, target] = ends.map(|end| end.as_ref().map_err(Clone::clone));
    let options = ObserveOptions {
        pair: mirrormaker.topics.pair.clone(),
        topics: link.topics.clone(),
        groups: mirrormaker.topics.groups.clone(),
        groups_exclude: mirrormaker.topics.groups_exclude.clone(),
        connect_group: mirrormaker.connect_group.clone(),
        source_offsets_topic: mirrormaker.source_offsets_topic.clone(),
        only_group: group.map(str::to_owned),
    };
    let seen = observe(&options, source?, target?).await;
    seen.map_err(|error| (Outcome::Unavailable, error.to_string()))
}
