//! Writing to an internal topic of MirrorMaker 2: one partition, compacted, created by whoever
//! comes first.

use farlog_client::{Cluster, RequestError, TopicPartition, TopicSelection};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::records::{BatchError, BatchWriter, ProducerStamp};

use crate::apply::{InternalTopicError, ensure_internal_topic};
use crate::limits::MIRRORMAKER_BATCH_BYTES_MAX;

/// Why nothing could be written to it.
#[derive(Debug, thiserror::Error)]
pub enum InternalWriteError {
    /// The topic is not there and cannot be created.
    #[error("{0}")]
    Create(String),
    /// The cluster refused, or did not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A record that no batch can hold.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl From<InternalTopicError> for InternalWriteError {
    fn from(error: InternalTopicError) -> Self {
        let InternalTopicError::Refused { topic, refused } = error else {
            return InternalWriteError::Create(error.to_string());
        };
        let help = match refused.code {
            ErrorCode::INVALID_REPLICATION_FACTOR => {
                "; lower the replication factor that the file has for it"
            }
            _ => "",
        };
        InternalWriteError::Create(format!("cannot create topic {topic}: {refused}{help}"))
    }
}

/// A record without headers. There is always a value: Java's readers fail on a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyValue {
    pub(super) timestamp_ms: i64,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// An internal topic of MirrorMaker 2.
#[derive(Debug)]
pub(super) struct InternalTopic {
    cluster: Cluster,
    place: TopicPartition,
    replication_factor: i16,
    is_there: bool,
}

impl InternalTopic {
    pub(super) fn new(cluster: Cluster, name: &str, replication_factor: i16) -> Self {
        let place = TopicPartition::new(name, 0);
        Self { cluster, place, replication_factor, is_there: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.place.topic
    }

    /// Creates the topic if it is not there.
    pub(super) async fn ensure(&mut self) -> Result<(), InternalWriteError> {
        if self.is_there {
            return Ok(());
        }
        let asked = TopicSelection::one(&*self.place.topic);
        if self.cluster.metadata(&asked).await?.topic(&self.place.topic).is_none() {
            let factor = self.replication_factor;
            ensure_internal_topic(&self.cluster, &self.place.topic, 1, factor).await?;
        }
        self.is_there = true;
        Ok(())
    }

    /// Appends records in order. What fails may be there in part: every record stands for itself.
    pub(super) async fn append(&mut self, records: &[KeyValue]) -> Result<(), InternalWriteError> {
        self.ensure().await?;
        let mut rest = records;
        while !rest.is_empty() {
            let mut batch = BatchWriter::new();
            let mut count = 0;
            for record in rest {
                if count > 0 && batch.records_bytes() >= MIRRORMAKER_BATCH_BYTES_MAX {
                    break;
                }
                batch.push(record.timestamp_ms, Some(&record.key), Some(&record.value), &[]);
                count += 1;
            }
            let batch = batch.finish(ProducerStamp::NONE)?;
            if let Err(error) = self.cluster.produce_batch(&self.place, &batch).await {
                // Somebody may have deleted the topic.
                self.is_there = false;
                return Err(error.into());
            }
            rest = &rest[count..];
        }
        Ok(())
    }
}
