//! A source topic that is deleted and created again under its name while it is mirrored: where
//! fetches name topics by name, too, nothing of the new one may reach the mirror of the old one.

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, POLL};
use crate::history::RecordId;
use crate::history::batch::Stamp;
use crate::history::orchestrator::{now_ms, partition_state};
use crate::history::reader::read_partition;
use crate::history::record::{Fields, LogRecord};
use crate::history::session::{HistoryError, Session};

/// What the partition must say then.
const HELD: &str = "held-source-recreated";

const RECORDS: u64 = 10;

/// Mirrors a topic, creates it again with more records than it had, and looks at the mirror.
pub(super) async fn check(
    source: &Session,
    target: &Session,
    address: &str,
    topic: &str,
) -> Result<Vec<String>, HistoryError> {
    source.create_topic(topic, 1, &[]).await?;
    append(source, topic, 0, RECORDS).await?;
    let before = contents(source, topic).await?;
    let mirrored = async || Ok(mirror(target, topic).await? == before);
    if !until(mirrored).await? {
        return Ok(vec![format!("{topic} was not mirrored")]);
    }
    source.delete_topic(topic).await?;
    let until_created = Instant::now() + PATIENCE;
    // With ZooKeeper a name is taken for a moment longer than anybody sees the topic.
    while let Err(error) = source.create_topic(topic, 1, &[]).await {
        if Instant::now() >= until_created {
            return Err(error);
        }
        sleep(POLL).await;
    }
    append(source, topic, 1_000, RECORDS * 3).await?;
    let said = async || partition_state(address, topic, 0).await.unwrap_or_default();
    let held = until(async || Ok(said().await["state"] == HELD)).await?;
    let mut findings = Vec::new();
    if !held {
        findings.push(format!("{topic} was created again, and is not {HELD}: {}", said().await));
    }
    if mirror(target, topic).await? != before {
        findings.push(format!("the mirror of {topic} is not what the deleted topic was"));
    }
    Ok(findings)
}

async fn until(is_so: impl AsyncFn() -> Result<bool, HistoryError>) -> Result<bool, HistoryError> {
    let until = Instant::now() + PATIENCE;
    loop {
        if is_so().await? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        sleep(POLL).await;
    }
}

async fn append(source: &Session, topic: &str, first: u64, count: u64) -> Result<(), HistoryError> {
    let timestamp_ms = now_ms();
    let record = |ordinal| LogRecord {
        offset: 0,
        timestamp_ms,
        key: None,
        value: Some(Bytes::from(
            RecordId { topic: topic.to_owned(), partition: 0, ordinal }.to_field(),
        )),
        headers: Vec::new(),
    };
    let records: Vec<LogRecord> = (first..first + count).map(record).collect();
    source.append(topic, 0, &records, &Stamp::plain()).await.map(|_| ())
}

/// The mirror's records; none if there is no mirror.
async fn mirror(target: &Session, topic: &str) -> Result<Vec<Fields>, HistoryError> {
    if target.partitions(topic).await? == 0 {
        return Ok(Vec::new());
    }
    contents(target, topic).await
}

async fn contents(session: &Session, topic: &str) -> Result<Vec<Fields>, HistoryError> {
    let log = read_partition(session, topic, 0).await?;
    Ok(log.records.iter().map(LogRecord::fields).collect())
}
