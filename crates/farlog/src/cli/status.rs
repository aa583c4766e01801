//! `farlog status FILE`: how the links are, what is stopped, and why.

use std::io::{self, Write};

use clap::Args;

use super::Outcome;
use super::published::{self, PublishedArguments};
use crate::render;

/// Arguments of `farlog status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// What to ask.
    #[command(flatten)]
    pub published: PublishedArguments,
    /// Exit with 2 if a link is not running or a partition waits for an operator.
    #[arg(long)]
    pub check: bool,
}

/// Prints how the links are.
///
/// # Errors
/// If the output cannot be written.
pub fn run(arguments: &StatusArguments, data: &mut dyn Write) -> io::Result<Outcome> {
    let found = match published::read(&arguments.published)? {
        Ok(found) => found,
        Err(outcome) => return Ok(outcome),
    };
    write!(data, "{}", render::status(&found.view, arguments.published.output))?;
    if found.outcome == Outcome::Done && arguments.check && !found.view.is_well() {
        return Ok(Outcome::Unwell);
    }
    Ok(found.outcome)
}
