//! What groups would read again after the source is killed without warning: they commit under load,
//! the tool carries their offsets over, and afterwards the target is asked where each would resume.
//!
//! Records bear numbers, so that nothing depends on how anybody counts offsets: of each group the
//! number that it had reached at the source is held against that of the record at its offset in the
//! mirror.

mod groups;
mod load;

use std::time::{Duration, Instant};

use farlog_client::{FetchOptions, TopicPartition};
use farlog_testkit::jars::Jars;
use farlog_wire::records::{BatchError, batches, records};

use crate::clusters::Pair;
use crate::dataset::PARTITIONS;
use crate::error::BenchError;
use crate::report::{FailoverGroup, FailoverRun, Tool};
use crate::tools::{self, Flow, Tools};
use groups::{Commit, Groups};
use load::Load;

/// How far behind the load each group is, in records of all partitions together.
pub(crate) const LAGS: [u64; 5] = [0, 100, 1_000, 10_000, 100_000];

/// Records at the source before anything else: more than any group is behind.
const BACKLOG: u64 = 110_000;

const TOPIC: &str = "orders";

/// What is committed in this time before the end may be read again.
const LAST: Duration = Duration::from_millis(200);

/// After the end of the source the tool may still finish what it knows.
const SETTLE: Duration = Duration::from_secs(4);

/// How long a tool runs under load: it must have carried every group over several times.
pub(crate) fn duration(tool: Tool) -> Duration {
    Duration::from_secs(match tool {
        Tool::MirrorMaker2Defaults => 150,
        Tool::MirrorMaker2 => 30,
        Tool::Farlog | Tool::FarlogRecompress | Tool::None => 10,
    })
}

/// Measures one tool on clusters of its own: the source does not survive it.
pub(crate) async fn run(
    jars: &Jars,
    tools: &Tools,
    tool: Tool,
    rate: u64,
    alias: &str,
) -> Result<FailoverRun, BenchError> {
    let pair = Pair::start(jars).await?;
    match observe(&pair, tools, tool, rate, alias).await {
        Ok(run) => Ok(run),
        Err(error) => Err(pair.explain(error).await),
    }
}

async fn observe(
    pair: &Pair,
    tools: &Tools,
    tool: Tool,
    rate: u64,
    alias: &str,
) -> Result<FailoverRun, BenchError> {
    pair.source.create_topic(TOPIC).await?;
    let mut load = Load::fill(pair.source.dial().await?, TOPIC, BACKLOG).await?;
    let groups = Groups::new(&pair.source.client, TOPIC, load.acknowledged());
    // They are there before the tool is: MirrorMaker 2 looks for new ones every ten minutes.
    groups.commit_once().await?;
    let flow = Flow { alias, topic: TOPIC, compressed: false, groups: true };
    let mut process = tools.start(tool, pair, &flow)?;
    let mirror = flow.mirror();
    let caught_up = pair.target.wait_for("the mirror of the backlog", async || {
        Ok(pair.target.records(&mirror).await? >= BACKLOG)
    });
    tokio::select! {
        caught_up = caught_up => caught_up?,
        died = tools::death(&mut process) => return Err(died),
    }
    let loading = tokio::spawn(async move { load.keep(rate).await });
    let committing = groups.start();
    tokio::select! {
        () = tokio::time::sleep(duration(tool)) => {}
        died = tools::death(&mut process) => return Err(died),
    }
    let killed_at = Instant::now();
    pair.source.kill()?;
    let histories = committing.end().await?;
    // It ends when nobody answers any more.
    let sent = loading.await.map_err(BenchError::while_doing("a task of the bench failed"))?;
    tokio::time::sleep(SETTLE).await;
    let mut rows = Vec::new();
    for (lag, history) in LAGS.into_iter().zip(histories) {
        rows.push(row(pair, &mirror, lag, &history, killed_at).await?);
    }
    tools.stop(process)?;
    Ok(FailoverRun { rate, records: sent, groups: rows })
}

/// Where a group would resume, held against what it had committed.
async fn row(
    pair: &Pair,
    mirror: &str,
    lag: u64,
    history: &[Commit],
    killed_at: Instant,
) -> Result<FailoverGroup, BenchError> {
    let acknowledged = |before: Instant| {
        let in_time = |commit: &&Commit| commit.acknowledged_at.is_some_and(|at| at <= before);
        history.iter().rev().find(in_time).map(|commit| commit.positions)
    };
    let nothing = [0; PARTITIONS as usize];
    let last = acknowledged(killed_at).unwrap_or(nothing);
    let earlier = acknowledged(killed_at - LAST).unwrap_or(nothing);
    // The coordinator may have taken what it did not live to acknowledge.
    let most = history.iter().map(|commit| commit.positions).max().unwrap_or(nothing);
    let offsets = pair.target.client.group_offsets(&groups::name(lag)).await;
    let offsets = offsets.map_err(BenchError::while_doing("cannot ask the target for offsets"))?;
    let mut row = FailoverGroup { lag, ..FailoverGroup::default() };
    for partition in 0..PARTITIONS {
        let index = partition as usize;
        let place = TopicPartition::new(mirror, partition);
        let number = match offsets.get(&place) {
            Some(committed) => number_at(pair, &place, committed.offset).await?,
            None => {
                row.partitions_without_offset += 1;
                0
            }
        };
        row.committed += last[index];
        row.reread += last[index].saturating_sub(number);
        row.reread_older += earlier[index].saturating_sub(number);
        row.skipped += number.saturating_sub(most[index]);
    }
    Ok(row)
}

/// The number of the record that a consumer at an offset of the mirror reads first.
async fn number_at(pair: &Pair, place: &TopicPartition, offset: i64) -> Result<u64, BenchError> {
    let doing = format!("cannot read {place}");
    let wrong = |error: BatchError| BenchError::while_doing(&doing)(error);
    let options =
        FetchOptions { max_wait: Duration::ZERO, min_bytes: 0, ..FetchOptions::default() };
    let number_from = async |from: i64| {
        let fetched = pair.target.client.fetch(place, from, &options).await;
        let fetched = fetched.map_err(BenchError::while_doing(&doing))?;
        for batch in batches(fetched.records) {
            let batch = batch.and_then(|batch| batch.decompressed(usize::MAX)).map_err(wrong)?;
            for record in records(&batch).map_err(wrong)? {
                if record.offset >= from {
                    return load::number(record.value).map(Some);
                }
            }
        }
        Ok(None)
    };
    if let Some(number) = number_from(offset).await? {
        return Ok(number);
    }
    // The end of the mirror: behind its last record.
    match offset {
        0 => Ok(0),
        _ => Ok(number_from(offset - 1).await?.map_or(0, |last| last + 1)),
    }
}
