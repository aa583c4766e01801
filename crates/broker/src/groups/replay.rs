//! Reading `__consumer_offsets` back at start: the last word on every key counts.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::records::{BatchError, ControlType, RawBatch, Record, batches, control_record};

use super::classic::{ClassicGroup, Now};
use super::consumer::ConsumerGroup;
use super::record::{ClassicValue, Key, OffsetKey, OffsetValue, RecordError};
use super::{Groups, Inner, Kind, OFFSETS_TOPIC, Staged};
use crate::catalog::Catalog;
use crate::limits::{DECOMPRESSED_BATCH_BYTES_MAX, SCAN_BYTES};
use crate::partition::{FetchIsolation, Partition};

/// The groups cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition} of __consumer_offsets{at}: {why}")]
pub struct ReplayError {
    partition: i32,
    at: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it cannot be read: {}", .0.name())]
    Read(ErrorCode),
    #[error("it is damaged: {0}")]
    Damaged(#[from] BatchError),
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// What the log says, before it is made into groups.
#[derive(Debug, Default)]
struct Replayed {
    inner: Inner,
    classic: BTreeMap<String, ClassicValue>,
    consumer: BTreeMap<String, BTreeMap<Key, Bytes>>,
}

impl Replayed {
    fn take_consumer(&mut self, key: Key, value: Option<Bytes>) {
        let (Key::Consumer { group }
        | Key::TargetEpoch { group }
        | Key::Member { group, .. }
        | Key::TargetMember { group, .. }
        | Key::CurrentMember { group, .. }
        | Key::Pattern { group, .. }) = &key
        else {
            return;
        };
        let records = self.consumer.entry(group.clone()).or_default();
        match value {
            Some(value) => records.insert(key, value),
            None => records.remove(&key),
        };
    }
}

impl Groups {
    pub(super) async fn replay(&self, catalog: &Catalog) -> Result<(), ReplayError> {
        let Some(topic) = catalog.topic(OFFSETS_TOPIC) else { return Ok(()) };
        let mut replayed = Replayed::default();
        let now = self.now();
        for (index, partition) in (0..).zip(&topic.partitions) {
            self.replay_partition(index, partition, &mut replayed, now).await?;
        }
        let Replayed { mut inner, classic, consumer } = replayed;
        for (id, value) in classic {
            let group = ClassicGroup::from_value(value, self.rules(), now);
            match inner.group_or_new(&id, self.rules(), now) {
                Ok(known) => known.kind = Kind::Classic(group),
                Err(_) => tracing::error!(group = id, "a group was left out: there are too many"),
            }
        }
        for (id, records) in consumer {
            let at = || format!(", group {id}");
            let fault =
                |error: RecordError| ReplayError { partition: -1, at: at(), why: error.into() };
            let group = ConsumerGroup::from_records(records, self.consumer_rules(), now);
            let Some(group) = group.map_err(fault)? else { continue };
            match inner.group_or_new(&id, self.rules(), now) {
                Ok(known) => known.kind = Kind::Consumer(group),
                Err(_) => tracing::error!(group = id, "a group was left out: there are too many"),
            }
        }
        let groups = inner.groups.len();
        if groups > 0 {
            tracing::info!(groups, "groups were read back");
        }
        *self.lock() = inner;
        Ok(())
    }

    async fn replay_partition(
        &self,
        index: i32,
        partition: &Partition,
        replayed: &mut Replayed,
        now: Now,
    ) -> Result<(), ReplayError> {
        let fault = |offset: Option<i64>, why: Why| ReplayError {
            partition: index,
            at: offset.map(|offset| format!(" at offset {offset}")).unwrap_or_default(),
            why,
        };
        let mut offset = partition.offsets().start;
        loop {
            let isolation = FetchIsolation::ReadUncommitted;
            let read = partition.fetch(offset, SCAN_BYTES, true, isolation).await;
            let read = read.map_err(|code| fault(Some(offset), Why::Read(code)))?;
            if read.records.is_empty() {
                return Ok(());
            }
            for batch in batches(read.records) {
                let batch = batch.map_err(|error| fault(Some(offset), error.into()))?;
                offset = batch.header.next_offset();
                let taken = self.replay_batch(index, &batch, replayed, now);
                taken.map_err(|why| fault(Some(batch.header.base_offset), why))?;
            }
        }
    }

    fn replay_batch(
        &self,
        index: i32,
        batch: &RawBatch,
        replayed: &mut Replayed,
        now: Now,
    ) -> Result<(), Why> {
        batch.verify_crc()?;
        let header = &batch.header;
        if header.attributes.is_control() {
            let control = control_record(batch)?.map(|control| control.control_type);
            let commit = match control {
                Some(ControlType::Commit) => true,
                Some(ControlType::Abort) => false,
                Some(ControlType::Other(_)) | None => return Ok(()),
            };
            replayed.inner.resolve(header.producer_id, index, commit, |inner, id| {
                inner.group_or_new(id, self.rules(), now).is_ok()
            });
            return Ok(());
        }
        let transaction = header.attributes.is_transactional().then_some(header.producer_id);
        let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX)?;
        for record in plain.records()? {
            self.replay_record(index, &record?, transaction, replayed, now)?;
        }
        Ok(())
    }

    fn replay_record(
        &self,
        index: i32,
        record: &Record<'_>,
        transaction: Option<i64>,
        replayed: &mut Replayed,
        now: Now,
    ) -> Result<(), Why> {
        let Some(key) = record.key else { return Ok(()) };
        let value = record.value.map(Bytes::copy_from_slice);
        match (Key::from_bytes(Bytes::copy_from_slice(key))?, value) {
            (Key::Offset(OffsetKey { group, topic, partition }), Some(value)) => {
                let value = OffsetValue::from_bytes(value)?;
                let inner = &mut replayed.inner;
                if let Some(producer_id) = transaction {
                    let staged = Staged { group, topic, partition, value };
                    inner.staged.entry((index, producer_id)).or_default().push(staged);
                } else if let Ok(known) = inner.group_or_new(&group, self.rules(), now) {
                    known.offsets.set(&topic, partition, value);
                }
            }
            (Key::Offset(OffsetKey { group, topic, partition }), None) => {
                if let Some(known) = replayed.inner.groups.get_mut(&group) {
                    known.offsets.remove(&topic, partition);
                }
                replayed.inner.forget_if_unused(&group);
            }
            (Key::Classic { group }, Some(value)) => {
                replayed.classic.insert(group, ClassicValue::from_bytes(value)?);
            }
            (Key::Classic { group }, None) => {
                replayed.classic.remove(&group);
            }
            // Nothing here writes those.
            (Key::Other(_), _) => {}
            (key, value) => replayed.take_consumer(key, value),
        }
        Ok(())
    }
}
