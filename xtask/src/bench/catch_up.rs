//! One catch-up: a tool is started on a source that is full and a target that is empty.

use std::time::{Duration, Instant};

use farlog_testkit::process::Supervised;

use super::clusters::Pair;
use super::disk;
use super::preload::Preloaded;
use super::report::{CatchUpReadings, CatchUpRun, CpuOfAll, Tool};
use super::tools::{Flow, Tools};
use super::usage;
use crate::command::Failure;

/// How often the mirror is looked at until something is in it. It is what the time to the first
/// record may be off by.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// How often after that: a thousandth of the shortest copy, and no load to speak of.
const LOOK: Duration = Duration::from_millis(20);

/// A mirror that does not grow for so long will not.
const STALL_PATIENCE: Duration = Duration::from_secs(120);

/// What was used up to a moment.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    cpu: CpuOfAll,
}

/// Copies a dataset once; the mirror and the tool's state are deleted afterwards.
pub(crate) async fn run(
    pair: &Pair,
    tools: &Tools,
    tool: Tool,
    dataset: &Preloaded,
    alias: &str,
) -> Result<CatchUpRun, Failure> {
    let flow = Flow { alias, topic: &dataset.topic, compressed: dataset.kind.is_compressed() };
    let mirror = flow.mirror();
    disk::settle().await?;
    let brokers_before = cpu_of_brokers(pair)?;
    let started = Instant::now();
    let mut process = tools.start(tool, pair, &flow)?;
    let before = Look { at: started, cpu: brokers_before };
    let readings = watch(pair, &mut process, before, &mirror, dataset).await?;
    tools.stop(process)?;
    let records = pair.target.records(&mirror).await?;
    let readings = CatchUpReadings { records_too_many: records - dataset.records, ..readings };
    pair.target.delete_all_topics().await?;
    Ok(readings.run())
}

/// Looks at the mirror until it holds every record.
async fn watch(
    pair: &Pair,
    process: &mut Supervised,
    before: Look,
    mirror: &str,
    dataset: &Preloaded,
) -> Result<CatchUpReadings, Failure> {
    let mut empty = before;
    let mut first = None;
    let mut grown = (0, Instant::now());
    let complete = loop {
        let look = Look { at: Instant::now(), cpu: cpu_of_all(pair, process)? };
        let records = pair.target.records(mirror).await?;
        if records >= dataset.records {
            break Look { at: Instant::now(), cpu: cpu_of_all(pair, process)? };
        }
        if records == 0 {
            empty = look;
        } else {
            first = first.or_else(|| Some(Instant::now()));
        }
        if records > grown.0 {
            grown = (records, Instant::now());
        }
        check_progress(process, grown.1, records, dataset.records)?;
        tokio::time::sleep(if first.is_some() { LOOK } else { FIRST_LOOK }).await;
    };
    let since_start = |at: Instant| at.duration_since(before.at).as_secs_f64();
    Ok(CatchUpReadings {
        records: dataset.records,
        bytes: dataset.bytes,
        logical_bytes: dataset.logical_bytes,
        first_record_seconds: since_start(first.unwrap_or(complete.at)),
        empty_seconds: since_start(empty.at),
        from_start_seconds: since_start(complete.at),
        copying_cpu: complete.cpu.since(empty.cpu),
        from_start_cpu: complete.cpu.since(before.cpu),
        peak_memory_bytes: usage::peak_memory_bytes(process.pid())?,
        records_too_many: 0,
    })
}

fn check_progress(
    process: &mut Supervised,
    grown_at: Instant,
    records: u64,
    records_wanted: u64,
) -> Result<(), Failure> {
    let ended = process.ended().map_err(Failure::while_doing("cannot wait for the tool"))?;
    let what = match ended {
        Some(status) => format!("ended with {status}"),
        None if grown_at.elapsed() > STALL_PATIENCE => {
            format!("has mirrored nothing for {STALL_PATIENCE:?}")
        }
        None => return Ok(()),
    };
    let (name, tail) = (process.name(), process.tail());
    Err(Failure::new(format!(
        "{name} {what} at {records} of {records_wanted} records; the end of its log:\n{tail}"
    )))
}

/// Before the tool starts it has used nothing.
fn cpu_of_brokers(pair: &Pair) -> Result<CpuOfAll, Failure> {
    Ok(CpuOfAll {
        tool: usage::CpuSeconds::default(),
        source_broker: pair.source.cpu()?,
        target_broker: pair.target.cpu()?,
    })
}

fn cpu_of_all(pair: &Pair, process: &Supervised) -> Result<CpuOfAll, Failure> {
    Ok(CpuOfAll { tool: usage::cpu(process.pid())?, ..cpu_of_brokers(pair)? })
}
