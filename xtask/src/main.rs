//! Typed commands for developers: `cargo xtask <command>`, one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command::Failure;
use farlog_testkit::jars::workspace;

mod bench;
mod codegen;
mod command;
mod debian;
mod fetch_clients;
mod fetch_kafka;
mod product;
mod soak;
mod test;
mod tidy;

/// What developers run.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure Farlog beside MirrorMaker 2 between two real clusters
    Bench(bench::Arguments),
    /// Measure the embedded broker beside Kafka, under Kafka's own load tools
    BenchBroker(bench::BrokerArguments),
    /// Write the Kafka messages of the wire crate from Kafka's own definitions
    Codegen(codegen::Options),
    /// Fetch the clients in other languages that tests run
    FetchClients,
    /// Fetch the jars of Apache Kafka and MirrorMaker 2 that tests and benches run
    FetchKafka(fetch_kafka::Arguments),
    /// Kill instances, networks and brokers a thousand times, and compare every record afterwards
    Soak(soak::Arguments),
    /// Pass all tests: style, then every test of the workspace against real servers
    Test(test::Arguments),
    /// Check the rules of style that no other tool checks
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchBroker(arguments) => bench::run_broker(&arguments),
        Command::Codegen(options) => codegen::run(workspace(), &options).map_err(Failure::new),
        Command::FetchClients => fetch_clients::run(),
        Command::FetchKafka(arguments) => fetch_kafka::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_can_be_parsed() {
        Arguments::command().debug_assert();
    }
}
