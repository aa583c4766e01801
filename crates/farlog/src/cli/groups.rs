//! `farlog groups …`: where consumer groups stand, and where they would go on elsewhere.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use farlog_link::groups::{Direction, translate_group};
use indicatif::MultiProgress;

use super::Outcome;
use super::connect::connect;
use super::file;
use super::logging::LoggingArguments;
use crate::app::links;
use crate::render::groups::GroupView;
use crate::render::{self, OutputFormat};
use crate::settings::topology::{LinkSettings, Topology};

/// Arguments of `farlog groups`.
#[derive(Debug, Args)]
pub struct GroupsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: GroupsCommand,
}

/// What there is to do with groups.
#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// Where a group stands, and at which record it would go on in another cluster.
    ///
    /// Follows every link that begins or ends in that cluster: to a link's target, positions
    /// committed at its source are translated; to its source, positions committed on its mirrors.
    /// Nothing is written.
    #[command(after_help = Outcome::help())]
    Describe(DescribeArguments),
}

/// Arguments of `farlog groups describe`.
#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// The group.
    pub group: String,
    /// The cluster where the group would go on, by its name in the settings file.
    #[arg(long, value_name = "CLUSTER")]
    pub to: String,
    /// farlog.yaml, or a MirrorMaker 2 file that ends in .properties.
    #[arg(long, short, value_name = "FILE", default_value = "farlog.yaml")]
    pub file: PathBuf,
    /// Only by this link.
    #[arg(long, value_name = "NAME")]
    pub link: Option<String>,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Runs one of the commands.
///
/// # Errors
/// If the output cannot be written.
pub fn run(arguments: &GroupsArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let GroupsCommand::Describe(arguments) = &arguments.command;
    let started = arguments.logging.start("warn", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let topology = match file::topology(&arguments.file)? {
        Ok(topology) => topology,
        Err(outcome) => return Ok(outcome),
    };
    let asked = match chosen(&topology, arguments) {
        Ok(asked) => asked,
        Err(why) => {
            writeln!(io::stderr(), "error: {why}")?;
            return Ok(Outcome::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut view = GroupView::new(&arguments.group, &arguments.to);
    let mut outcome = Outcome::Done;
    for (link, direction) in asked {
        let described = describe(&topology, link, &arguments.group, direction);
        match runtime.block_on(described) {
            Ok(positions) => view.add(link, direction, positions),
            Err((exit, why)) => {
                writeln!(io::stderr(), "error: link {}: {why}", link.name)?;
                outcome = exit;
            }
        }
    }
    if view.is_empty() && outcome == Outcome::Done {
        writeln!(
            io::stderr(),
            "group {} has committed nothing in the clusters that these links come from",
            arguments.group
        )?;
        outcome = Outcome::Failed;
    }
    write!(data, "{}", render::group(&view, arguments.output))?;
    Ok(outcome)
}

/// The links to follow, and which way.
fn chosen<'t>(
    topology: &'t Topology,
    arguments: &DescribeArguments,
) -> Result<Vec<(&'t LinkSettings, Direction)>, String> {
    let to = arguments.to.as_str();
    if !topology.clusters.contains_key(to) {
        let known: Vec<&str> = topology.clusters.keys().map(String::as_str).collect();
        return Err(format!("no cluster is called `{to}`; there are {}", known.join(", ")));
    }
    let is_wanted =
        |link: &&LinkSettings| arguments.link.as_ref().is_none_or(|wanted| *wanted == link.name);
    let chosen: Vec<_> = topology
        .links
        .iter()
        .filter(is_wanted)
        .filter_map(|link| {
            if link.target == to {
                Some((link, Direction::ToTarget))
            } else {
                (link.source == to).then_some((link, Direction::ToSource))
            }
        })
        .collect();
    if chosen.is_empty() {
        let known: Vec<&str> = topology.links.iter().map(|link| link.name.as_str()).collect();
        let wanted = arguments.link.as_ref().map_or(String::new(), |link| format!(" `{link}`"));
        let known = known.join(", ");
        return Err(format!("no link{wanted} begins or ends in {to}; there are {known}"));
    }
    Ok(chosen)
}

async fn describe(
    topology: &Topology,
    link: &LinkSettings,
    group: &str,
    direction: Direction,
) -> Result<Vec<farlog_link::groups::GroupPosition>, (Outcome, String)> {
    let source = connect(topology, &link.source).await?;
    let target = connect(topology, &link.target).await?;
    let options = links::options(link, "groups", false);
    let translated = translate_group(&options, &source, &target, group, direction).await;
    translated.map_err(|error| (Outcome::Unavailable, error.to_string()))
}
