//! Writing checkpoints, from which `RemoteClusterUtils.translateOffsets` answers.
//!
//! It reads the whole topic for every answer, so nothing is written that is there already, and
//! never a tombstone: that would break it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use farlog_client::{Cluster, FetchOptions, ReadError, TopicPartition};
use farlog_wire::records::{BatchError, RawBatch, records};

use super::Checkpoint;
use super::internal_topic::{InternalTopic, InternalWriteError, KeyValue};
use super::record_bytes::TextTooLong;
use crate::limits::OBSERVED_BATCH_BYTES_MAX;

/// Why checkpoints could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// What is there could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is there is no batch.
    #[error("topic {topic}: {source}")]
    Batch {
        /// The topic of the checkpoints.
        topic: String,
        /// What is wrong.
        source: BatchError,
    },
    /// They could not be appended.
    #[error(transparent)]
    Write(#[from] InternalWriteError),
}

/// The checkpoints of one pair of clusters.
#[derive(Debug)]
pub struct CheckpointWriter {
    cluster: Cluster,
    topic: InternalTopic,
    place: TopicPartition,
    /// What is there, by key; `None` until it was read.
    known: Option<HashMap<Vec<u8>, Vec<u8>>>,
}

impl CheckpointWriter {
    /// Of the topic of this name in the target (see
    /// [`Pair::checkpoints_topic`](super::Pair::checkpoints_topic)), which is created with the
    /// first checkpoint if need be; a replication factor of -1 is the cluster's default.
    pub fn new(target: Cluster, topic: &str, replication_factor: i16) -> Self {
        Self {
            topic: InternalTopic::new(target.clone(), topic, replication_factor),
            place: TopicPartition::new(topic, 0),
            cluster: target,
            known: None,
        }
    }

    /// Writes those that say something new, in one go, and tells how many they were. The first call
    /// reads what is there. A checkpoint that no record can hold (a name or metadata of more than
    /// 32767 bytes) is left out with a warning.
    ///
    /// # Errors
    /// When the topic cannot be read or written; nothing is remembered then, and all may be tried
    /// again.
    pub async fn write(
        &mut self,
        checkpoints: &[Checkpoint],
        now_ms: i64,
    ) -> Result<usize, CheckpointError> {
        if self.known.is_none() {
            self.topic.ensure().await?;
            self.known = Some(self.read().await?);
        }
        let known = self.known.get_or_insert_default();
        // Of several for one key the last one counts.
        let mut new: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let mut order = Vec::new();
        for checkpoint in checkpoints {
            match bytes(checkpoint) {
                Ok((key, value)) => {
                    if !new.contains_key(&key) {
                        order.push(key.clone());
                    }
                    new.insert(key, value);
                }
                Err(error) => {
                    let (group, topic) = (&checkpoint.group, &checkpoint.topic);
                    tracing::warn!(group, topic, %error, "no checkpoint can be written");
                }
            }
        }
        new.retain(|key, value| known.get(key) != Some(value));
        let records = order.into_iter().filter_map(|key| {
            let value = new.get(&key)?.clone();
            Some(KeyValue { timestamp_ms: now_ms, key, value })
        });
        let records: Vec<KeyValue> = records.collect();
        if records.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.topic.append(&records).await {
            // Some may be there.
            self.known = None;
            return Err(error.into());
        }
        known.extend(new);
        Ok(records.len())
    }

    async fn read(&self) -> Result<HashMap<Vec<u8>, Vec<u8>>, CheckpointError> {
        let mut found = HashMap::new();
        let mut wrong = None;
        let options = FetchOptions::default();
        let reading = self.cluster.read_to_end(&self.place, &options, |batch| {
            match add(&mut found, &batch) {
                Ok(()) => ControlFlow::Continue(()),
                Err(source) => {
                    wrong = Some(source);
                    ControlFlow::Break(())
                }
            }
        });
        reading.await?;
        match wrong {
            None => Ok(found),
            Some(source) => {
                let topic = self.place.topic.to_string();
                Err(CheckpointError::Batch { topic, source })
            }
        }
    }
}

fn bytes(checkpoint: &Checkpoint) -> Result<(Vec<u8>, Vec<u8>), TextTooLong> {
    Ok((checkpoint.key()?, checkpoint.value()?))
}

fn add(found: &mut HashMap<Vec<u8>, Vec<u8>>, batch: &RawBatch) -> Result<(), BatchError> {
    if batch.header.attributes.is_control() {
        return Ok(());
    }
    let plain = batch.decompressed(OBSERVED_BATCH_BYTES_MAX)?;
    for record in records(&plain)? {
        if let (Some(key), Some(value)) = (record.key, record.value) {
            found.insert(key.to_vec(), value.to_vec());
        }
    }
    Ok(())
}
