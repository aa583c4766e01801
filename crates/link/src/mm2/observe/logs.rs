//! Stretches of logs, as far as they are needed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use farlog_client::admin::{IsolationLevel, OffsetSpec};
use farlog_client::{Cluster, FetchOptions, ReadError, RequestError, TopicPartition};
use farlog_wire::records::{BatchError, RawBatch, Record, batches, records};

use super::alignment::{Seen, Stretch};
use crate::limits::OBSERVED_BATCH_BYTES_MAX;

/// From the first record to behind the last one.
pub(super) type Extent = Range<i64>;

/// Where logs begin and end; what is not answered says why.
pub(super) async fn extents(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> BTreeMap<TopicPartition, Result<Extent, String>> {
    let ask = async |spec| {
        let asked = partitions.iter().map(|place| (place.clone(), spec));
        cluster.list_offsets(IsolationLevel::ReadUncommitted, asked).await
    };
    let mut starts = ask(OffsetSpec::Earliest).await;
    let ends = ask(OffsetSpec::Latest).await;
    let both = ends.into_iter().map(|(place, end)| {
        let start = starts.remove(&place);
        let known = |answer: Result<farlog_client::admin::ListedOffset, RequestError>| {
            answer
                .map_err(|error| error.to_string())
                .and_then(|listed| listed.offset.ok_or_else(|| "it has no offset".to_owned()))
        };
        let start = start.map_or_else(|| Err("it was not answered for".to_owned()), known);
        let extent = start.and_then(|start| Ok(start..known(end)?));
        (place, extent)
    });
    both.collect()
}

/// Data records of a log, and where it ends if they reach that.
#[derive(Debug)]
pub(super) struct OwnedStretch {
    pub(super) records: Vec<Seen>,
    log_end: Option<i64>,
}

impl OwnedStretch {
    pub(super) fn borrowed(&self) -> Stretch<'_> {
        Stretch { records: &self.records, log_end: self.log_end }
    }
}

/// The data records of a range that ends with the log, at most `records_max`; ends early once
/// `enough` says so.
pub(super) async fn stretch(
    cluster: &Cluster,
    place: &TopicPartition,
    range: Extent,
    records_max: usize,
    enough: impl Fn(&[Seen]) -> bool + Send,
) -> Result<OwnedStretch, ReadError> {
    let mut found = Vec::new();
    let mut reading = Reading { cluster, place, at: range.start, end: range.end };
    while found.len() <= records_max && !enough(&found) {
        let Some(batches) = reading.next().await? else { break };
        for batch in &batches {
            each_record(place, batch, |record| {
                if range.contains(&record.offset) {
                    found.push(Seen { offset: record.offset, content: content(record) });
                }
            })?;
        }
    }
    let is_whole = reading.at >= range.end && found.len() <= records_max;
    found.truncate(records_max);
    Ok(OwnedStretch { records: found, log_end: is_whole.then_some(range.end) })
}

/// Shows the data records of a range.
pub(super) async fn read(
    cluster: &Cluster,
    place: &TopicPartition,
    range: Extent,
    mut each: impl FnMut(&Record<'_>) + Send,
) -> Result<(), ReadError> {
    let mut reading = Reading { cluster, place, at: range.start, end: range.end };
    while let Some(batches) = reading.next().await? {
        for batch in &batches {
            each_record(place, batch, |record| {
                if range.contains(&record.offset) {
                    each(record);
                }
            })?;
        }
    }
    Ok(())
}

/// Fetches one after the other.
struct Reading<'a> {
    cluster: &'a Cluster,
    place: &'a TopicPartition,
    at: i64,
    end: i64,
}

impl Reading<'_> {
    /// The batches of the next fetch; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<RawBatch>>, ReadError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let from = self.at;
        let fetched = self.cluster.fetch(self.place, from, &FetchOptions::default()).await?;
        let found: Result<Vec<RawBatch>, BatchError> = batches(fetched.records).collect();
        let found = found.map_err(|source| unreadable(self.place, from, source))?;
        self.at = found.last().map_or(self.end, |last| last.header.next_offset());
        // The rest was compacted away.
        Ok(Some(found).filter(|found| !found.is_empty()))
    }
}

fn unreadable(place: &TopicPartition, offset: i64, source: BatchError) -> ReadError {
    ReadError::Batch { partition: place.clone(), offset, source }
}

fn each_record(
    place: &TopicPartition,
    batch: &RawBatch,
    mut each: impl FnMut(&Record<'_>),
) -> Result<(), ReadError> {
    if batch.header.attributes.is_control() {
        return Ok(());
    }
    let at = |source| unreadable(place, batch.header.base_offset, source);
    let plain = batch.decompressed(OBSERVED_BATCH_BYTES_MAX).map_err(at)?;
    records(&plain).map_err(at)?.iter().for_each(&mut each);
    Ok(())
}

/// The same for a record and its mirror; compared within one process only.
fn content(record: &Record<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (record.timestamp, record.key, record.value).hash(&mut hasher);
    for header in &record.headers {
        (header.key, header.value).hash(&mut hasher);
    }
    hasher.finish()
}
