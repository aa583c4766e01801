//! `cargo xtask test`: everything that must pass.

use std::process::Command;

use crate::command::{self, Failure};
use crate::product::{self, Profile};
use crate::{debian, fetch_clients, fetch_kafka, tidy};

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the tests of the link on embedded clusters instead of Kafka's, and nothing else
    #[arg(long)]
    embedded: bool,
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
    if !arguments.embedded {
        fetch_clients::run()?;
        command::step("cargo test", || {
            let mut test = cargo_test(&["--workspace"]);
            command::run(test.args(&arguments.cargo_test))
        })?;
    }
    // With a filter nobody asked for these.
    if !arguments.embedded && !arguments.cargo_test.is_empty() {
        return Ok(());
    }
    product::build(Profile::Dev)?;
    command::step("cargo test on embedded clusters", || {
        let mut test = cargo_test(&["--package", "farlog-link", "--test", "it"]);
        test.env("FARLOG_EMBEDDED", product::path(Profile::Dev));
        command::run(test.args(&arguments.cargo_test))
    })
}

fn cargo_test(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.args(["test", "--locked"]).args(arguments);
    test.current_dir(farlog_testkit::jars::workspace());
    test
}
