//! End-to-end latency under the steady load: from the moment a record is due at the source until a
//! consumer of the mirror holds it.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clusters::Pair;
use crate::consumer::{Arrival, Consumer};
use crate::dataset::PARTITIONS;
use crate::disk;
use crate::error::BenchError;
use crate::load::{self, Acknowledged, Load};
use crate::report::{LatencyRun, Tool};
use crate::statistics::Latencies;
use crate::tools::{self, Flow, Tools};

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
    cpu: Duration,
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
) -> Result<LatencyRun, BenchError> {
    let flow = Flow { alias, topic: "steady", compressed: false, groups: false };
    disk::settle().await?;
    pair.source.create_topic(flow.topic).await?;
    let observed = match tool {
        Tool::None => observe(pair, None, flow.topic, None, durations).await?,
        _ => {
            let mut process = tools.start(tool, pair, &flow)?;
            let (pid, mirror) = (process.pid(), flow.mirror());
            let observed = tokio::select! {
                observed = observe(pair, Some(pid), flow.topic, Some(&mirror), durations) => {
                    observed
                }
                died = tools::death(&mut process) => Err(died),
            };
            let observed = observed.map_err(|error| match error {
                BenchError::Wrong(what) => {
                    let (name, tail) = (tools::called(&process), process.tail());
                    BenchError::Misbehaved { name, what, tail }
                }
                other => other,
            })?;
            tools.stop(process)?;
            observed
        }
    };
    pair.target.delete_all_topics().await?;
    pair.source.delete_topics(&[flow.topic.to_owned()]).await?;
    observed.run()
}

async fn observe(
    pair: &Pair,
    process: Option<u32>,
    topic: &str,
    mirror: Option<&str>,
    durations: Durations,
) -> Result<Observed, BenchError> {
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
    let cpu = cpu(process)?.saturating_sub(cpu_before);
    let peak_memory_bytes = process.map_or(Ok(0), tools::peak_memory_bytes)?;

    line.until(|reached| reached.is_some_and(|due| due > to)).await?;
    load.stop()?;
    let (arrivals, acknowledged) = line.end().await?;
    Ok(Observed { from, to, cpu, peak_memory_bytes, arrivals, acknowledged })
}

/// The two ends of the line at work.
struct Line {
    reached: watch::Receiver<Option<Instant>>,
    arrivals: JoinHandle<Result<Vec<Arrival>, BenchError>>,
    acknowledged: JoinHandle<Result<Vec<Acknowledged>, BenchError>>,
}

impl Line {
    /// Waits until every partition has been consumed up to a record that will do.
    async fn until(
        &mut self,
        enough: impl FnMut(&Option<Instant>) -> bool,
    ) -> Result<(), BenchError> {
        tokio::select! {
            waited = timeout(PATIENCE, self.reached.wait_for(enough)) => match waited {
                Ok(Ok(_)) => return Ok(()),
                Err(_) => {
                    let what = format!("the mirror did not catch up within {PATIENCE:?}");
                    return Err(BenchError::new(what));
                }
                // The consumer ended: it knows why.
                Ok(Err(_)) => {}
            },
            ended = &mut self.acknowledged => return Err(too_early("load", joined(ended))),
        }
        Err(too_early("consumer of the mirror", joined((&mut self.arrivals).await)))
    }

    /// The consumer ends when nobody looks at its progress, the other end with the load.
    async fn end(self) -> Result<(Vec<Arrival>, Vec<Acknowledged>), BenchError> {
        drop(self.reached);
        Ok((joined(self.arrivals.await)?, joined(self.acknowledged.await)?))
    }
}

fn too_early<T>(what: &str, ended: Result<T, BenchError>) -> BenchError {
    ended.err().unwrap_or_else(|| BenchError::new(format!("the {what} ended too early")))
}

fn cpu(process: Option<u32>) -> Result<Duration, BenchError> {
    process.map_or(Ok(Duration::ZERO), tools::cpu)
}

fn joined<T>(
    outcome: Result<Result<T, BenchError>, tokio::task::JoinError>,
) -> Result<T, BenchError> {
    outcome.map_err(BenchError::while_doing("a task of the bench failed"))?
}

impl Observed {
    fn run(self) -> Result<LatencyRun, BenchError> {
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
            return Err(BenchError::new(format!("{records} of {records_sent} records arrived")));
        }
        let seconds = (self.to - self.from).as_secs_f64();
        Ok(LatencyRun {
            records,
            seconds,
            end_to_end: end_to_end.percentiles(),
            acknowledged: acknowledged.percentiles(),
            tool_cpus: self.cpu.as_secs_f64() / seconds,
            peak_memory_mb: self.peak_memory_bytes as f64 / 1e6,
        })
    }
}
