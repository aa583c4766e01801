//! Reading and writing a single partition without a lane: for internal topics and tools.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::fetch_response::{FetchResponse, PartitionData};
use farlog_wire::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use farlog_wire::records::{BatchError, OutgoingBatch, RawBatch, batches};
use farlog_wire::{ApiKey, ErrorCode, Uuid};

use crate::admin::{IsolationLevel, OffsetSpec};
use crate::cluster::{Cluster, RequestError};
use crate::connection::Connection;
use crate::error::BrokerError;
use crate::produce::{ProduceRequestBuilder, ProduceTopic};
use crate::topic_partition::TopicPartition;

/// From this version on, Fetch names topics by id (KIP-516).
const FETCH_TOPIC_IDS_FROM: i16 = 13;

/// A batch that a partition took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The log start offset, as the leader knew it.
    pub log_start_offset: i64,
}

/// One fetch from one partition.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    /// Which records count.
    pub isolation: IsolationLevel,
    /// How long the broker may wait for `min_bytes`.
    pub max_wait: Duration,
    /// How much is worth an answer.
    pub min_bytes: i32,
    /// How much the answer may hold; a first batch that is larger comes alone.
    pub max_bytes: i32,
}

/// What a fetch found.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Batches as the log has them, the last one perhaps cut off.
    pub records: Bytes,
    /// First offset that is not yet replicated to all in-sync replicas.
    pub high_watermark: i64,
    /// First offset of an open transaction, or the high watermark.
    pub last_stable_offset: i64,
    /// First offset of the log.
    pub log_start_offset: i64,
}

/// Why a partition could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What came back are no batches.
    #[error("{partition} at offset {offset}: {source}")]
    Batch {
        /// The partition.
        partition: TopicPartition,
        /// Where the fetch began.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
}

// === impl FetchOptions ===

impl Default for FetchOptions {
    fn default() -> Self {
        FetchOptions {
            isolation: IsolationLevel::ReadUncommitted,
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 1024 * 1024,
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Appends one batch with acks from all in-sync replicas, following the leader. After a lost
    /// connection it is sent again, so a batch without producer id can end up in the log twice.
    pub async fn produce_batch(
        &self,
        partition: &TopicPartition,
        batch: &OutgoingBatch,
    ) -> Result<Appended, RequestError> {
        let mut retry = self.retry();
        loop {
            match self.try_produce(partition, batch).await {
                Err(error) if error.is_retriable() => {
                    self.forget_topic(&partition.topic);
                    if !retry.wait().await {
                        return Err(error);
                    }
                    tracing::debug!(%partition, %error, "producing again");
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_produce(
        &self,
        partition: &TopicPartition,
        batch: &OutgoingBatch,
    ) -> Result<Appended, RequestError> {
        let (connection, id) = self.leader_connection(partition).await?;
        let timeout = Duration::from_millis(self.broker_timeout_ms().unsigned_abs().into());
        let mut request = ProduceRequestBuilder::new(timeout);
        let topic = ProduceTopic { name: partition.topic.clone(), id };
        request
            .insert(&topic, partition.partition, batch.clone())
            .expect("an empty request has room for any partition");
        let response = connection.produce(request).await?;
        let answer = only_produced(response)
            .ok_or_else(|| unanswered(&connection, ApiKey::Produce, partition))?;
        let (code, message) = (answer.error_code, answer.error_message);
        check(&connection, ApiKey::Produce, partition, code, message)?;
        let (base_offset, log_start_offset) = (answer.base_offset, answer.log_start_offset);
        Ok(Appended { base_offset, log_start_offset })
    }

    /// Fetches once from one partition, following the leader.
    pub async fn fetch(
        &self,
        partition: &TopicPartition,
        offset: i64,
        options: &FetchOptions,
    ) -> Result<Fetched, RequestError> {
        let mut retry = self.retry();
        loop {
            match self.try_fetch(partition, offset, options).await {
                Err(error) if error.is_retriable() => {
                    self.forget_topic(&partition.topic);
                    if !retry.wait().await {
                        return Err(error);
                    }
                    tracing::debug!(%partition, %error, "fetching again");
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_fetch(
        &self,
        partition: &TopicPartition,
        offset: i64,
        options: &FetchOptions,
    ) -> Result<Fetched, RequestError> {
        let (connection, id) = self.leader_connection(partition).await?;
        let mut version = connection.version_of::<FetchRequest>().map_err(|source| {
            crate::error::SendError::Unsupported { broker: connection.broker().clone(), source }
        })?;
        if id.is_none() {
            version = version.min(FETCH_TOPIC_IDS_FROM - 1);
        }
        let request = fetch_request(partition, id.unwrap_or_default(), offset, options);
        let response = connection.send_version(&request, version).await?;
        check(&connection, ApiKey::Fetch, partition, response.error_code, None)?;
        let answer = only_fetched(response)
            .ok_or_else(|| unanswered(&connection, ApiKey::Fetch, partition))?;
        check(&connection, ApiKey::Fetch, partition, answer.error_code, None)?;
        Ok(Fetched {
            records: answer.records.unwrap_or_default(),
            high_watermark: answer.high_watermark,
            last_stable_offset: answer.last_stable_offset,
            log_start_offset: answer.log_start_offset,
        })
    }

    /// Reads a partition from its first record to what is its end when the reading begins, batch
    /// by batch; `each` may end it early. Control batches are included. Answers with the offset
    /// behind the last batch: where a later fetch goes on.
    pub async fn read_to_end(
        &self,
        partition: &TopicPartition,
        options: &FetchOptions,
        mut each: impl FnMut(RawBatch) -> ControlFlow<()> + Send,
    ) -> Result<i64, ReadError> {
        let mut position = self.offset_of(partition, OffsetSpec::Earliest, options).await?;
        let end = self.offset_of(partition, OffsetSpec::Latest, options).await?;
        while position < end {
            let fetched = self.fetch(partition, position, options).await?;
            let from = position;
            for batch in batches(fetched.records) {
                let batch = batch.map_err(|source| {
                    let partition = partition.clone();
                    ReadError::Batch { partition, offset: from, source }
                })?;
                position = batch.header.next_offset();
                if each(batch).is_break() {
                    return Ok(position);
                }
            }
            // The rest of the log was compacted away: there is nothing between here and its end.
            if position == from {
                return Ok(end);
            }
        }
        Ok(position)
    }

    async fn offset_of(
        &self,
        partition: &TopicPartition,
        spec: OffsetSpec,
        options: &FetchOptions,
    ) -> Result<i64, RequestError> {
        let asked = [(partition.clone(), spec)];
        let mut listed = self.list_offsets(options.isolation, asked).await;
        let offset = listed.remove(partition).transpose()?.and_then(|listed| listed.offset);
        Ok(offset.unwrap_or(0))
    }

    async fn leader_connection(
        &self,
        partition: &TopicPartition,
    ) -> Result<(Connection, Option<Uuid>), RequestError> {
        let leader = self.leader(&partition.topic, partition.partition).await?;
        let metadata = self.cached_metadata();
        let id = metadata.topics.get(&*partition.topic).and_then(|topic| topic.topic_id);
        Ok((self.shared_connection(&leader.name).await?, id))
    }
}

fn fetch_request(
    partition: &TopicPartition,
    topic_id: Uuid,
    offset: i64,
    options: &FetchOptions,
) -> FetchRequest {
    let asked = FetchPartition {
        partition: partition.partition,
        fetch_offset: offset,
        partition_max_bytes: options.max_bytes,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: partition.topic.to_string(), topic_id, partitions: vec![asked] };
    FetchRequest {
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.min_bytes,
        max_bytes: options.max_bytes,
        isolation_level: options.isolation.code(),
        // No session: each request stands for itself (KIP-227).
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

fn only_produced(response: ProduceResponse) -> Option<PartitionProduceResponse> {
    response.responses.into_iter().next()?.partition_responses.into_iter().next()
}

fn only_fetched(response: FetchResponse) -> Option<PartitionData> {
    response.responses.into_iter().next()?.partitions.into_iter().next()
}

fn unanswered(connection: &Connection, api: ApiKey, partition: &TopicPartition) -> RequestError {
    let broker = connection.broker().clone();
    RequestError::Unanswered { broker, api, subject: partition.to_string() }
}

fn check(
    connection: &Connection,
    api: ApiKey,
    partition: &TopicPartition,
    code: ErrorCode,
    message: Option<String>,
) -> Result<(), RequestError> {
    if code == ErrorCode::NONE {
        return Ok(());
    }
    let (broker, subject) = (connection.broker().clone(), partition.to_string());
    Err(BrokerError { broker, api, subject, code, message }.into())
}
