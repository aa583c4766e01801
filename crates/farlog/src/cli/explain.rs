//! `farlog explain FIELD`: what a field of farlog.yaml means, from its schema.

use std::io::{self, Write};

use clap::Args;

use super::Outcome;
use crate::settings::diagnostics::nearest;
use crate::settings::fields::{self, Field};
use crate::settings::yaml::model;

/// Arguments of `farlog explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// A field, as in `rate-limit`, `config-sync.interval` or `links.us-to-eu.start`. Without it,
    /// every field is listed.
    pub field: Option<String>,
}

/// Explains a field to `data`.
///
/// # Errors
/// If it cannot be written.
pub fn run(
    arguments: &ExplainArguments,
    data: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<Outcome> {
    let all = fields::fields(&model::schema());
    let Some(asked) = &arguments.field else {
        for field in &all {
            let mark = if field.not_yet.is_some() { " (not yet)" } else { "" };
            writeln!(data, "{}{mark}", field.path)?;
        }
        return Ok(Outcome::Done);
    };
    let found = fields::find(&all, asked);
    if found.is_empty() {
        writeln!(talk, "error: farlog.yaml has no field `{asked}`")?;
        let words = all.iter().filter_map(|field| field.path.rsplit('.').next());
        let last = asked.rsplit('.').next().unwrap_or(asked);
        if let Some(near) = nearest(last, words) {
            writeln!(talk, "  = help: did you mean `{near}`?")?;
        }
        return Ok(Outcome::Usage);
    }
    for (index, field) in found.iter().enumerate() {
        if index > 0 {
            writeln!(data)?;
        }
        explain(field, &all, data)?;
    }
    Ok(Outcome::Done)
}

fn explain(field: &Field, all: &[Field], data: &mut dyn Write) -> io::Result<()> {
    let required = if field.is_required { ", required" } else { "" };
    writeln!(data, "{} ({}{required})", field.path, field.kind)?;
    if let Some(today) = &field.not_yet {
        writeln!(data, "  NOT YET in this release. What works today: {today}.")?;
    }
    writeln!(data, "  {}", field.description)?;
    if let Some(default) = &field.default {
        writeln!(data, "  Default: {default}")?;
    }
    if let Some(example) = &field.example {
        writeln!(data, "  Example: {example}")?;
    }
    for value in &field.values {
        writeln!(data, "  - {}: {}", value.name, value.description)?;
        if let Some(today) = &value.not_yet {
            writeln!(data, "    NOT YET in this release. What works today: {today}.")?;
        }
    }
    let children = all.iter().filter_map(|other| {
        let rest = other.path.strip_prefix(&field.path)?.trim_start_matches("[]");
        let rest = rest.strip_prefix('.')?;
        let rest = rest.strip_prefix("NAME.").unwrap_or(rest);
        (!rest.contains(['.', '['])).then_some(rest)
    });
    let children: Vec<&str> = children.collect();
    if !children.is_empty() {
        writeln!(data, "  Fields: {}", children.join(", "))?;
    }
    Ok(())
}
