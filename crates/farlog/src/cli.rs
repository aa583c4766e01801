//! The command line: what a person types, and what each command prints and exits with.
//!
//! stdout is data, stderr is talk.

pub mod check;
pub mod explain;
pub mod schema;

use clap::{Parser, Subcommand};

pub use crate::exit::Exit as Outcome;

/// The multi-region layer for Kafka.
#[derive(Debug, Parser)]
#[command(name = "farlog", version, after_help = Outcome::help())]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a settings file and report every mistake in it; nothing is contacted.
    Check(check::CheckArguments),
    /// Print the JSON Schema of farlog.yaml, for editors.
    Schema(schema::SchemaArguments),
    /// Say what a field of farlog.yaml means.
    Explain(explain::ExplainArguments),
}

/// Reads the process's command line, or says what is wrong with it.
///
/// # Errors
/// What to exit with: help was asked for and given, or the command line is wrong.
pub fn arguments() -> Result<Arguments, Outcome> {
    Arguments::try_parse().map_err(|error| {
        let written = error.print();
        match (written, error.use_stderr()) {
            (Err(_), _) => Outcome::Output,
            (Ok(()), true) => Outcome::Usage,
            (Ok(()), false) => Outcome::Done,
        }
    })
}

/// Runs a command.
pub fn run(arguments: &Arguments) -> Outcome {
    let (mut data, mut talk) = (std::io::stdout().lock(), std::io::stderr().lock());
    let outcome = match &arguments.command {
        Command::Check(check) => check::run(check, &mut data, &mut talk),
        Command::Schema(schema) => schema::run(schema, &mut data),
        Command::Explain(explain) => explain::run(explain, &mut data, &mut talk),
    };
    outcome.unwrap_or_else(|error| {
        // A reader that has seen enough (`| head`) is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe { Outcome::Done } else { Outcome::Output }
    })
}
