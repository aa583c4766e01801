//! Does what the plan says.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use farlog_testkit::jars::Jars;

use crate::clusters::{self, Pair};
use crate::dataset::DatasetKind;
use crate::error::BenchError;
use crate::options::Arguments;
use crate::plan::{Plan, Step};
use crate::preload::{self, Preloaded};
use crate::progress::{Pace, Progress};
use crate::report::{
    CatchUp, CatchUpRun, Failover, FailoverGroup, Latency, LatencyRun, Machine, Report, Settings,
    Tool,
};
use crate::tools::{self, Tools};
use crate::{catch_up, failover, latency, limits, load, relay};

/// What a bench finds on the machine.
pub struct Surroundings {
    /// Kafka and MirrorMaker 2.
    pub jars: Jars,
    /// The Farlog to measure.
    pub farlog: PathBuf,
    /// Who is told how far it is.
    pub progress: Box<dyn Progress>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Surroundings { jars, farlog, progress: _ } = self;
        out.debug_struct("Surroundings").field("jars", jars).field("farlog", farlog).finish()
    }
}

/// Measures everything that the arguments ask for.
///
/// # Errors
/// When a broker or a tool fails; then nothing of what was started is left running.
pub async fn measure(
    arguments: &Arguments,
    surroundings: Surroundings,
) -> Result<Report, BenchError> {
    let plan = Plan::new(arguments);
    let Surroundings { jars, farlog, progress } = surroundings;
    let mut bench = Bench {
        report: empty_report(&plan, &jars),
        tools: Tools::new(jars.clone(), farlog)?,
        pace: Pace::new(progress, plan.guesses()),
        dataset: None,
        plan: &plan,
    };
    for step in &plan.alone {
        bench.pace.begin(step.described());
        tokio::task::block_in_place(|| bench.relay())?;
        // Whoever waits for this beside a signal is to see the signal.
        tokio::task::yield_now().await;
    }
    if let Some((start, steps)) = plan.on_clusters.split_first() {
        bench.pace.begin(start.described());
        let pair = Pair::start(&jars).await?;
        for step in steps {
            bench.pace.begin(step.described());
            let done = tokio::select! {
                done = bench.step(&pair, *step) => done,
                died = pair.death() => Err(died),
            };
            if let Err(error) = done {
                return Err(pair.explain(error).await);
            }
        }
    }
    for step in &plan.apart {
        bench.pace.begin(step.described());
        bench.apart(&jars, *step).await?;
    }
    if plan.counts {
        bench.report.verdicts = limits::verdicts(&bench.report);
    }
    Ok(bench.report)
}

/// A bench under way.
#[derive(Debug)]
struct Bench<'a> {
    plan: &'a Plan,
    tools: Tools,
    pace: Pace,
    /// What the source holds now.
    dataset: Option<Preloaded>,
    report: Report,
}

impl Bench<'_> {
    fn relay(&mut self) -> Result<(), BenchError> {
        let run = relay::measure(self.plan.dataset_bytes)?;
        self.pace.line(&format!("TCP relay: {:.0} MB/s", run.mb_per_second));
        self.report.relay.push(run);
        Ok(())
    }

    async fn step(&mut self, pair: &Pair, step: Step) -> Result<(), BenchError> {
        match step {
            Step::Relay { .. } | Step::StartClusters | Step::Failover { .. } => {}
            Step::Fill(kind) => {
                let dataset = preload::fill(&pair.source, kind, self.plan.dataset_bytes).await?;
                self.dataset = Some(dataset);
            }
            Step::WarmUp { tool, number, .. } => {
                let alias = format!("{}w{number}", tool.alias());
                let run = self.catch_up(pair, tool, &alias).await?;
                self.say_catch_up(&step, &run);
            }
            Step::CatchUp { dataset, tool, number } => {
                let alias = format!("{}{number}", tool.alias());
                let run = self.catch_up(pair, tool, &alias).await?;
                self.say_catch_up(&step, &run);
                self.catch_up_row(dataset, tool).runs.push(run);
            }
            Step::Empty(_) => {
                if let Some(dataset) = self.dataset.take() {
                    pair.source.delete_topics(&[dataset.topic]).await?;
                }
            }
            Step::Latency { tool, number } => {
                let alias = format!("{}live{number}", tool.alias());
                let durations = self.plan.durations;
                let run = latency::run(pair, &self.tools, tool, durations, &alias).await?;
                self.say_latency(&step, &run);
                self.latency_row(tool).runs.push(run);
            }
        }
        Ok(())
    }

    /// A step with clusters of its own.
    async fn apart(&mut self, jars: &Jars, step: Step) -> Result<(), BenchError> {
        let Step::Failover { tool, rate, number } = step else { return Ok(()) };
        let alias = format!("{}over{rate}x{number}", tool.alias());
        let run = failover::run(jars, &self.tools, tool, rate, &alias).await?;
        let total = |figure: fn(&FailoverGroup) -> u64| run.groups.iter().map(figure).sum::<u64>();
        let (reread, skipped) = (total(|group| group.reread), total(|group| group.skipped));
        let described = step.described();
        self.pace.line(&format!("{described}: {reread} read again, {skipped} skipped"));
        let rows = &mut self.report.failover;
        match rows.iter_mut().find(|row| row.tool == tool) {
            Some(row) => row.runs.push(run),
            None => rows.push(Failover { tool, runs: vec![run] }),
        }
        Ok(())
    }

    async fn catch_up(
        &mut self,
        pair: &Pair,
        tool: Tool,
        alias: &str,
    ) -> Result<CatchUpRun, BenchError> {
        let dataset = self.dataset.as_ref();
        let dataset = dataset.ok_or_else(|| BenchError::new("the source holds no dataset"))?;
        catch_up::run(pair, &self.tools, tool, dataset, alias, &mut self.pace).await
    }

    fn catch_up_row(&mut self, dataset: DatasetKind, tool: Tool) -> &mut CatchUp {
        let rows = &mut self.report.catch_up;
        let found = rows.iter().position(|row| row.dataset == dataset && row.tool == tool);
        let index = found.unwrap_or_else(|| {
            rows.push(CatchUp { dataset, tool, runs: Vec::new() });
            rows.len() - 1
        });
        &mut rows[index]
    }

    fn latency_row(&mut self, tool: Tool) -> &mut Latency {
        let rows = &mut self.report.latency;
        let found = rows.iter().position(|row| row.tool == tool);
        let index = found.unwrap_or_else(|| {
            rows.push(Latency { tool, runs: Vec::new() });
            rows.len() - 1
        });
        &mut rows[index]
    }

    fn say_catch_up(&mut self, step: &Step, run: &CatchUpRun) {
        self.pace.line(&format!(
            "{}: {:.0} MB/s, {:.2} CPU-s/GB, {:.0} MB, first record {:.2} s",
            step.described(),
            run.mb_per_second,
            run.copying_cpu.tool,
            run.peak_memory_mb,
            run.first_record_seconds,
        ));
    }

    fn say_latency(&mut self, step: &Step, run: &LatencyRun) {
        let latency = run.end_to_end;
        self.pace.line(&format!(
            "{}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            step.described(),
            latency.p50_ms,
            latency.p99_ms,
            latency.p999_ms,
        ));
    }
}

fn empty_report(plan: &Plan, jars: &Jars) -> Report {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Report {
        mode: plan.mode,
        started_at: since.as_secs(),
        machine: Machine::this(),
        kafka_version: jars.release().to_owned(),
        settings: Settings {
            brokers: clusters::described(),
            farlog: tools::farlog_described(),
            mirror_maker: tools::mirror_maker_described(),
            load: load::described(),
        },
        relay: Vec::new(),
        catch_up: Vec::new(),
        latency: Vec::new(),
        failover: Vec::new(),
        verdicts: Vec::new(),
    }
}
