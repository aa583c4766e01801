//! `__transaction_state`: where transactional ids are kept, and read from at start.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use farlog_wire::ErrorCode;
use farlog_wire::records::{BatchWriter, batches};

use super::limits::STATE_PARTITIONS;
use super::record::{key_bytes, key_of, value_bytes, value_of};
use super::state::Transaction;
use crate::catalog::{Catalog, NewTopic};
use crate::limits::{DECOMPRESSED_BATCH_BYTES_MAX, SCAN_BYTES};
use crate::partition::{AppendOrigin, Appended, FetchIsolation, Partition};
use crate::settling::Settling;

/// The internal topic, as Kafka names it.
pub(crate) const TOPIC: &str = "__transaction_state";

/// `__transaction_state` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TransactionLogError {
    /// The log itself.
    #[error("partition {partition} of __transaction_state at offset {offset}: {why}")]
    Log {
        /// The partition.
        partition: i32,
        /// Where reading stopped.
        offset: i64,
        /// What is wrong.
        why: String,
    },
}

/// A change that has its place in the log, and may not be durable yet.
#[derive(Debug)]
pub(crate) struct Written {
    partition: Arc<Partition>,
    appended: Appended,
}

impl Written {
    /// Waits until it is durable. Goes on if the caller does not: readers wait for it, too.
    ///
    /// # Errors
    /// `NOT_COORDINATOR`, as from Kafka: the client is to ask again who coordinates.
    pub(crate) async fn settle(self) -> Result<(), ErrorCode> {
        let Self { partition, mut appended } = self;
        let settled = Settling::new(async move { partition.settle(&mut appended).await }).await;
        settled.map_err(|_| ErrorCode::NOT_COORDINATOR)
    }
}

/// The partition that keeps an id: Kafka's rule, Java's hash of the string without its sign.
pub(crate) fn partition_of(id: &str, partitions: usize) -> i32 {
    let hash = id
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Of the smallest integer, which has no opposite, Kafka makes 0.
    let positive = hash.checked_abs().unwrap_or(0);
    positive % i32::try_from(partitions.max(1)).unwrap_or(i32::MAX)
}

/// Makes the topic unless it is there.
pub(crate) async fn make_topic(catalog: &Catalog) -> Result<(), ErrorCode> {
    if catalog.topic(TOPIC).is_some() {
        return Ok(());
    }
    let configs = [
        ("cleanup.policy", "compact"),
        ("compression.type", "uncompressed"),
        ("segment.bytes", "104857600"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: STATE_PARTITIONS,
        configs: BTreeMap::from(configs.map(own)),
    };
    match catalog.create_topic(topic, false).await {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
        Err(refusal) => Err(refused(refusal.code)),
    }
}

/// Appends what an id is now, or that it is forgotten.
pub(crate) fn append(
    catalog: &Catalog,
    id: &str,
    transaction: Option<&Transaction>,
    now_ms: i64,
) -> Result<Written, ErrorCode> {
    let topic = catalog.topic(TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let partition = Arc::clone(topic.partition(partition_of(id, topic.partitions.len()))?);
    // Ids and topics come from requests, whose strings are as short.
    let too_long = |_| ErrorCode::INVALID_REQUEST;
    let key = key_bytes(id).map_err(too_long)?;
    let value = transaction.map(value_bytes).transpose().map_err(too_long)?;
    let mut writer = BatchWriter::new();
    writer.push(now_ms, Some(&key), value.as_deref(), &[]);
    let batch = writer.finish_unsequenced().map_err(|error| {
        tracing::error!(id, %error, "a transaction's state does not make a batch");
        ErrorCode::UNKNOWN_SERVER_ERROR
    })?;
    let origin = AppendOrigin::Coordinator;
    let appended = partition
        .append(batch.to_bytes(), origin, &topic.configs, now_ms)
        .map_err(|refusal| refused(refusal.code))?;
    Ok(Written { partition, appended })
}

/// The epoch under which markers for an id are written: that of its partition's leader.
pub(crate) fn coordinator_epoch(catalog: &Catalog, id: &str) -> Result<i32, ErrorCode> {
    let topic = catalog.topic(TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let partition = topic.partition(partition_of(id, topic.partitions.len()))?;
    Ok(partition.leader_epoch())
}

fn refused(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::NOT_COORDINATOR,
        _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
    }
}

/// Every id as it was written last.
pub(crate) async fn read(
    catalog: &Catalog,
) -> Result<HashMap<String, Transaction>, TransactionLogError> {
    let mut known = HashMap::new();
    let Some(topic) = catalog.topic(TOPIC) else { return Ok(known) };
    for (index, partition) in (0..).zip(&topic.partitions) {
        let mut offset = partition.offsets().start;
        while offset < partition.offsets().high_watermark {
            let fault = |why| TransactionLogError::Log { partition: index, offset, why };
            let isolation = FetchIsolation::ReadUncommitted;
            let fetched = partition.fetch(offset, SCAN_BYTES, true, isolation).await;
            let records = fetched.map_err(|code| fault(code.name().to_owned()))?.records;
            if records.is_empty() {
                break;
            }
            offset = replay(&mut known, records).map_err(fault)?;
        }
    }
    Ok(known)
}

/// Takes in batches; answers the offset after them.
fn replay(known: &mut HashMap<String, Transaction>, records: bytes::Bytes) -> Result<i64, String> {
    let mut next_offset = 0;
    for batch in batches(records) {
        let batch = batch.map_err(|error| error.to_string())?;
        next_offset = batch.header.next_offset();
        if batch.header.attributes.is_control() {
            continue;
        }
        batch.verify_crc().map_err(|error| error.to_string())?;
        let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX);
        let plain = plain.map_err(|error| error.to_string())?;
        for record in plain.records().map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let key = bytes::Bytes::copy_from_slice(record.key.unwrap_or_default());
            let id = key_of(key).map_err(|error| error.to_string())?;
            match record.value {
                None => known.remove(&id),
                Some(value) => {
                    let value = value_of(bytes::Bytes::copy_from_slice(value));
                    known.insert(id, value.map_err(|error| error.to_string())?)
                }
            };
        }
    }
    Ok(next_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lie_where_kafka_would_put_them() {
        // Java: "produce-t".hashCode() is -1051845945, "grün-𝄞".hashCode() is 425141786.
        assert_eq!(partition_of("produce-t", 8), 1_051_845_945 % 8);
        assert_eq!(partition_of("grün-𝄞", 50), 425_141_786 % 50);
        assert_eq!(partition_of("", 8), 0);
        // "polygenelubricants".hashCode() is the smallest integer.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
