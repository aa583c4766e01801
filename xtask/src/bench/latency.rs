//! End-to-end latency under the steady load: from the moment a record is due at the source until a
//! consumer of the mirror holds it.

use std::time::{Duration, Instant};

use farlog_testkit::process::Supervised;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::clusters::Pair;
use super::consumer::{Arrival, Consumer};
use super::dataset::PARTITIONS;
use super::disk;
use super::load::{self, Acknowledged, Load};
use super::report::{LatencyRun, Tool};
use super::statistics::Latencies;
use super::tools::{Flow, Tools};
use super::usage::{self, CpuSeconds};
use crate::command::Failure;

/// How long a tool may take to mirror its first record, and its last.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to let a tool run under load, and how long to measure it after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durations {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Everything that was seen, and which part of it counts.
struct Observed {
    from: Instant,
    to: Instant,
    cpu: CpuSeconds,
    peak_memory_bytes: u64,
    arrivals: Vec<Arrival>,
    acknowledged: Vec<Acknowledged>,
}

/// Measures one tool; afterwards the mirror and the tool's state are deleted.
pub(crate) async fn run(
    pair: &Pair,
    tools: &Tools,
    tool: Tool,
    durations: Durations,
    alias: &str,
) -> Result<LatencyRun, Failure> {
    let flow = Flow { alias, topic: "steady", compressed: false };
    disk::settle().await?;
    pair.source.create_topic(flow.topic).await?;
    let process = match tool {
        Tool::None => None,
        _ => Some(tools.start(tool, pair, &flow)?),
    };
    let mirror = process.as_ref().map(|_| flow.mirror());
    let observed = observe(pair, process.as_ref(), flow.topic, mirror.as_deref(), durations).await;
    let observed = observed.map_err(|failure| match &process {
        Some(process) => Failure::new(format!("{failure}; its log ends:\n{}", process.tail())),
        None => failure,
    })?;
    if let Some(process) = process {
        tools.stop(process)?;
    }
    pair.target.delete_all_topics().await?;
    pair.source.delete_topics(&[flow.topic.to_owned()]).await?;
    observed.run()
}

async fn observe(
    pair: &Pair,
    process: Option<&Supervised>,
    topic: &str,
    mirror: Option<&str>,
    durations: Durations,
) -> Result<Observed, Failure> {
    let (side, consumed) = match mirror {
        Some(mirror) => (&pair.target, mirror),
        None => (&pair.source, topic),
    };
    side.wait_for("the mirror topic", async || side.has_topic(consumed).await).await?;
    // Only now: a backlog from the tool's start would be measured long after it.
    let (load, sent) = Load::start(pair.source.dial().await?, topic)?;
    let acknowledged = tokio::spawn(load::acknowledgements(sent));
    let (progress, reached) = watch::channel(None);
    let consumer = Consumer::new(side.dial().await?, consumed, load.origin(), progress);
    let mut line = Line { reached, arrivals: tokio::spawn(consumer.run()), acknowledged };
    line.until(|reached| reached.is_some()).await?;
    tokio::time::sleep(durations.warm_up).await;

    let from = Instant::now();
    let cpu_before = cpu(process)?;
    tokio::time::sleep(durations.measured).await;
    let to = Instant::now();
    let cpu = cpu(process)? - cpu_before;
    let peak_memory_bytes = process.map_or(Ok(0), |tool| usage::peak_memory_bytes(tool.pid()))?;

    line.until(|reached| reached.is_some_and(|due| due > to)).await?;
    load.stop()?;
    let (arrivals, acknowledged) = line.end().await?;
    Ok(Observed { from, to, cpu, peak_memory_bytes, arrivals, acknowledged })
}

/// The two ends of the line at work.
struct Line {
    reached: watch::Receiver<Option<Instant>>,
    arrivals: JoinHandle<Result<Vec<Arrival>, Failure>>,
    acknowledged: JoinHandle<Result<Vec<Acknowledged>, Failure>>,
}

impl Line {
    /// Waits until every partition has been consumed up to a record that will do.
    async fn until(&mut self, enough: impl FnMut(&Option<Instant>) -> bool) -> Result<(), Failure> {
        tokio::select! {
            waited = timeout(PATIENCE, self.reached.wait_for(enough)) => match waited {
                Ok(Ok(_)) => return Ok(()),
                Err(_) => {
                    let what = format!("the mirror did not catch up within {PATIENCE:?}");
                    return Err(Failure::new(what));
                }
                // The consumer ended: it knows why.
                Ok(Err(_)) => {}
            },
            ended = &mut self.acknowledged => return Err(too_early("load", joined(ended))),
        }
        Err(too_early("consumer of the mirror", joined((&mut self.arrivals).await)))
    }

    /// The consumer ends when nobody looks at its progress, the other end with the load.
    async fn end(self) -> Result<(Vec<Arrival>, Vec<Acknowledged>), Failure> {
        drop(self.reached);
        Ok((joined(self.arrivals.await)?, joined(self.acknowledged.await)?))
    }
}

fn too_early<T>(what: &str, ended: Result<T, Failure>) -> Failure {
    ended.err().unwrap_or_else(|| Failure::new(format!("the {what} ended too early")))
}

fn cpu(process: Option<&Supervised>) -> Result<CpuSeconds, Failure> {
    match process {
        Some(process) => usage::cpu(process.pid()),
        None => Ok(CpuSeconds::default()),
    }
}

fn joined<T>(outcome: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    outcome.map_err(Failure::while_doing("a task of the bench failed"))?
}

impl Observed {
    fn run(self) -> Result<LatencyRun, Failure> {
        let measured = |due: Instant| due >= self.from && due < self.to;
        let mut end_to_end = Latencies::new();
        for arrival in self.arrivals.iter().filter(|arrival| measured(arrival.due)) {
            end_to_end.add(arrival.at.saturating_duration_since(arrival.due));
        }
        let mut acknowledged = Latencies::new();
        for tick in self.acknowledged.iter().filter(|tick| measured(tick.due)) {
            acknowledged.add(tick.at.saturating_duration_since(tick.due));
        }
        let records = end_to_end.count();
        let records_sent = acknowledged.count() * PARTITIONS as u64;
        if records != records_sent {
            return Err(Failure::new(format!("{records} of {records_sent} records arrived")));
        }
        let seconds = (self.to - self.from).as_secs_f64();
        Ok(LatencyRun {
            records,
            seconds,
            end_to_end: end_to_end.percentiles(),
            acknowledged: acknowledged.percentiles(),
            tool_cpus: self.cpu.0 / seconds,
            peak_memory_mb: self.peak_memory_bytes as f64 / 1e6,
        })
    }
}
