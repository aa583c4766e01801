//! `farlog plan FILE`: what would be created or changed. Nothing is.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use farlog_link::plan_link;
use indicatif::MultiProgress;

use super::Outcome;
use super::check::describe_link;
use super::file;
use super::logging::LoggingArguments;
use crate::app::clusters::{self, SharedCluster};
use crate::app::links;
use crate::render::plan::{LinkPlanView, PlanView};
use crate::render::{self, OutputFormat};
use crate::settings::topology::{ClusterSettings, LinkSettings, Topology};

/// Arguments of `farlog plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// farlog.yaml, or a MirrorMaker 2 file that ends in .properties.
    pub file: PathBuf,
    /// How to print; `wide` shows every config of topics to create.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Prints what every link would do now.
///
/// # Errors
/// If the output cannot be written.
pub fn run(arguments: &PlanArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let started = arguments.logging.start("warn", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let name = arguments.file.display();
    let loaded = match file::load(&arguments.file)? {
        Ok(loaded) => loaded,
        Err(outcome) => return Ok(outcome),
    };
    write!(io::stderr(), "{}", loaded.report.render())?;
    if !loaded.is_accepted() {
        let counts = loaded.report.summary().unwrap_or_default();
        writeln!(io::stderr(), "{name}: refused, {counts}; no cluster was asked")?;
        return Ok(Outcome::Usage);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (view, outcome) = runtime.block_on(plan(&loaded.topology));
    write!(data, "{}", render::plan(&view, arguments.output))?;
    Ok(outcome)
}

/// Plans every link. One that cannot be planned says why, and does not hide the others.
async fn plan(topology: &Topology) -> (PlanView, Outcome) {
    let mut clusters = BTreeMap::new();
    for (alias, settings) in &topology.clusters {
        let cluster = clusters::options(settings)
            .map(|options| Arc::new(SharedCluster::new(alias, options)))
            .map_err(|error| format!("cluster {alias}: {error}"));
        clusters.insert(alias.as_str(), cluster);
    }
    let mut outcome = Outcome::Done;
    let mut views = Vec::with_capacity(topology.links.len());
    for link in &topology.links {
        let mut view =
            LinkPlanView::new(&link.name, &link.source, &link.target, describe_link(link));
        if let Err((exit, why)) = plan_one(topology, link, &clusters, &mut view).await {
            outcome = exit;
            view.error = why;
        }
        views.push(view);
    }
    (PlanView { links: views }, outcome)
}

type Clusters<'t> = BTreeMap<&'t str, Result<Arc<SharedCluster>, String>>;

async fn plan_one(
    topology: &Topology,
    link: &LinkSettings,
    clusters: &Clusters<'_>,
    view: &mut LinkPlanView,
) -> Result<(), (Outcome, String)> {
    let connect = async |alias: &str| {
        let hint = topology.clusters.get(alias).map_or("", ClusterSettings::when_unreachable);
        let cluster = clusters.get(alias).cloned();
        let cluster = cluster.unwrap_or_else(|| Err(format!("no cluster is called {alias}")));
        let cluster = cluster.map_err(|why| (Outcome::Usage, why))?;
        let unavailable = |error| (Outcome::Unavailable, format!("cluster {alias}: {error}{hint}"));
        cluster.get().await.map_err(unavailable)
    };
    let (source, target) = (connect(&link.source).await?, connect(&link.target).await?);
    if source.cluster_id() == target.cluster_id() {
        let (from, to, id) = (&link.source, &link.target, source.cluster_id());
        let why = format!("refused: {from} and {to} are the same cluster ({id})");
        return Err((Outcome::Usage, why));
    }
    let options = links::options(link, "plan", false);
    let plan = plan_link(&options, &source, &target)
        .await
        .map_err(|error| (Outcome::Unavailable, error.to_string()))?;
    view.take(plan);
    Ok(())
}
