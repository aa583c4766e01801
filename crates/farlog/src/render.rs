//! What is printed for people and scripts: tables that are readable without colour, JSON and YAML.

pub mod groups;
pub mod observe;
pub mod pace;
pub mod plan;
pub mod quantity;
mod tables;
pub mod view;

use std::fmt::Write as _;

use serde::Serialize;

pub use tables::{eta_text, lag_table, lag_text, status_table};

use groups::GroupView;
use observe::ObserveView;
use plan::PlanView;
use view::StatusView;

/// How data is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// What one wants to know first.
    #[default]
    Table,
    /// Everything, in long lines.
    Wide,
    /// Everything, exactly: times in milliseconds, sizes in bytes.
    Json,
    /// The same as YAML.
    Yaml,
}

/// What `farlog status` prints.
pub fn status(view: &StatusView, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => json(view),
        OutputFormat::Yaml => yaml(view),
        OutputFormat::Table | OutputFormat::Wide => {
            let mut text = status_table(view, format == OutputFormat::Wide);
            text.push_str(&attention(view));
            text
        }
    }
}

/// What `farlog lag` prints.
pub fn lag(view: &StatusView, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => json(view),
        OutputFormat::Yaml => yaml(view),
        OutputFormat::Table | OutputFormat::Wide => {
            let mut text = lag_table(view, format == OutputFormat::Wide);
            let not_running = view.links.iter().filter(|link| link.state == "not-running");
            for link in not_running {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "\n{}", not_running_since(link));
            }
            text
        }
    }
}

/// What `farlog plan` prints.
pub fn plan(view: &PlanView, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => json(view),
        OutputFormat::Yaml => yaml(view),
        OutputFormat::Table | OutputFormat::Wide => plan::text(view, format == OutputFormat::Wide),
    }
}

/// What `farlog groups describe` prints.
pub fn group(view: &GroupView, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => json(view),
        OutputFormat::Yaml => yaml(view),
        OutputFormat::Table | OutputFormat::Wide => {
            groups::text(view, format == OutputFormat::Wide)
        }
    }
}

/// What `farlog observe` prints.
pub fn observe(view: &ObserveView, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => json(view),
        OutputFormat::Yaml => yaml(view),
        OutputFormat::Table | OutputFormat::Wide => {
            observe::text(view, format == OutputFormat::Wide)
        }
    }
}

/// Pretty JSON and a newline.
fn json(view: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(view)
        .expect("a view holds no map with keys that are not texts, the one thing JSON refuses");
    text.push('\n');
    text
}

/// YAML with every text on one line, so that it can be searched.
fn yaml(view: &impl Serialize) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(view, options)
        .expect("a view holds only what JSON can hold, all of which YAML can")
}

/// Everything that is not well, one paragraph each, with the reason and the way out.
fn attention(view: &StatusView) -> String {
    let mut text = String::new();
    for link in &view.links {
        if link.state == "not-running" {
            let _ = writeln!(text, "\n{}", not_running_since(link));
        } else if !link.why.is_empty() && link.state != "standby" {
            let _ = writeln!(text, "\n{}: {}\n  {}", link.link, link.state, link.why);
        }
        for news in link.groups.iter().flat_map(view::GroupsView::news) {
            let _ = writeln!(text, "\n{}: {news}", link.link);
        }
        for partition in link.partitions.iter().filter(|partition| !partition.why.is_empty()) {
            let for_ms = view.at_ms - partition.since_ms;
            let _ = writeln!(
                text,
                "\n{} {}-{}: {} for {} (since {})\n  {}",
                link.link,
                partition.topic,
                partition.partition,
                partition.state,
                quantity::duration(for_ms),
                quantity::instant(partition.since_ms),
                partition.why,
            );
        }
    }
    text
}

fn not_running_since(link: &view::LinkView) -> String {
    if link.at_ms == 0 {
        return format!("{}: not running: {}", link.link, link.why);
    }
    format!(
        "{}: not running since {}: instance {} has been silent since then; figures are of that \
         moment and the lag may be more by now",
        link.link,
        quantity::instant(link.at_ms),
        link.instance,
    )
}

#[cfg(test)]
mod tests;
