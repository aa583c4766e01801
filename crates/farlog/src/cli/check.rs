//! `farlog check FILE`: parse, compile, validate; report every mistake; contact nothing.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::settings::topology::{LinkSettings, Topology};
use crate::settings::{LoadOptions, load_file};
use farlog_link::topics::{Naming, TopicRule};

/// Arguments of `farlog check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// farlog.yaml, or a MirrorMaker 2 file that ends in .properties.
    pub file: PathBuf,
    /// Refuse warnings and, in a MirrorMaker 2 file, what is not yet here; ask of every family
    /// who is authoritative, what becomes of offsets, schemas and duplicates, and which drill
    /// proves it.
    #[arg(long)]
    pub strict: bool,
}

/// Checks a file: compiled links to `data`, everything there is to say to `talk`.
///
/// # Errors
/// If either cannot be written.
pub fn run(
    arguments: &CheckArguments,
    data: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<Outcome> {
    let name = arguments.file.display();
    let loaded = match load_file(&arguments.file, &LoadOptions { strict: arguments.strict }) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(talk, "error: cannot read {name}: {error}")?;
            return Ok(Outcome::NoInput);
        }
    };
    write!(talk, "{}", loaded.report.render())?;
    let counts = loaded.report.summary();
    let counts = counts.map(|counts| format!(", {counts}")).unwrap_or_default();
    if !loaded.is_accepted() {
        let strictly = if loaded.report.has_errors() { "" } else { " (--strict)" };
        writeln!(talk, "{name}: refused{strictly}{counts}")?;
        return Ok(Outcome::Usage);
    }
    write!(data, "{}", describe(&loaded.topology))?;
    writeln!(talk, "{name}: accepted{counts}")?;
    Ok(Outcome::Done)
}

/// One line per cluster and per link.
pub fn describe(topology: &Topology) -> String {
    let mut out = String::new();
    for (alias, cluster) in &topology.clusters {
        let servers: Vec<String> =
            cluster.bootstrap_servers.iter().map(ToString::to_string).collect();
        out.push_str(&format!("cluster {alias} at {}\n", servers.join(", ")));
    }
    for link in &topology.links {
        out.push_str(&format!("link {}\n", describe_link(link)));
    }
    out
}

/// A link in a line.
pub fn describe_link(link: &LinkSettings) -> String {
    let naming = &link.topics.naming;
    let (include, exclude) = (&link.topics.filter.include, &link.topics.filter.exclude);
    let mut out = format!("{}: {} -> {}, {}", link.name, link.source, link.target, rules(include));
    if !exclude.is_empty() {
        out.push_str(&format!(" but not {}", rules(exclude)));
    }
    match naming.naming {
        Naming::Same => out.push_str(", same names"),
        Naming::Prefixed => out.push_str(&format!(", as {}", naming.remote_topic("TOPIC"))),
        Naming::Mm2Identity => out.push_str(", same names but for heartbeats"),
    }
    if let Some(factor) = link.replication_factor {
        out.push_str(&format!(", replication factor {factor}"));
    }
    out
}

fn rules(rules: &[TopicRule]) -> String {
    let words: Vec<String> = rules
        .iter()
        .map(|rule| match rule {
            TopicRule::Literal(name) => name.clone(),
            TopicRule::Prefix(prefix) if prefix.is_empty() => "every topic".to_owned(),
            TopicRule::Prefix(prefix) => format!("{prefix}…"),
            TopicRule::Pattern(pattern) => format!("/{pattern}/"),
        })
        .collect();
    if words.is_empty() { "no topics".to_owned() } else { words.join(" ") }
}
