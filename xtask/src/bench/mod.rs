//! `cargo xtask bench`: Farlog beside MirrorMaker 2 between two real clusters, and the machine's
//! own ceiling.
//!
//! Every run of a tool begins with an empty target and a link name never used before. Farlog and
//! MirrorMaker 2 are given the same file. Figures are medians; MirrorMaker 2 is slow and steady,
//! so it runs fewer times.

mod batches;
mod catch_up;
mod clusters;
mod consumer;
mod dataset;
mod disk;
mod latency;
mod limits;
mod load;
mod preload;
mod relay;
mod report;
mod statistics;
mod table;
mod tools;
pub(crate) mod usage;
mod values;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use farlog_testkit::jars::{KafkaVersion, workspace};

use crate::command::{self, Failure};
use crate::product::{self, Profile};
use clusters::Pair;
use dataset::DatasetKind;
use latency::Durations;
use report::{CatchUp, CatchUpRun, Latency, LatencyRun, Machine, Report, Settings, Tool};
use tools::Tools;

/// Release of the brokers and of MirrorMaker 2.
const KAFKA: KafkaVersion = KafkaVersion::V4_3;

const MB: u64 = 1_000_000;

/// What to measure, and how thoroughly.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A minute with little data, to see that the bench works; its figures mean nothing
    #[arg(long, conflicts_with = "full")]
    smoke: bool,
    /// 2 GB of every dataset and the full number of runs
    #[arg(long)]
    full: bool,
    /// Only this part; repeat the option for more
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Only this tool; repeat the option for more
    #[arg(long, value_enum)]
    tool: Vec<ToolChoice>,
    /// Runs of Farlog and of the relay for each figure [default: 3, 5 with --full, 1 with --smoke]
    #[arg(long)]
    runs: Option<usize>,
    /// Runs before those that count, for each dataset [default: 2, 5 with --full, 0 with --smoke]
    #[arg(long)]
    warm_up_runs: Option<usize>,
    /// Runs of MirrorMaker 2 for each figure [default: 1, 3 with --full]
    #[arg(long)]
    mirror_maker_runs: Option<usize>,
    /// Megabytes of each dataset, uncompressed [default: 500, 2000 with --full, 8 with --smoke]
    #[arg(long)]
    megabytes: Option<u64>,
    /// Measure this binary instead of building one
    #[arg(long)]
    farlog: Option<PathBuf>,
    /// Where to write the report as JSON
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The plain TCP relay
    Relay,
    /// Catch-up of 127 KB batches
    #[value(name = "127kb")]
    Large,
    /// Catch-up of 2 KB batches
    #[value(name = "2kb")]
    Small,
    /// Catch-up of 127 KB batches, zstd
    #[value(name = "127kb-zstd")]
    LargeZstd,
    /// Catch-up of 2 KB batches, zstd
    #[value(name = "2kb-zstd")]
    SmallZstd,
    /// End-to-end latency at 2,000 records/s
    Latency,
}

/// A tool, as the command line knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ToolChoice {
    Farlog,
    #[value(name = "mm2")]
    MirrorMaker2,
    #[value(name = "mm2-defaults")]
    MirrorMaker2Defaults,
}

/// The arguments with every default filled in.
struct Plan {
    mode: &'static str,
    profile: Profile,
    runs: usize,
    warm_up_runs: usize,
    mirror_maker_runs: usize,
    dataset_bytes: u64,
    durations: Durations,
    arguments: Arguments,
}

/// Runs the bench, prints its tables and writes its report.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    if cfg!(debug_assertions) && !arguments.smoke {
        return run_released();
    }
    crate::fetch_kafka::fetch(KAFKA)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::while_doing("starting a runtime"))?;
    let plan = Plan::new(arguments);
    let report = runtime.block_on(plan.measure())?;
    print!("{}", table::render(&report));
    plan.write(&report)
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

impl Plan {
    fn new(arguments: Arguments) -> Plan {
        let (mode, runs, warm_up_runs, mirror_maker_runs, megabytes, seconds) =
            match (arguments.smoke, arguments.full) {
                (true, _) => ("smoke", 1, 0, 1, 8, 5),
                (false, false) => ("quick", 3, 2, 1, 500, 20),
                (false, true) => ("full", 5, 5, 3, 2_000, 30),
            };
        Plan {
            mode,
            profile: if arguments.smoke { Profile::Dev } else { Profile::Release },
            runs: arguments.runs.unwrap_or(runs),
            warm_up_runs: arguments.warm_up_runs.unwrap_or(warm_up_runs),
            mirror_maker_runs: arguments.mirror_maker_runs.unwrap_or(mirror_maker_runs),
            dataset_bytes: arguments.megabytes.unwrap_or(megabytes) * MB,
            durations: Durations {
                // MirrorMaker 2 needs it until its JVM has compiled what it runs.
                warm_up: Duration::from_secs(seconds),
                measured: Duration::from_secs(seconds),
            },
            arguments,
        }
    }

    async fn measure(&self) -> Result<Report, Failure> {
        let mut report = self.empty_report();
        if self.includes(Part::Relay) {
            for _ in 0..self.runs {
                let run = tokio::task::block_in_place(|| relay::measure(self.dataset_bytes))?;
                eprintln!("relay: {:.0} MB/s", run.mb_per_second);
                report.relay.push(run);
            }
        }
        let chosen: Vec<Tool> = self.tools().into_iter().map(|(tool, _)| tool).collect();
        let tools = tokio::task::block_in_place(|| {
            Tools::new(KAFKA, self.binary(chosen.contains(&Tool::Farlog))?)
        })?;
        let pair = Pair::start(KAFKA).await?;
        self.measure_tools(&pair, &tools, &mut report).await.map_err(|failure| {
            let complaints = pair.complaints();
            Failure::new(format!("{failure}\nwhat the brokers complained about:\n{complaints}"))
        })?;
        if !self.arguments.smoke {
            report.verdicts = limits::verdicts(&report);
        }
        Ok(report)
    }

    async fn measure_tools(
        &self,
        pair: &Pair,
        tools: &Tools,
        report: &mut Report,
    ) -> Result<(), Failure> {
        for kind in DatasetKind::ALL {
            if self.includes(Part::of(kind)) {
                report.catch_up.extend(self.catch_up(pair, tools, kind).await?);
            }
        }
        if self.includes(Part::Latency) {
            report.latency = self.latency(pair, tools).await?;
        }
        Ok(())
    }

    async fn catch_up(
        &self,
        pair: &Pair,
        tools: &Tools,
        kind: DatasetKind,
    ) -> Result<Vec<CatchUp>, Failure> {
        let name = kind.name();
        eprintln!("{name}: filling the source");
        let dataset = preload::fill(&pair.source, kind, self.dataset_bytes).await?;
        let mut rows = Vec::new();
        for (tool, runs) in self.tools() {
            if self.skips(tool, kind) {
                continue;
            }
            let mut row = CatchUp { dataset: kind, tool, runs: Vec::new() };
            // Brokers take several times the CPU until their JVMs have compiled what a dataset
            // makes them do, so the first tool runs some times more. Every tool then finds them
            // as warm.
            for number in 1..=if rows.is_empty() { self.warm_up_runs } else { 0 } {
                let alias = format!("{}w{number}", tool.alias());
                let run = catch_up::run(pair, tools, tool, &dataset, &alias).await?;
                say_catch_up(name, tool, &format!("warm-up {number}"), &run);
            }
            for number in 1..=runs {
                let alias = format!("{}{number}", tool.alias());
                let run = catch_up::run(pair, tools, tool, &dataset, &alias).await?;
                say_catch_up(name, tool, &format!("run {number}"), &run);
                row.runs.push(run);
            }
            rows.push(row);
        }
        pair.source.delete_topics(&[dataset.topic]).await?;
        Ok(rows)
    }

    async fn latency(&self, pair: &Pair, tools: &Tools) -> Result<Vec<Latency>, Failure> {
        let mut rows = Vec::new();
        for (tool, runs) in [(Tool::None, 1)].into_iter().chain(self.tools()) {
            if self.arguments.smoke && tool.is_mirror_maker() {
                continue;
            }
            let mut row = Latency { tool, runs: Vec::new() };
            for number in 1..=runs {
                let alias = format!("{}live{number}", tool.alias());
                let run = latency::run(pair, tools, tool, self.durations, &alias).await?;
                say_latency(tool, number, &run);
                row.runs.push(run);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// A smoke test has seen enough when each tool has worked once, and who compresses his mirror
    /// has tuned something.
    fn skips(&self, tool: Tool, kind: DatasetKind) -> bool {
        let defaults_compressed = tool == Tool::MirrorMaker2Defaults && kind.is_compressed();
        let seen = self.arguments.smoke && tool.is_mirror_maker() && kind != DatasetKind::Large;
        defaults_compressed || seen
    }

    /// The tools that were asked for, and how often each runs.
    fn tools(&self) -> Vec<(Tool, usize)> {
        let chosen = &self.arguments.tool;
        [
            (ToolChoice::Farlog, Tool::Farlog, self.runs),
            (ToolChoice::MirrorMaker2, Tool::MirrorMaker2, self.mirror_maker_runs),
            (ToolChoice::MirrorMaker2Defaults, Tool::MirrorMaker2Defaults, self.mirror_maker_runs),
        ]
        .into_iter()
        .filter(|(choice, ..)| chosen.is_empty() || chosen.contains(choice))
        .map(|(_, tool, runs)| (tool, runs))
        .collect()
    }

    /// The Farlog to measure, built if it has to be.
    fn binary(&self, needed: bool) -> Result<PathBuf, Failure> {
        if let Some(farlog) = &self.arguments.farlog {
            return Ok(farlog.clone());
        }
        if needed {
            product::build(self.profile)?;
        }
        Ok(product::path(self.profile))
    }

    fn includes(&self, part: Part) -> bool {
        self.arguments.only.is_empty() || self.arguments.only.contains(&part)
    }

    fn empty_report(&self) -> Report {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Report {
            mode: self.mode,
            started_at: since.as_secs(),
            machine: Machine::this(),
            kafka_version: KAFKA.number(),
            settings: Settings {
                brokers: clusters::described(),
                farlog: tools::farlog_described(),
                mirror_maker: tools::mirror_maker_described(),
                load: load::described(),
            },
            relay: Vec::new(),
            catch_up: Vec::new(),
            latency: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    fn write(&self, report: &Report) -> Result<(), Failure> {
        // Relative to the workspace, wherever the command was typed.
        let path = workspace().join(&self.arguments.json);
        let text = serde_json::to_string_pretty(report)
            .map_err(Failure::while_doing("cannot write the report"))?;
        fs::write(&path, text).map_err(Failure::while_doing(path.display()))?;
        eprintln!("report: {}", path.display());
        Ok(())
    }
}

fn say_catch_up(dataset: &str, tool: Tool, which: &str, run: &CatchUpRun) {
    eprintln!(
        "{dataset}: {} {which}: {:.0} MB/s, {:.2} CPU-s/GB, {:.0} MB, first record {:.2} s",
        tool.name(),
        run.mb_per_second,
        run.copying_cpu.tool,
        run.peak_memory_mb,
        run.first_record_seconds,
    );
}

fn say_latency(tool: Tool, number: usize, run: &LatencyRun) {
    let latency = run.end_to_end;
    eprintln!(
        "latency: {} run {number}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        tool.name(),
        latency.p50_ms,
        latency.p99_ms,
        latency.p999_ms,
    );
}

impl Part {
    fn of(kind: DatasetKind) -> Part {
        match kind {
            DatasetKind::Large => Part::Large,
            DatasetKind::Small => Part::Small,
            DatasetKind::LargeZstd => Part::LargeZstd,
            DatasetKind::SmallZstd => Part::SmallZstd,
        }
    }
}
