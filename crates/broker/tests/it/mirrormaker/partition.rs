//! What is in a partition, for comparison.

use std::fmt::Display;
use std::ops::ControlFlow;

use farlog_client::admin::{IsolationLevel, OffsetSpec};
use farlog_client::{Cluster, FetchOptions, TopicPartition};
use farlog_wire::records::{ControlType, RawBatch, control_type, records};

/// A record, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// All records of a partition, by offset, but those of aborted transactions.
///
/// # Errors
/// In words, as long as the partition is not there.
pub(super) async fn read(
    cluster: &Cluster,
    place: &TopicPartition,
) -> Result<Vec<(i64, Content)>, String> {
    let start = start(cluster, place).await?;
    let mut found: Vec<(i64, i64, Content)> = Vec::new();
    // Up to here records are decided upon: nobody has two transactions at a time.
    let mut decided: Vec<(i64, i64)> = Vec::new();
    for batch in batches(cluster, place).await? {
        let producer = batch.header.producer_id;
        if batch.header.attributes.is_control() {
            let since = decided.iter().rev().find(|(other, _)| *other == producer);
            let since = since.map_or(0, |(_, offset)| *offset);
            if control_type(&batch).expect("a marker") == ControlType::Abort {
                found.retain(|(offset, other, _)| *other != producer || *offset < since);
            }
            decided.push((producer, batch.header.next_offset()));
        } else {
            let contents = contents(&batch).into_iter();
            found.extend(contents.map(|(offset, content)| (offset, producer, content)));
        }
    }
    // A batch that was deleted in part is delivered as a whole.
    let found = found.into_iter().filter(|(offset, ..)| *offset >= start);
    Ok(found.map(|(offset, _, content)| (offset, content)).collect())
}

/// Whether all records came in transactions.
pub(super) async fn is_transactional(
    cluster: &Cluster,
    place: &TopicPartition,
) -> Result<bool, String> {
    let batches = batches(cluster, place).await?;
    Ok(batches.iter().all(|batch| batch.header.attributes.is_transactional()))
}

async fn start(cluster: &Cluster, place: &TopicPartition) -> Result<i64, String> {
    let asked = [(place.clone(), OffsetSpec::Earliest)];
    let mut listed = cluster.list_offsets(IsolationLevel::ReadUncommitted, asked).await;
    let listed = listed.remove(place).expect("an answer").map_err(about(place))?;
    Ok(listed.offset.unwrap_or(0))
}

/// What is decided upon.
async fn batches(cluster: &Cluster, place: &TopicPartition) -> Result<Vec<RawBatch>, String> {
    let isolation = IsolationLevel::ReadCommitted;
    let options = FetchOptions { isolation, ..FetchOptions::default() };
    let mut found = Vec::new();
    let reading = cluster.read_to_end(place, &options, |batch| {
        found.push(batch);
        ControlFlow::Continue(())
    });
    reading.await.map_err(about(place))?;
    Ok(found)
}

fn about<E: Display>(place: &TopicPartition) -> impl FnOnce(E) -> String {
    move |error| format!("{place}: {error}")
}

fn contents(batch: &RawBatch) -> Vec<(i64, Content)> {
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let found = records(batch).expect("an uncompressed batch");
    let found = found.into_iter().map(|record| {
        let headers = record.headers.iter();
        let content = Content {
            timestamp: record.timestamp,
            key: own(record.key),
            value: own(record.value),
            headers: headers.map(|one| (one.key.to_vec(), own(one.value))).collect(),
        };
        (record.offset, content)
    });
    found.collect()
}

/// Kafka's format for strings in MirrorMaker's internal records.
pub(super) fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short string");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
