//! `cargo xtask bench` and `bench-broker`: the benches of this workspace's own build.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use farlog_bench::{Doing, KAFKA, Plan, Progress, Surroundings};
use farlog_testkit::jars::workspace;

use crate::command::{self, Failure};
use crate::fetch_kafka;
use crate::product::{self, Profile};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bench: farlog_bench::Arguments,
    /// Measure this binary instead of building one
    #[arg(long)]
    farlog: Option<PathBuf>,
    /// Where to write the report as JSON; relative to the workspace
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

/// How much load for the brokers.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArguments {
    #[command(flatten)]
    bench: farlog_bench::broker::Arguments,
    /// Measure this binary instead of building one
    #[arg(long)]
    farlog: Option<PathBuf>,
}

/// Runs the bench, prints its tables and writes its report.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let profile = if arguments.bench.smoke { Profile::Dev } else { Profile::Release };
    if cfg!(debug_assertions) && profile == Profile::Release {
        return run_released();
    }
    let surroundings = Surroundings {
        jars: fetch_kafka::fetch(KAFKA)?,
        farlog: binary(arguments.farlog.as_ref(), profile)?,
        progress: Box::new(Lines),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::while_doing("starting a runtime"))?;
    eprintln!("{}", Plan::new(&arguments.bench).described());
    let report = runtime
        .block_on(farlog_bench::measure(&arguments.bench, surroundings))
        .map_err(|error| Failure::new(error.to_string()))?;
    print!("{}", report.tables());
    // Relative to the workspace, wherever the command was typed.
    let path = workspace().join(&arguments.json);
    fs::write(&path, report.json()).map_err(Failure::while_doing(path.display()))?;
    eprintln!("report: {}", path.display());
    Ok(())
}

/// Runs the bench of the embedded broker and prints its table.
pub(crate) fn run_broker(arguments: &BrokerArguments) -> Result<(), Failure> {
    fetch_kafka::fetch(KAFKA)?;
    let farlog = binary(arguments.farlog.as_ref(), Profile::Release)?;
    let table = farlog_bench::broker::measure(&arguments.bench, &farlog, &mut Lines)
        .map_err(|error| Failure::new(error.to_string()))?;
    println!("{table}");
    Ok(())
}

/// The load generator and the consumers must not be what is measured: `cargo xtask` builds them
/// without optimisation, so the same command is run again as it would be released.
fn run_released() -> Result<(), Failure> {
    command::run(
        Command::new(env!("CARGO"))
            .args(["run", "--release", "--quiet", "--locked", "--package", "xtask", "--"])
            .args(std::env::args_os().skip(1)),
    )
}

/// The Farlog to measure, built if it has to be.
fn binary(named: Option<&PathBuf>, profile: Profile) -> Result<PathBuf, Failure> {
    if let Some(farlog) = named {
        return Ok(farlog.clone());
    }
    product::build(profile)?;
    Ok(product::path(profile))
}

/// One line for each step, for terminals and for the logs of machines.
struct Lines;

impl Progress for Lines {
    fn line(&mut self, text: &str) {
        eprintln!("{text}");
    }

    fn doing(&mut self, _: &Doing<'_>) {}
}
