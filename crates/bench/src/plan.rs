//! What a bench does, step by step, and how long that will take.

use std::time::Duration;

use crate::dataset::DatasetKind;
use crate::failover;
use crate::latency::Durations;
use crate::options::{Arguments, Part, ToolChoice};
use crate::progress::about;
use crate::report::Tool;

const MB: u64 = 1_000_000;

/// Records per second that groups follow.
const FAILOVER_RATES: [u64; 2] = [2_000, 20_000];

/// Compression leaves so much of a dataset's bytes.
const ZSTD_SHARE: f64 = 0.63;

/// The arguments with every default filled in.
#[derive(Debug)]
pub struct Plan {
    /// `smoke`, `quick` or `full`.
    pub(crate) mode: &'static str,
    pub(crate) dataset_bytes: u64,
    pub(crate) durations: Durations,
    /// Those before the clusters are there.
    pub(crate) alone: Vec<Step>,
    /// Those that need the clusters; the first starts them.
    pub(crate) on_clusters: Vec<Step>,
    /// Those that have clusters of their own, after the others.
    pub(crate) apart: Vec<Step>,
    /// Whether the figures mean anything.
    pub(crate) counts: bool,
}

/// One step of a bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Relay { number: usize },
    StartClusters,
    Fill(DatasetKind),
    WarmUp { dataset: DatasetKind, tool: Tool, number: usize },
    CatchUp { dataset: DatasetKind, tool: Tool, number: usize },
    Empty(DatasetKind),
    Latency { tool: Tool, number: usize },
    Failover { tool: Tool, rate: u64, number: usize },
}

/// How often everything runs.
struct Counts {
    runs: usize,
    latency_runs: usize,
    warm_up_runs: usize,
    mirror_maker_runs: usize,
}

impl Plan {
    /// What these arguments ask for.
    pub fn new(arguments: &Arguments) -> Plan {
        let (mode, runs, latency_runs, warm_up_runs, mirror_maker_runs, megabytes, seconds) =
            match (arguments.smoke, arguments.full) {
                (true, _) => ("smoke", 1, 1, 0, 1, 8, 2),
                (false, false) => ("quick", 3, 1, 1, 1, 300, 10),
                (false, true) => ("full", 5, 5, 5, 3, 2_000, 30),
            };
        let counts = Counts {
            runs: arguments.runs.unwrap_or(runs),
            latency_runs: arguments.runs.unwrap_or(latency_runs),
            warm_up_runs: arguments.warm_up_runs.unwrap_or(warm_up_runs),
            mirror_maker_runs: arguments.mirror_maker_runs.unwrap_or(mirror_maker_runs),
        };
        let includes = |part| arguments.only.is_empty() || arguments.only.contains(&part);
        let tools = tools(arguments);
        let mut alone = Vec::new();
        if includes(Part::Relay) {
            alone.extend((1..=counts.runs).map(|number| Step::Relay { number }));
        }
        let mut on_clusters = Vec::new();
        for dataset in DatasetKind::ALL.into_iter().filter(|kind| includes(Part::of(*kind))) {
            let tools = tools.iter().copied().filter(|tool| catches_up(*tool, dataset, mode));
            on_clusters.extend(catch_up_steps(dataset, tools, &counts));
        }
        if includes(Part::Latency) {
            let tools = tools.iter().copied().filter(|tool| is_timed(*tool, mode));
            on_clusters.extend(latency_steps(tools, &counts));
        }
        let mut apart = Vec::new();
        if arguments.only.contains(&Part::Failover) || arguments.full && arguments.only.is_empty() {
            apart = failover_steps(&tools, mode, arguments.runs.unwrap_or(1));
        }
        if !on_clusters.is_empty() {
            on_clusters.insert(0, Step::StartClusters);
        }
        Plan {
            mode,
            dataset_bytes: arguments.megabytes.unwrap_or(megabytes) * MB,
            durations: Durations {
                // MirrorMaker 2 needs it until its JVM has compiled what it runs.
                warm_up: Duration::from_secs(seconds),
                measured: Duration::from_secs(seconds),
            },
            alone,
            on_clusters,
            apart,
            counts: !arguments.smoke,
        }
    }

    /// What will be done, for the person who waits for it.
    pub fn described(&self) -> String {
        let steps = self.alone.len() + self.on_clusters.len() + self.apart.len();
        let time = about(self.guesses().iter().sum());
        let disk = 3 * self.dataset_bytes / MB;
        let megabytes = self.dataset_bytes / MB;
        let on_clusters = |is: fn(&Step) -> bool| self.on_clusters.iter().any(is);
        let parts = [
            (!self.alone.is_empty(), "a plain TCP relay".to_owned()),
            (
                on_clusters(|step| matches!(step, Step::Fill(_))),
                format!("catch-up of {megabytes} MB datasets"),
            ),
            (
                on_clusters(|step| matches!(step, Step::Latency { .. })),
                "latency at 2,000 records/s".to_owned(),
            ),
            (!self.apart.is_empty(), "failover of groups".to_owned()),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter(|(is_there, _)| *is_there).map(|(_, what)| what).collect();
        format!(
            "{steps} steps, {time}: {}; between two single Kafka brokers on this machine.\nIt \
             takes 5 GB of memory and up to {disk} MB of {}. Run nothing else meanwhile. Ctrl-C \
             ends it and leaves nothing behind.",
            parts.join(", "),
            std::env::temp_dir().display()
        )
    }

    /// How long each step will take.
    pub(crate) fn guesses(&self) -> Vec<Duration> {
        let steps = self.alone.iter().chain(&self.on_clusters).chain(&self.apart);
        steps.map(|step| Duration::from_secs_f64(self.seconds(step))).collect()
    }

    /// By what was seen on two cores of a server; on others it is corrected as the steps go by.
    fn seconds(&self, step: &Step) -> f64 {
        let dataset_mb = self.dataset_bytes as f64 / 1e6;
        let mb = |dataset: DatasetKind| {
            if dataset.is_compressed() { dataset_mb * ZSTD_SHARE } else { dataset_mb }
        };
        match *step {
            Step::Relay { .. } => dataset_mb / 1_500.0,
            Step::StartClusters => 8.0,
            Step::Fill(dataset) => 1.0 + mb(dataset) / 120.0,
            Step::WarmUp { dataset, tool, .. } | Step::CatchUp { dataset, tool, .. } => {
                let (start_and_end, mb_per_second) = match (tool, dataset) {
                    (Tool::Farlog, DatasetKind::SmallZstd) => (3.5, 30.0),
                    (Tool::FarlogRecompress, _) => (3.5, 60.0),
                    (Tool::Farlog | Tool::None, _) => (3.5, 500.0),
                    (Tool::MirrorMaker2, dataset) if dataset.is_compressed() => (12.0, 55.0),
                    (Tool::MirrorMaker2, _) => (12.0, 150.0),
                    (Tool::MirrorMaker2Defaults, _) => (12.0, 65.0),
                };
                start_and_end + mb(dataset) / mb_per_second
            }
            Step::Empty(_) => 0.5,
            Step::Latency { tool, .. } => {
                let Durations { warm_up, measured } = self.durations;
                let start_and_end = if tool.is_mirror_maker() { 13.0 } else { 3.0 };
                start_and_end + (warm_up + measured).as_secs_f64()
            }
            Step::Failover { tool, .. } => {
                let start_and_end = if tool.is_mirror_maker() { 30.0 } else { 18.0 };
                start_and_end + failover::duration(tool).as_secs_f64()
            }
        }
    }
}

fn tools(arguments: &Arguments) -> Vec<Tool> {
    let chosen = &arguments.tool;
    let all = ToolChoice::ALL.into_iter();
    let chosen = all.filter(|choice| chosen.is_empty() || chosen.contains(choice));
    chosen.map(ToolChoice::tool).collect()
}

/// A smoke test has seen enough when each tool has worked once; who compresses his mirror has tuned
/// something; and recompression is for small batches.
fn catches_up(tool: Tool, dataset: DatasetKind, mode: &str) -> bool {
    let smoke = mode == "smoke";
    match tool {
        Tool::None => false,
        Tool::Farlog => true,
        Tool::FarlogRecompress => dataset == DatasetKind::SmallZstd,
        Tool::MirrorMaker2 => !smoke || dataset == DatasetKind::Large,
        Tool::MirrorMaker2Defaults => !smoke && !dataset.is_compressed(),
    }
}

fn is_timed(tool: Tool, mode: &str) -> bool {
    tool != Tool::FarlogRecompress && !(mode == "smoke" && tool.is_mirror_maker())
}

fn catch_up_steps(
    dataset: DatasetKind,
    tools: impl Iterator<Item = Tool>,
    counts: &Counts,
) -> Vec<Step> {
    let mut steps = vec![Step::Fill(dataset)];
    for (index, tool) in tools.enumerate() {
        // Brokers take several times the CPU until their JVMs have compiled what a dataset makes
        // them do, so the first tool runs some times more. Every tool then finds them as warm.
        let warm_up_runs = if index == 0 { counts.warm_up_runs } else { 0 };
        steps.extend((1..=warm_up_runs).map(|number| Step::WarmUp { dataset, tool, number }));
        let runs = counts.of(tool, counts.runs);
        steps.extend((1..=runs).map(|number| Step::CatchUp { dataset, tool, number }));
    }
    if steps.len() == 1 {
        return Vec::new();
    }
    steps.push(Step::Empty(dataset));
    steps
}

fn latency_steps(tools: impl Iterator<Item = Tool>, counts: &Counts) -> Vec<Step> {
    let mut steps = vec![Step::Latency { tool: Tool::None, number: 1 }];
    for tool in tools {
        let runs = counts.of(tool, counts.latency_runs);
        steps.extend((1..=runs).map(|number| Step::Latency { tool, number }));
    }
    steps
}

/// MirrorMaker 2 as it comes needs minutes to carry a group over, whatever the load.
fn failover_steps(tools: &[Tool], mode: &str, runs: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for &tool in tools.iter().filter(|tool| **tool != Tool::FarlogRecompress) {
        if mode == "smoke" && tool.is_mirror_maker() {
            continue;
        }
        for rate in FAILOVER_RATES {
            let runs = if tool.is_mirror_maker() { 1 } else { runs };
            steps.extend((1..=runs).map(|number| Step::Failover { tool, rate, number }));
        }
    }
    steps
}

impl Counts {
    fn of(&self, tool: Tool, ours: usize) -> usize {
        if tool.is_mirror_maker() { self.mirror_maker_runs } else { ours }
    }
}

impl Step {
    /// For a person.
    pub(crate) fn described(&self) -> String {
        match *self {
            Step::Relay { number } => format!("TCP relay, run {number}"),
            Step::StartClusters => "starting two clusters".to_owned(),
            Step::Fill(dataset) => format!("{}: filling the source", dataset.name()),
            Step::WarmUp { dataset, tool, number } => {
                format!("{}: {} warm-up {number}", dataset.name(), tool.name())
            }
            Step::CatchUp { dataset, tool, number } => {
                format!("{}: {} run {number}", dataset.name(), tool.name())
            }
            Step::Empty(dataset) => format!("{}: emptying the source", dataset.name()),
            Step::Latency { tool, number } => format!("latency: {} run {number}", tool.name()),
            Step::Failover { tool, rate, number } => {
                format!("failover at {rate} records/s: {} run {number}", tool.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Arguments)) -> Plan {
        let mut arguments = Arguments::default();
        change(&mut arguments);
        Plan::new(&arguments)
    }

    fn minutes(plan: &Plan) -> u64 {
        plan.guesses().iter().sum::<Duration>().as_secs() / 60
    }

    #[test]
    fn each_mode_takes_about_as_long_as_its_help_says() {
        assert!((3..8).contains(&minutes(&plan(|_| {}))), "{}", plan(|_| {}).described());
        assert_eq!(minutes(&plan(|arguments| arguments.smoke = true)), 0);
        let full = plan(|arguments| arguments.full = true);
        assert!((30..80).contains(&minutes(&full)), "{}", full.described());
    }

    #[test]
    fn only_what_was_asked_for_is_done() {
        let relay = plan(|arguments| arguments.only = vec![Part::Relay]);
        assert_eq!(relay.alone.len(), 3);
        assert!(relay.on_clusters.is_empty());
        let recompress = plan(|arguments| {
            arguments.only = vec![Part::Small, Part::SmallZstd];
            arguments.tool = vec![ToolChoice::Recompress];
            arguments.runs = Some(1);
        });
        let (dataset, tool) = (DatasetKind::SmallZstd, Tool::FarlogRecompress);
        assert_eq!(
            recompress.on_clusters,
            [
                Step::StartClusters,
                Step::Fill(dataset),
                Step::WarmUp { dataset, tool, number: 1 },
                Step::CatchUp { dataset, tool, number: 1 },
                Step::Empty(dataset),
            ]
        );
    }
}
