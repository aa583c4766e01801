//! The command line: what a person types, and what each command prints and exits with.
//!
//! stdout is data, stderr is talk.

pub mod bench;
pub mod broker;
pub mod check;
mod connect;
pub mod demo;
pub mod explain;
mod file;
pub mod groups;
pub mod lag;
pub mod logging;
pub mod observe;
pub mod plan;
pub mod published;
pub mod run;
pub mod schema;
pub mod status;

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
    /// See it work: two embedded clusters, a link, a live load. Nothing else is needed.
    #[command(after_help = Outcome::help())]
    Demo(demo::DemoArguments),
    /// Replicate: run every link of a settings file until SIGTERM or SIGINT.
    ///
    /// Safe to kill, to restart and to start twice: the position is kept in the target cluster, and
    /// no record is mirrored twice or left out. A link that fails is started again; a cluster that
    /// cannot be reached is waited for.
    #[command(after_help = Outcome::help())]
    Run(run::RunArguments),
    /// What would be created or changed in the target clusters. Nothing is.
    ///
    /// Shows the compiled links, the mirror topics to create, expand and alter, the topics that are
    /// left out and why, and refuses links that would go round in a circle.
    #[command(after_help = Outcome::help())]
    Plan(plan::PlanArguments),
    /// How every link is, what is stopped, and what to do about it.
    ///
    /// Reads what running instances publish in the target clusters, so it works from any machine
    /// that can reach them. Figures are two seconds old; an instance that has been silent for
    /// fifteen is shown as not running.
    #[command(after_help = Outcome::help())]
    Status(status::StatusArguments),
    /// How far each mirror partition is behind: records, bytes, time, and time left.
    ///
    /// BEHIND is the age of the oldest record that is not yet mirrored; RETENTION LEFT is the time
    /// until the source deletes it. `>=` means that the source, or the instance, has been silent
    /// so long that it may be more by now; `?` that it was never known.
    #[command(after_help = Outcome::help())]
    Lag(lag::LagArguments),
    /// Consumer groups: where they stand, and where they would go on in another cluster.
    Groups(groups::GroupsArguments),
    /// A running MirrorMaker 2, seen from beside it: is it alive, how far has it mirrored, and what
    /// would each group read again if it failed over now. Nothing is written.
    ///
    /// What MirrorMaker 2 says of itself (heartbeats, offset syncs, checkpoints, Connect's stored
    /// offsets) is held against the records of both clusters, which tell where a position really
    /// is. EXACT is an offset, or the bounds between which it lies.
    #[command(after_help = Outcome::help())]
    Observe(observe::ObserveArguments),
    /// A Kafka-compatible broker in one process: for trying things out, for tests, for small
    /// clusters.
    ///
    /// Clients connect to it as to Apache Kafka. What it does not serve it refuses as unsupported.
    #[command(after_help = Outcome::help())]
    Broker(Box<broker::BrokerArguments>),
    /// Measure this Farlog beside MirrorMaker 2, on this machine.
    ///
    /// Starts two Kafka brokers, fills one, and lets both tools copy it to the other: catch-up
    /// speed, CPU time, memory and latency, as tables on stdout and as a JSON file. Without options
    /// it ends within some six minutes. It needs Java 17, and Maven if Kafka is not there yet.
    /// Run nothing else meanwhile. All processes are its own and end with it.
    #[command(after_help = Outcome::help())]
    Bench(bench::BenchArguments),
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
    // Not locked: other threads log to stderr while a command runs.
    let (mut data, mut talk) = (std::io::stdout(), std::io::stderr());
    let outcome = match &arguments.command {
        Command::Demo(demo) => demo::run(demo),
        Command::Run(run) => run::run(run),
        Command::Plan(plan) => plan::run(plan, &mut data),
        Command::Status(status) => status::run(status, &mut data),
        Command::Lag(lag) => lag::run(lag, &mut data),
        Command::Groups(groups) => groups::run(groups, &mut data),
        Command::Observe(observe) => observe::run(observe, &mut data),
        Command::Broker(broker) => broker::run(broker),
        Command::Bench(bench) => bench::run(bench, &mut data),
        Command::Check(check) => check::run(check, &mut data, &mut talk),
        Command::Schema(schema) => schema::run(schema, &mut data),
        Command::Explain(explain) => explain::run(explain, &mut data, &mut talk),
    };
    outcome.unwrap_or_else(|error| {
        // A reader that has seen enough (`| head`) is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe { Outcome::Done } else { Outcome::Output }
    })
}
