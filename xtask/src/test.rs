//! `cargo xtask test`: everything that must pass.

use std::process::Command;

use crate::command::{self, Failure};
use crate::{debian, fetch_kafka, tidy};

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `cargo test`, for instance a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_test: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    command::step("tidy", tidy::run)?;
    command::step("tools", || {
        debian::provide(&[debian::JAVA, debian::JAVAC, debian::MAVEN, debian::KCAT])
    })?;
    fetch_kafka::run(&fetch_kafka::Arguments::default())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command::step("cargo test", || {
        command::run(
            Command::new(cargo)
                .args(["test", "--workspace", "--locked"])
                .args(&arguments.cargo_test)
                .current_dir(farlog_testkit::jars::workspace()),
        )
    })
}
