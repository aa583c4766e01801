//! `farlog lag FILE`: how far each mirror partition is behind its source.

use std::io::{self, Write};

use clap::Args;

use super::Outcome;
use super::published::{self, PublishedArguments};
use crate::render;

/// Arguments of `farlog lag`.
#[derive(Debug, Args)]
pub struct LagArguments {
    /// What to ask.
    #[command(flatten)]
    pub published: PublishedArguments,
}

/// Prints the lag of every partition.
///
/// # Errors
/// If the output cannot be written.
pub fn run(arguments: &LagArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let found = match published::read(&arguments.published)? {
        Ok(found) => found,
        Err(outcome) => return Ok(outcome),
    };
    write!(data, "{}", render::lag(&found.view, arguments.published.output))?;
    Ok(found.outcome)
}
