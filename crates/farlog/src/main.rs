//! The `farlog` binary.

use std::process::ExitCode;

use farlog::cli;

fn main() -> ExitCode {
    match cli::arguments() {
        Ok(arguments) => cli::run(&arguments).into(),
        Err(outcome) => outcome.into(),
    }
}
