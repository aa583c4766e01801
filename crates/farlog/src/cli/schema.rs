//! `farlog schema`: the JSON Schema of farlog.yaml, or the configuration page made from it.

use std::io::{self, Write};

use clap::Args;

use super::Outcome;
use crate::settings::{fields, yaml::model};

/// Arguments of `farlog schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Print the configuration page instead, as Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// Prints the schema to `data`.
///
/// # Errors
/// If it cannot be written.
pub fn run(arguments: &SchemaArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let schema = model::schema();
    if arguments.markdown {
        write!(data, "{}", fields::markdown(&schema))?;
    } else {
        writeln!(data, "{schema:#}")?;
    }
    Ok(Outcome::Done)
}
