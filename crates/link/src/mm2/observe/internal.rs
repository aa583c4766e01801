//! What MirrorMaker 2 has written into its internal topics.

use std::collections::{BTreeMap, HashMap};

use farlog_client::{Cluster, ReadError, RequestError, TopicPartition, TopicSelection};

use super::logs;
use crate::limits::OBSERVED_INTERNAL_RECORDS_MAX;
use crate::mm2::{Checkpoint, Heartbeat, OffsetSync, SourceOffset, Unreadable};

/// Records that are read first of a topic of which only the newest one is wanted.
const NEWEST_FIRST: i64 = 1_000;

/// Why an internal topic could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InternalError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{0}")]
    Extent(String),
}

/// The syncs of one partition in the order of the topic: source and target offset.
pub(super) type Syncs = Vec<(i64, i64)>;

/// Something read of a topic, with what has to be said about the reading.
#[derive(Debug, Default)]
pub(super) struct Found<T> {
    pub(super) found: T,
    /// Records that were passed over because they are older than what was read.
    pub(super) passed_over: i64,
    /// Records that are none of MirrorMaker 2's.
    pub(super) unreadable: usize,
    /// Whether the topic is there.
    pub(super) exists: bool,
}

/// The offset syncs by source partition.
pub(super) async fn offset_syncs(
    cluster: &Cluster,
    topic: &str,
) -> Result<Found<HashMap<TopicPartition, Syncs>>, InternalError> {
    fold(cluster, topic, |found: &mut HashMap<TopicPartition, Syncs>, key, value| {
        let sync = OffsetSync::read(key, value)?;
        if let Some(sync) = sync {
            let place = TopicPartition::new(sync.topic.as_str(), sync.partition);
            found.entry(place).or_default().push((sync.upstream_offset, sync.downstream_offset));
        }
        Ok(())
    })
    .await
}

/// The newest checkpoint of each group and mirror partition.
pub(super) async fn checkpoints(
    cluster: &Cluster,
    topic: &str,
) -> Result<Found<HashMap<(String, TopicPartition), Checkpoint>>, InternalError> {
    fold(cluster, topic, |found: &mut HashMap<_, Checkpoint>, key, value| {
        if let Some(checkpoint) = Checkpoint::read(key, value)? {
            let place = TopicPartition::new(checkpoint.topic.as_str(), checkpoint.partition);
            found.insert((checkpoint.group.clone(), place), checkpoint);
        }
        Ok(())
    })
    .await
}

/// What Connect has stored of how far each partition of a source is mirrored.
pub(super) async fn source_offsets(
    cluster: &Cluster,
    topic: &str,
    source_alias: &str,
) -> Result<Found<BTreeMap<TopicPartition, i64>>, InternalError> {
    fold(cluster, topic, |found: &mut BTreeMap<_, i64>, key, value| {
        if let Some(stored) = SourceOffset::read(key, value)?
            && stored.cluster == source_alias
        {
            let place = TopicPartition::new(stored.topic.as_str(), stored.partition);
            match stored.offset {
                Some(offset) => found.insert(place, offset),
                None => found.remove(&place),
            };
        }
        Ok(())
    })
    .await
}

/// When the newest heartbeat of a pair was written, in milliseconds since 1970. There is one every
/// second, so the end of the topic is looked at first.
pub(super) async fn heartbeat(
    cluster: &Cluster,
    topic: &str,
    (source, target): (&str, &str),
) -> Result<Option<i64>, InternalError> {
    let place = TopicPartition::new(topic, 0);
    if !exists(cluster, topic).await? {
        return Ok(None);
    }
    let extent = extent(cluster, &place).await?;
    let mut newest = None;
    let mut end = extent.end;
    let mut step = NEWEST_FIRST;
    while newest.is_none() && end > extent.start {
        let start = (end - step).max(extent.start);
        let reading = logs::read(cluster, &place, start..end, |record| {
            let heartbeat = Heartbeat::read(record.key, record.value).ok().flatten();
            let of_pair = heartbeat.filter(|one| {
                one.source_cluster_alias == source && one.target_cluster_alias == target
            });
            newest = of_pair.map(|one| one.timestamp_ms).max(newest);
        });
        reading.await?;
        (end, step) = (start, step * 4);
    }
    Ok(newest)
}

async fn exists(cluster: &Cluster, topic: &str) -> Result<bool, RequestError> {
    let metadata = cluster.metadata(&TopicSelection::one(topic)).await?;
    Ok(metadata.topic(topic).is_some_and(|topic| !topic.partitions.is_empty()))
}

async fn extent(cluster: &Cluster, place: &TopicPartition) -> Result<logs::Extent, InternalError> {
    let mut extents = logs::extents(cluster, std::slice::from_ref(place)).await;
    let extent = extents.remove(place).unwrap_or_else(|| Err("it was not answered for".into()));
    extent.map_err(|why| InternalError::Extent(format!("{place}: {why}")))
}

/// Reads the newest records of all partitions of a topic; nothing if it is not there.
async fn fold<T: Default + Send>(
    cluster: &Cluster,
    topic: &str,
    mut add: impl FnMut(&mut T, Option<&[u8]>, Option<&[u8]>) -> Result<(), Unreadable> + Send,
) -> Result<Found<T>, InternalError> {
    let mut all = Found::default();
    let metadata = cluster.metadata(&TopicSelection::one(topic)).await?;
    let Some(described) = metadata.topic(topic) else { return Ok(all) };
    all.exists = true;
    for partition in described.partitions.keys() {
        let place = TopicPartition::new(topic, *partition);
        let extent = extent(cluster, &place).await?;
        let start = extent.start.max(extent.end - OBSERVED_INTERNAL_RECORDS_MAX);
        all.passed_over += start - extent.start;
        let reading = logs::read(cluster, &place, start..extent.end, |record| {
            if add(&mut all.found, record.key, record.value).is_err() {
                all.unreadable += 1;
            }
        });
        reading.await?;
    }
    Ok(all)
}
