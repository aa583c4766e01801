//! Reads partitions back, batch by batch, as a consumer at `read_committed` would see them and with
//! what it would not see.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Expected;
use super::batch::{self, LogBatch};
use super::record::{Identity, LogRecord};
use super::session::{HistoryError, Session};

/// One partition, from its log start to its last stable offset.
#[derive(Clone, Debug, Default)]
pub struct PartitionLog {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the first record that could be there.
    pub log_start_offset: i64,
    /// Offset behind the last record that readers see.
    pub end_offset: i64,
    /// Every data batch.
    pub batches: Vec<LogBatch>,
    /// What readers see.
    pub records: Vec<LogRecord>,
    /// Records of aborted transactions.
    pub aborted: Vec<LogRecord>,
}

impl PartitionLog {
    /// What a mirror of this log must hold.
    pub fn expected(&self) -> Vec<Expected> {
        let expected = self.records.iter().map(|record| Expected {
            source_offset: record.offset,
            identity: record.identity(),
            fields: record.fields(),
            required: true,
        });
        expected.collect()
    }

    /// Who must not be in a mirror of this log.
    pub fn aborted_identities(&self) -> BTreeSet<Identity> {
        self.aborted.iter().map(LogRecord::identity).collect()
    }
}

/// Reads a whole partition.
///
/// # Errors
/// When it cannot be fetched or decoded.
pub async fn read_partition(
    session: &Session,
    topic: &str,
    partition: i32,
) -> Result<PartitionLog, HistoryError> {
    let log_start_offset = session.log_start(topic, partition).await?;
    let mut log = PartitionLog {
        topic: topic.to_owned(),
        partition,
        log_start_offset,
        end_offset: log_start_offset,
        ..PartitionLog::default()
    };
    let mut aborted = AbortedTransactions::default();
    loop {
        let from = log.end_offset;
        let data = session.fetch(topic, partition, from, true).await?;
        for transaction in data.aborted_transactions.into_iter().flatten() {
            aborted.learn(transaction.producer_id, transaction.first_offset);
        }
        let fetched = data.records.unwrap_or_default();
        let batches = batch::decode(fetched).map_err(|error| HistoryError::Log {
            topic: topic.to_owned(),
            partition,
            offset: from,
            problem: error.to_string(),
        })?;
        for (seen, records) in batches {
            log.end_offset = seen.last_offset + 1;
            let is_aborted = aborted.is_aborted(&seen);
            if seen.marker.is_some() {
                continue;
            }
            let visible = records.into_iter().filter(|record| record.offset >= from);
            if is_aborted { &mut log.aborted } else { &mut log.records }.extend(visible);
            log.batches.push(seen);
        }
        if log.end_offset >= data.last_stable_offset {
            return Ok(log);
        }
        if log.end_offset == from {
            // Nothing left between here and the end but what the cleaner removed.
            log.end_offset = data.last_stable_offset;
            return Ok(log);
        }
    }
}

/// The last record of a log, if there is one and the cleaner has left it. Offsets without records
/// may follow it.
///
/// # Errors
/// When the partition cannot be fetched or decoded.
pub async fn last_record(
    session: &Session,
    topic: &str,
    partition: i32,
) -> Result<Option<LogRecord>, HistoryError> {
    let end = session.log_end(topic, partition).await?;
    let start = session.log_start(topic, partition).await?;
    let mut offset = end - 1;
    while offset >= start {
        let data = session.fetch(topic, partition, offset, false).await?;
        let fetched = data.records.unwrap_or_default();
        let batches = batch::decode(fetched).map_err(|error| HistoryError::Log {
            topic: topic.to_owned(),
            partition,
            offset,
            problem: error.to_string(),
        })?;
        let Some(first_offset) = batches.first().map(|(first, _)| first.base_offset) else {
            return Ok(None);
        };
        let last = batches.into_iter().flat_map(|(_, records)| records).last();
        if last.is_some() {
            return Ok(last);
        }
        offset = first_offset - 1;
    }
    Ok(None)
}

/// Reads what follows an offset, whatever became of its transactions.
///
/// # Errors
/// When it cannot be fetched or decoded.
pub(super) async fn read_tail(
    session: &Session,
    topic: &str,
    partition: i32,
    from_offset: i64,
) -> Result<Vec<LogRecord>, HistoryError> {
    let mut next = from_offset.max(session.log_start(topic, partition).await?);
    let mut tail = Vec::new();
    loop {
        let data = session.fetch(topic, partition, next, false).await?;
        let fetched = data.records.unwrap_or_default();
        let batches = batch::decode(fetched).map_err(|error| HistoryError::Log {
            topic: topic.to_owned(),
            partition,
            offset: next,
            problem: error.to_string(),
        })?;
        let Some((last, _)) = batches.last() else { return Ok(tail) };
        let end = last.last_offset + 1;
        let records = batches.into_iter().flat_map(|(_, records)| records);
        tail.extend(records.filter(|record| record.offset >= from_offset));
        next = end;
    }
}

/// Which batches belong to aborted transactions: what a consumer does with the answer's list.
#[derive(Debug, Default)]
struct AbortedTransactions {
    /// Known ones that have not begun yet: by producer id, the first offset of each.
    ahead: BTreeMap<i64, BTreeSet<i64>>,
    /// Producer ids inside one.
    inside: BTreeSet<i64>,
    /// First offsets of those that are over; answers may name them again.
    over: BTreeSet<(i64, i64)>,
}

impl AbortedTransactions {
    fn learn(&mut self, producer_id: i64, first_offset: i64) {
        if !self.over.contains(&(producer_id, first_offset)) {
            self.ahead.entry(producer_id).or_default().insert(first_offset);
        }
    }

    /// Takes one batch after the other.
    fn is_aborted(&mut self, batch: &LogBatch) -> bool {
        if !batch.transactional {
            return false;
        }
        let producer_id = batch.producer_id;
        if let Some(ahead) = self.ahead.get_mut(&producer_id) {
            while let Some(first) = ahead.first().copied() {
                if first > batch.last_offset {
                    break;
                }
                ahead.remove(&first);
                self.over.insert((producer_id, first));
                self.inside.insert(producer_id);
            }
        }
        if batch.marker.is_some() {
            self.inside.remove(&producer_id);
            return false;
        }
        self.inside.contains(&producer_id)
    }
}
