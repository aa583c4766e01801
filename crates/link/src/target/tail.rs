//! What the target says about a mirror partition: log ends, our producer id, batch headers.

use bytes::Bytes;
use farlog_client::Cluster;
use farlog_wire::error_code::ErrorCode;
use farlog_wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::primitives::Uuid;
use farlog_wire::records::{BatchHeader, RawBatch, batches};

/// A partition on a broker that leads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Led<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) leader: i32,
    pub(crate) topic: &'a str,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// Why a question was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Kafka answered with an error for the partition.
    #[error("{api} of {topic}-{partition}: {code} ({})", .code.message())]
    Kafka { api: &'static str, topic: String, partition: i32, code: ErrorCode },
    /// The broker could not be asked.
    #[error("{0}")]
    Send(String),
    /// The answer does not hold what was asked for.
    #[error("{api} of {topic}-{partition}: the answer does not name the partition")]
    Missing { api: &'static str, topic: String, partition: i32 },
    /// The fetched bytes are no batches.
    #[error("fetch of {topic}-{partition} at {offset}: {why}")]
    Malformed { topic: String, partition: i32, offset: i64, why: String },
}

impl AskError {
    /// The error code, if Kafka gave one.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// What the leader remembers of one producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer_id: i64,
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp_ms: i64,
}

/// Special timestamps of ListOffsets.
pub(crate) const LATEST: i64 = -1;
/// See `LATEST`.
pub(crate) const EARLIEST: i64 = -2;

/// Which end of a log ListOffsets answers with for `LATEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogView {
    /// The high watermark.
    Uncommitted,
    /// The last stable offset.
    Committed,
    /// The leader's log end, acknowledged by the replicas or not.
    LogEnd,
}

/// Replica ids of ListOffsets: a consumer, and a debugging consumer, who sees the log end.
const REPLICA_CONSUMER: i32 = -1;
const REPLICA_DEBUGGING: i32 = -2;

impl Led<'_> {
    fn kafka(&self, api: &'static str, code: ErrorCode) -> Result<(), AskError> {
        if code == ErrorCode::NONE {
            return Ok(());
        }
        let topic = self.topic.to_owned();
        Err(AskError::Kafka { api, topic, partition: self.partition, code })
    }

    fn missing(&self, api: &'static str) -> AskError {
        AskError::Missing { api, topic: self.topic.to_owned(), partition: self.partition }
    }

    /// The first offset with `timestamp` or a later one, or one of the special timestamps; -1 if
    /// there is none.
    pub(crate) async fn offset(&self, timestamp: i64, view: LogView) -> Result<i64, AskError> {
        const API: &str = "ListOffsets";
        let request = ListOffsetsRequest {
            replica_id: match view {
                LogView::LogEnd => REPLICA_DEBUGGING,
                LogView::Uncommitted | LogView::Committed => REPLICA_CONSUMER,
            },
            isolation_level: i8::from(view == LogView::Committed),
            topics: vec![ListOffsetsTopic {
                name: self.topic.to_owned(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: self.partition,
                    current_leader_epoch: -1,
                    timestamp,
                }],
            }],
            ..ListOffsetsRequest::default()
        };
        let response = self.cluster.send_to(self.leader, &request).await.map_err(send_error)?;
        let partition = response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .find(|partition| partition.partition_index == self.partition)
            .ok_or_else(|| self.missing(API))?;
        self.kafka(API, partition.error_code)?;
        Ok(partition.offset)
    }

    /// The producer ids that the leader remembers.
    pub(crate) async fn producers(&self) -> Result<Vec<ProducerState>, AskError> {
        const API: &str = "DescribeProducers";
        let request = DescribeProducersRequest {
            topics: vec![TopicRequest {
                name: self.topic.to_owned(),
                partition_indexes: vec![self.partition],
            }],
        };
        let response = self.cluster.send_to(self.leader, &request).await.map_err(send_error)?;
        let partition = response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .find(|partition| partition.partition_index == self.partition)
            .ok_or_else(|| self.missing(API))?;
        self.kafka(API, partition.error_code)?;
        let state = |producer: &_| producer_state(producer);
        Ok(partition.active_producers.iter().map(state).collect())
    }

    /// The header of the batch that holds `offset`, or of the first one after it; `None` if there
    /// is none.
    pub(crate) async fn header_at(&self, offset: i64) -> Result<Option<BatchHeader>, AskError> {
        Ok(self.batch_at(offset).await?.map(|batch| batch.header))
    }

    /// The batch that holds `offset`, or the first one after it; `None` if there is none.
    pub(crate) async fn batch_at(&self, offset: i64) -> Result<Option<RawBatch>, AskError> {
        // The first batch comes whole, whatever the limit (KIP-74).
        match batches(self.fetch(offset, 1).await?).next() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(AskError::Malformed {
                topic: self.topic.to_owned(),
                partition: self.partition,
                offset,
                why: error.to_string(),
            }),
        }
    }

    /// The batches from the one that holds `offset` on, about `bytes_max` bytes of them.
    pub(crate) async fn fetch(&self, offset: i64, bytes_max: i32) -> Result<Bytes, AskError> {
        const API: &str = "Fetch";
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: bytes_max,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.topic.to_owned(),
                topic_id: self.topic_id,
                partitions: vec![FetchPartition {
                    partition: self.partition,
                    current_leader_epoch: -1,
                    fetch_offset: offset,
                    last_fetched_epoch: -1,
                    log_start_offset: -1,
                    partition_max_bytes: bytes_max,
                    ..FetchPartition::default()
                }],
            }],
            ..FetchRequest::default()
        };
        let response = self.cluster.send_to(self.leader, &request).await.map_err(send_error)?;
        self.kafka(API, response.error_code)?;
        let partition = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions)
            .find(|partition| partition.partition_index == self.partition)
            .ok_or_else(|| self.missing(API))?;
        self.kafka(API, partition.error_code)?;
        Ok(partition.records.unwrap_or_default())
    }
}

fn producer_state(
    producer: &farlog_wire::messages::describe_producers_response::ProducerState,
) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        last_sequence: producer.last_sequence,
        last_timestamp_ms: producer.last_timestamp,
    }
}

fn send_error(error: impl std::fmt::Display) -> AskError {
    AskError::Send(error.to_string())
}
