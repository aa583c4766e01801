//! Waits until mirrors are complete, and has them checked.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::history::account::{Expected, PartitionAccount};
use crate::history::checker::{Extent, Fault, Report, check};
use crate::history::generator::{Generator, TopicKind, TopicPlan};
use crate::history::reader::{PartitionLog, last_record, read_partition};
use crate::history::record::Identity;
use crate::history::session::{HistoryError, Session};

/// Between two looks at the mirrors.
const POLL: Duration = Duration::from_millis(100);

/// An instance that is up answers within milliseconds.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a status.
const STATUS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The state of a partition whose source went on differently.
const DIVERGED: &str = "stopped-diverged";

/// What a history came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Mirrors against accounts.
    pub mirrors: Report,
    /// Sources against accounts: a difference is a fault of the test, not of the link.
    pub sources: Report,
    /// Partitions that did not get to their end in time, and what the instance says of them.
    pub stuck: Vec<String>,
    /// Partitions that stopped because their source lost records that they have.
    pub diverged: u32,
    /// How long it took.
    pub catch_up: Duration,
}

impl Verdict {
    /// Nothing lost, nothing twice, nothing wrong.
    pub fn is_clean(&self) -> bool {
        self.mirrors.findings_total == 0
            && self.sources.findings_total == 0
            && self.stuck.is_empty()
    }
}

/// Waits until every mirror has its last record (or has stopped for a good reason), and compares
/// all of them. `address` is where the one instance that runs serves its status.
///
/// # Errors
/// When a cluster cannot be read.
pub async fn check_topics(
    source: &Session,
    target: &Session,
    generator: &Generator,
    address: &str,
    patience: Duration,
) -> Result<Verdict, HistoryError> {
    let started = Instant::now();
    let mut verdict = Verdict::default();
    for (plan, partition, account) in generator.accounts() {
        let until = started + patience;
        while !is_complete(target, plan, partition, account, address).await? {
            if Instant::now() >= until {
                let says = partition_state(address, &plan.name, partition).await;
                let said = says.map_or_else(|error| error, |state| state.to_string());
                verdict.stuck.push(format!("{}-{partition}: {said}", plan.name));
                break;
            }
            sleep(POLL).await;
        }
    }
    verdict.catch_up = started.elapsed();
    for (plan, partition, account) in generator.accounts() {
        if target.partitions(&plan.name).await? <= partition {
            // It is among the stuck ones.
            continue;
        }
        let source = read_partition(source, &plan.name, partition).await?;
        let mirror = read_partition(target, &plan.name, partition).await?;
        verdict.sources.merge(check_source(plan.kind, account, &source));
        let diverged = diverged(account, &mirror);
        verdict.diverged += u32::from(diverged);
        verdict.mirrors.merge(if diverged {
            let before = account.expected_before_truncation();
            check(&before, &account.aborted, &mirror, Extent::Prefix)
        } else {
            let expected = expected(plan.kind, account, &source, &mirror);
            check(&expected, &account.aborted, &mirror, Extent::Whole)
        });
    }
    Ok(verdict)
}

/// Whether the mirror holds the last committed record, or has rightly stopped before.
async fn is_complete(
    target: &Session,
    plan: &TopicPlan,
    partition: i32,
    account: &PartitionAccount,
    address: &str,
) -> Result<bool, HistoryError> {
    let Some(last) = account.last_committed() else { return Ok(true) };
    if target.partitions(&plan.name).await? <= partition {
        return Ok(false);
    }
    let found = last_record(target, &plan.name, partition).await?;
    if found.is_some_and(|record| record.identity() == *last) {
        return Ok(true);
    }
    if account.truncated.is_empty() {
        return Ok(false);
    }
    let mirror = read_partition(target, &plan.name, partition).await?;
    let state = partition_state(address, &plan.name, partition).await;
    let stopped = state.is_ok_and(|state| state["state"] == DIVERGED);
    Ok(stopped && diverged(account, &mirror))
}

/// Whether the mirror holds records that its source lost.
fn diverged(account: &PartitionAccount, mirror: &PartitionLog) -> bool {
    let lost: BTreeSet<&Identity> = account.truncated.values().map(|one| &one.identity).collect();
    !lost.is_empty() && mirror.records.iter().any(|record| lost.contains(&record.identity()))
}

/// What the mirror must hold; records that the cleaners may have taken are optional.
fn expected(
    kind: TopicKind,
    account: &PartitionAccount,
    source: &PartitionLog,
    mirror: &PartitionLog,
) -> Vec<Expected> {
    let mut expected = account.expected();
    if kind != TopicKind::Compacted {
        return expected;
    }
    let survivors: BTreeSet<i64> = source.records.iter().map(|record| record.offset).collect();
    // The mirror is compacted as well: a record may be gone if a later one has its key.
    let last_of_key: HashMap<u64, Identity> =
        mirror.records.iter().map(|record| (record.fields().key, record.identity())).collect();
    let places: HashMap<Identity, usize> =
        expected.iter().enumerate().map(|(at, one)| (one.identity.clone(), at)).collect();
    for (at, one) in expected.iter_mut().enumerate() {
        let later = last_of_key.get(&one.fields.key).and_then(|identity| places.get(identity));
        let superseded = later.is_some_and(|later| *later > at);
        one.required = survivors.contains(&one.source_offset) && !superseded;
    }
    expected
}

/// The source is what the generator says it is.
fn check_source(kind: TopicKind, account: &PartitionAccount, source: &PartitionLog) -> Report {
    let mut expected = account.expected();
    for one in &mut expected {
        let trimmed = one.source_offset < source.log_start_offset;
        one.required = kind != TopicKind::Compacted && !trimmed;
    }
    let mut report = check(&expected, &account.aborted, source, Extent::Whole);
    // Sources have many writers.
    let is_about_writers = |fault| fault == Fault::Sequence || fault == Fault::Writers;
    let before = report.findings.len();
    report.findings.retain(|finding| !is_about_writers(finding.fault));
    let about_writers = before - report.findings.len();
    report.findings_total =
        if report.findings.is_empty() { 0 } else { report.findings_total - about_writers as u64 };
    report
}

/// What the instance at this address says of a partition.
///
/// # Errors
/// A sentence: it does not answer, or does not know the partition.
pub async fn partition_state(address: &str, topic: &str, partition: i32) -> Result<Value, String> {
    let status = status(address).await?;
    find(&status, topic, partition)
        .cloned()
        .ok_or_else(|| format!("{topic}-{partition} is not in the status: {status}"))
}

/// The status of the instance at this address.
///
/// # Errors
/// A sentence: it does not answer.
pub async fn status(address: &str) -> Result<Value, String> {
    let asked = timeout(STATUS_PATIENCE, get(address, "/status")).await;
    let body = asked.map_err(|_| format!("{address} does not answer"))?;
    let body = body.map_err(|error| format!("{address}: {error}"))?;
    serde_json::from_slice(&body).map_err(|error| format!("{address}: {error}"))
}

async fn get(address: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(STATUS_BYTES_MAX).read_to_end(&mut answer).await?;
    let end_of_head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let head = end_of_head.ok_or_else(|| std::io::Error::other("no HTTP answer"))?;
    Ok(answer.split_off(head + 4))
}

/// The object, anywhere in it, that is about a mirror partition.
fn find<'a>(value: &'a Value, topic: &str, partition: i32) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| find(item, topic, partition)),
        Value::Object(fields) => {
            let name = fields.get("mirror_topic").or_else(|| fields.get("target_topic"));
            let is_it = name.is_some_and(|name| name == topic)
                && fields.get("partition").is_some_and(|number| *number == partition);
            if is_it {
                return Some(value);
            }
            fields.values().find_map(|item| find(item, topic, partition))
        }
        _ => None,
    }
}
