//! The internal topic `__consumer_offsets`: which partition a group has, and writing to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use farlog_wire::records::{BatchWriter, ProducerStamp};
use farlog_wire::{EncodeError, ErrorCode};

use super::limits::OFFSETS_PARTITIONS;
use crate::catalog::{Catalog, NewTopic, Refusal, Topic};
use crate::partition::{AppendOrigin, Appended, Partition};

/// Its name.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A record to be written: a tombstone if it has no value.
pub(super) type NewRecord = (Bytes, Option<Bytes>);

/// A batch that has its place and is not durable yet.
#[derive(Debug)]
pub(crate) struct Written {
    partition: Arc<Partition>,
    appended: Appended,
}

/// Makes the topic if there is none, as Kafka would have it.
pub(super) async fn ensure(catalog: &Catalog) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = catalog.topic(OFFSETS_TOPIC) {
        return Ok(topic);
    }
    let config = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let new = NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: OFFSETS_PARTITIONS,
        configs: BTreeMap::from([
            config("cleanup.policy", "compact"),
            config("compression.type", "producer"),
            config("segment.bytes", "104857600"),
        ]),
    };
    match catalog.create_topic(new, false).await {
        Ok(topic) => Ok(topic),
        // Somebody else was faster.
        Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => {
            catalog.topic(OFFSETS_TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
        }
        Err(refusal) => Err(unavailable(&refusal)),
    }
}

/// The partition of a group: `Utils.abs(String.hashCode)`, as Kafka has it: without its sign, and 0
/// for the smallest integer, which has no opposite.
pub(super) fn partition_of(group: &str, partitions: usize) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
    hash.checked_abs().unwrap_or(0) % partitions
}

/// Appends records about a group. Their place is certain when this returns.
pub(super) fn append(
    catalog: &Catalog,
    group: &str,
    records: &[NewRecord],
    now_ms: i64,
) -> Result<Written, ErrorCode> {
    append_batch(catalog, group, records, BatchWriter::new(), ProducerStamp::NONE, now_ms)
}

/// Appends records about a group as part of a producer's transaction.
pub(super) fn append_transactional(
    catalog: &Catalog,
    group: &str,
    records: &[NewRecord],
    (producer_id, producer_epoch): (i64, i16),
    now_ms: i64,
) -> Result<Written, ErrorCode> {
    // As Kafka's coordinator writes it: its batches are not counted.
    let stamp = ProducerStamp { producer_id, producer_epoch, base_sequence: 0 };
    let writer = BatchWriter::new().transactional();
    append_batch(catalog, group, records, writer, stamp, now_ms)
}

fn append_batch(
    catalog: &Catalog,
    group: &str,
    records: &[NewRecord],
    mut writer: BatchWriter,
    stamp: ProducerStamp,
    now_ms: i64,
) -> Result<Written, ErrorCode> {
    let topic = catalog.topic(OFFSETS_TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let partition = topic.partition(partition_of(group, topic.partitions.len()))?;
    for (key, value) in records {
        writer.push(now_ms, Some(key), value.as_deref(), &[]);
    }
    let batch = writer.finish(stamp).map_err(|error| {
        tracing::error!(group, %error, "records about a group do not make a batch");
        ErrorCode::UNKNOWN_SERVER_ERROR
    })?;
    let origin = AppendOrigin::Coordinator;
    let appended = partition
        .append(batch.to_bytes(), origin, &topic.configs, now_ms)
        .map_err(|refusal| unavailable(&refusal.into()))?;
    Ok(Written { partition: Arc::clone(partition), appended })
}

impl Written {
    /// Waits until it is durable. Goes on if the caller does not: readers wait for it, too.
    pub(crate) async fn settle(self) -> Result<(), ErrorCode> {
        let Self { partition, mut appended } = self;
        let settling = tokio::spawn(async move { partition.settle(&mut appended).await });
        match settling.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(unavailable(&refusal)),
            // The runtime ends.
            Err(_) => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }
}

/// Clients ask again when the coordinator cannot write, as with Kafka.
fn unavailable(refusal: &Refusal) -> ErrorCode {
    tracing::error!(?refusal, "the group coordinator cannot write");
    match refusal.code {
        // A producer that was fenced must learn it.
        code @ (ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_TXN_STATE) => code,
        _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
    }
}

/// What a record that cannot be written means to a client.
pub(super) fn unwritable(error: &EncodeError) -> ErrorCode {
    tracing::error!(%error, "a record about a group cannot be written");
    ErrorCode::UNKNOWN_SERVER_ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_javas_hash() {
        // Made with `java.lang.String.hashCode`.
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("group", 50), 98_629_247 % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        // "produce-t".hashCode() is negative.
        assert_eq!(partition_of("produce-t", 50), 1_051_845_945 % 50);
    }
}
