//! One catch-up: a tool is started on a source that is full and a target that is empty.

use std::time::{Duration, Instant};

use farlog_testkit::process::Supervised;

use crate::clusters::Pair;
use crate::disk;
use crate::error::BenchError;
use crate::preload::Preloaded;
use crate::progress::Pace;
use crate::report::{CatchUpReadings, CatchUpRun, CpuOfAll, Tool};
use crate::tools::{self, Flow, Tools};

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
    pace: &mut Pace,
) -> Result<CatchUpRun, BenchError> {
    let flow = Flow {
        alias,
        topic: &dataset.topic,
        compressed: dataset.kind.is_compressed(),
        groups: false,
    };
    let mirror = flow.mirror();
    disk::settle().await?;
    let brokers_before = cpu_of_brokers(pair)?;
    let started = Instant::now();
    let mut process = tools.start(tool, pair, &flow)?;
    let before = Look { at: started, cpu: brokers_before };
    let readings = watch(pair, &mut process, before, &mirror, dataset, pace).await?;
    tools.stop(process)?;
    let records = pair.target.records(&mirror).await?;
    let records_too_many = records.saturating_sub(dataset.records);
    let readings = CatchUpReadings { records_too_many, ..readings };
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
    pace: &mut Pace,
) -> Result<CatchUpReadings, BenchError> {
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
        pace.part_done(Some(records as f64 / dataset.records as f64));
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
        peak_memory_bytes: tools::peak_memory_bytes(process.pid())?,
        records_too_many: 0,
    })
}

fn check_progress(
    process: &mut Supervised,
    grown_at: Instant,
    records: u64,
    records_wanted: u64,
) -> Result<(), BenchError> {
    let ended = process.ended().map_err(BenchError::while_doing("cannot wait for the tool"))?;
    match ended {
        Some(status) => Err(tools::died(process, status)),
        None if grown_at.elapsed() > STALL_PATIENCE => Err(BenchError::Misbehaved {
            name: tools::called(process),
            what: format!(
                "mirrored nothing for {STALL_PATIENCE:?} at {records} of {records_wanted} \
                 records"
            ),
            tail: process.tail(),
        }),
        None => Ok(()),
    }
}

/// Before the tool starts it has used nothing.
fn cpu_of_brokers(pair: &Pair) -> Result<CpuOfAll, BenchError> {
    Ok(CpuOfAll {
        tool: Duration::ZERO,
        source_broker: pair.source.cpu()?,
        target_broker: pair.target.cpu()?,
    })
}

fn cpu_of_all(pair: &Pair, process: &Supervised) -> Result<CpuOfAll, BenchError> {
    Ok(CpuOfAll { tool: tools::cpu(process.pid())?, ..cpu_of_brokers(pair)? })
}
