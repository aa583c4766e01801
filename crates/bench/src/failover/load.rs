//! Numbered records at a steady rate, until the broker no longer answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use farlog_client::Connection;
use farlog_wire::records::{BatchWriter, ProducerStamp};
use tokio::time::{MissedTickBehavior, interval};

use crate::batches;
use crate::dataset::PARTITIONS;
use crate::error::BenchError;
use crate::load::now_ms;

/// How often every partition gets a batch.
const TICK: Duration = Duration::from_millis(10);

/// Records of one batch of the backlog.
const BACKLOG_BATCH: u64 = 500;

/// Bytes of a record's value, of which the first eight are its number.
const VALUE_BYTES: usize = 100;

const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many records each partition has for sure.
pub(super) type AcknowledgedRecords = Arc<[AtomicU64; PARTITIONS as usize]>;

/// Who writes the records, numbered in each partition from 0 on.
#[derive(Debug)]
pub(super) struct Load {
    connection: Connection,
    topic: String,
    /// Of the next record of every partition.
    number: u64,
    acknowledged: AcknowledgedRecords,
}

impl Load {
    /// Writes so many records, over all partitions.
    pub(super) async fn fill(
        connection: Connection,
        topic: &str,
        records: u64,
    ) -> Result<Load, BenchError> {
        let topic = topic.to_owned();
        let mut load = Load { connection, topic, number: 0, acknowledged: Arc::default() };
        while load.number * PARTITIONS as u64 <= records {
            load.send(BACKLOG_BATCH).await?;
        }
        Ok(load)
    }

    /// What is acknowledged, as it grows.
    pub(super) fn acknowledged(&self) -> AcknowledgedRecords {
        Arc::clone(&self.acknowledged)
    }

    /// Writes so many records a second until the broker no longer answers; how many there are then
    /// in all.
    pub(super) async fn keep(&mut self, rate: u64) -> u64 {
        let each = rate * TICK.as_millis() as u64 / 1_000 / PARTITIONS as u64;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            ticks.tick().await;
            if self.send(each.max(1)).await.is_err() {
                return self.number * PARTITIONS as u64;
            }
        }
    }

    async fn send(&mut self, each: u64) -> Result<(), BenchError> {
        let batch = batch(self.number, each)?;
        let partitions = (0..PARTITIONS).map(|partition| (partition, batch.clone()));
        let sent = batches::produce(&self.connection, &self.topic, partitions, ACKNOWLEDGE_TIMEOUT);
        let response = sent.await.map_err(BenchError::while_doing("cannot produce the load"))?;
        batches::check_produced(response)?;
        self.number += each;
        for records in self.acknowledged.iter() {
            records.store(self.number, Ordering::Release);
        }
        Ok(())
    }
}

fn batch(first: u64, count: u64) -> Result<Bytes, BenchError> {
    let mut writer = BatchWriter::new();
    let mut value = [b'.'; VALUE_BYTES];
    let now_ms = now_ms();
    for number in first..first + count {
        value[..8].copy_from_slice(&number.to_be_bytes());
        writer.push(now_ms, None, Some(&value), &[]);
    }
    let batch = writer.finish(ProducerStamp::NONE);
    Ok(batch.map_err(BenchError::while_doing("cannot build a batch"))?.to_bytes())
}

/// The number of a record.
pub(super) fn number(value: Option<&[u8]>) -> Result<u64, BenchError> {
    let bytes = value.and_then(|value| value.first_chunk());
    bytes
        .map(|bytes| u64::from_be_bytes(*bytes))
        .ok_or_else(|| BenchError::new("a record in the mirror that is not of the load"))
}
