//! The few requests that histories are made of, on one cluster.
//!
//! Produce requests are sent once and never again by themselves: whether a lost one was written is
//! the generator's business to find out. Everything else is idempotent and tried until it answers.

mod error;
mod topics;
mod transactions;

use std::time::Duration;

use bytes::Bytes;
use farlog_client::{
    Cluster, ClusterOptions, Connection, RequestError, SendError, ServerAddress, UnsupportedVersion,
};
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::fetch_response::PartitionData;
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::{ErrorCode, Request};
use tokio::time::{Instant, sleep};

use super::batch::{self, Codec, Stamp};
use super::record::LogRecord;
pub use error::HistoryError;
pub use transactions::Producer;

/// How long a request may wait on the broker's side.
const TIMEOUT_MS: i32 = 20_000;

/// How long a history waits for a cluster that restarts.
const PATIENCE: Duration = Duration::from_secs(150);

/// Between two looks at something that changes by itself.
const POLL: Duration = Duration::from_millis(50);

/// The newest versions that name topics by name, not by id.
const PRODUCE_VERSION_MAX: i16 = 12;
const FETCH_VERSION_MAX: i16 = 12;

/// Bytes of one fetch.
const FETCH_BYTES_MAX: i32 = 8 * 1024 * 1024;

/// `ListOffsets` timestamps with a meaning.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// One cluster, as a history sees it.
#[derive(Clone, Debug)]
pub struct Session {
    cluster: Cluster,
}

/// Where an acknowledged batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The time the broker gave it, if the topic has `LogAppendTime`.
    pub append_time_ms: Option<i64>,
}

/// Why a batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ProduceFailure {
    /// The broker refused it: it was not written.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// It may have been written.
    #[error("in doubt: {0}")]
    InDoubt(String),
}

// === impl Session ===

impl Session {
    /// Connects to the cluster behind `host:port,…`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(bootstrap: &str) -> Result<Session, HistoryError> {
        let servers = ServerAddress::parse_list(bootstrap)
            .map_err(|_| HistoryError::Bootstrap { bootstrap: bootstrap.to_owned() })?;
        let mut options = ClusterOptions::new(servers);
        options.connection.client_id = "farlog-history".to_owned();
        options.retry.give_up_after = PATIENCE;
        let cluster = Cluster::connect(options).await.map_err(|error| HistoryError::Connect {
            bootstrap: bootstrap.to_owned(),
            source: Box::new(error),
        })?;
        Ok(Session { cluster })
    }

    /// The client behind it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The offset of the first record that is still there.
    ///
    /// # Errors
    /// When the partition does not exist.
    pub async fn log_start(&self, topic: &str, partition: i32) -> Result<i64, HistoryError> {
        self.list_offset(topic, partition, EARLIEST).await
    }

    /// The offset behind the last record.
    ///
    /// # Errors
    /// When the partition does not exist.
    pub async fn log_end(&self, topic: &str, partition: i32) -> Result<i64, HistoryError> {
        self.list_offset(topic, partition, LATEST).await
    }

    async fn list_offset(
        &self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<i64, HistoryError> {
        let asked_for = ListOffsetsPartition {
            partition_index: partition,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic { name: topic.to_owned(), partitions: vec![asked_for] }],
            ..ListOffsetsRequest::default()
        };
        let what = || format!("listing an offset of {topic}-{partition}");
        let until = Instant::now() + PATIENCE;
        loop {
            let response = match self.cluster.send_leader(topic, partition, &request).await {
                Ok(response) => response,
                Err(error) if passes_by(&error) && Instant::now() < until => {
                    sleep(POLL).await;
                    continue;
                }
                Err(error) => return Err(asked(what())(error)),
            };
            let one = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let one = one.ok_or_else(|| HistoryError::Unanswered { what: what() })?;
            if !one.error_code.is_error() {
                return Ok(one.offset);
            }
            self.retry_or_fail(topic, one.error_code, until, what).await?;
        }
    }

    /// Fetches from an offset on; at `read_committed` the answer ends at the last stable offset and
    /// names the aborted transactions in it.
    ///
    /// # Errors
    /// When Kafka refuses, for instance because the offset is out of range.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        from_offset: i64,
        read_committed: bool,
    ) -> Result<PartitionData, HistoryError> {
        let asked_for = FetchPartition {
            partition,
            current_leader_epoch: -1,
            fetch_offset: from_offset,
            partition_max_bytes: FETCH_BYTES_MAX,
            ..FetchPartition::default()
        };
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 0,
            max_bytes: FETCH_BYTES_MAX,
            isolation_level: i8::from(read_committed),
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: topic.to_owned(),
                partitions: vec![asked_for],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let what = || format!("fetching {topic}-{partition} from {from_offset}");
        let until = Instant::now() + PATIENCE;
        loop {
            let connection = self.leader(topic, partition).await?;
            let version = version_up_to::<FetchRequest>(&connection, FETCH_VERSION_MAX, what)?;
            let response = match connection.send_version(&request, version).await {
                Ok(response) => response,
                Err(error) if Instant::now() < until => {
                    drop(error);
                    sleep(POLL).await;
                    continue;
                }
                Err(error) => return Err(asked(what())(error.into())),
            };
            let one = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
            let one = one.ok_or_else(|| HistoryError::Unanswered { what: what() })?;
            if !one.error_code.is_error() {
                return Ok(one);
            }
            self.retry_or_fail(topic, one.error_code, until, what).await?;
        }
    }

    /// Sends one batch, once.
    ///
    /// # Errors
    /// Whether it was written is known, or in doubt.
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        transactional_id: Option<&str>,
    ) -> Result<Acknowledged, ProduceFailure> {
        let request = ProduceRequest {
            transactional_id: transactional_id.map(str::to_owned),
            acks: -1,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(batch),
                }],
                ..TopicProduceData::default()
            }],
        };
        let doubt = |error: &dyn std::fmt::Display| ProduceFailure::InDoubt(error.to_string());
        let connection = self.leader(topic, partition).await.map_err(|error| doubt(&error))?;
        // Version 12 adds partitions to transactions by itself; 11 leaves that to the producer.
        let newest = if transactional_id.is_some() { 11 } else { PRODUCE_VERSION_MAX };
        let what = || format!("producing to {topic}-{partition}");
        let version = version_up_to::<ProduceRequest>(&connection, newest, what)
            .map_err(|error| doubt(&error))?;
        let sent = connection.send_version(&request, version).await;
        let response = sent.map_err(|error: SendError| {
            self.cluster.forget_topic(topic);
            doubt(&error)
        })?;
        let one = response.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
        let one = one.ok_or_else(|| doubt(&"the answer leaves the partition out"))?;
        match one.error_code {
            ErrorCode::NONE => Ok(Acknowledged {
                base_offset: one.base_offset,
                append_time_ms: (one.log_append_time_ms >= 0).then_some(one.log_append_time_ms),
            }),
            // It is in the leader's log, and may or may not stay there.
            ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
                Err(doubt(&one.error_code))
            }
            refused => {
                self.cluster.forget_topic(topic);
                Err(ProduceFailure::Refused(refused))
            }
        }
    }

    /// Writes records, uncompressed, in one batch.
    ///
    /// # Errors
    /// When the broker does not take them, or cannot be asked.
    pub async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: &[LogRecord],
        stamp: &Stamp,
    ) -> Result<Acknowledged, HistoryError> {
        self.append_compressed(topic, partition, records, stamp, Codec::NONE).await
    }

    /// Writes records in one batch.
    ///
    /// # Errors
    /// When the broker does not take them, or cannot be asked.
    pub async fn append_compressed(
        &self,
        topic: &str,
        partition: i32,
        records: &[LogRecord],
        stamp: &Stamp,
        codec: Codec,
    ) -> Result<Acknowledged, HistoryError> {
        let bytes = batch::encode(records, codec, stamp)?;
        let what = || format!("appending to {topic}-{partition}");
        let until = Instant::now() + PATIENCE;
        loop {
            match self.produce(topic, partition, bytes.clone(), None).await {
                Ok(acknowledged) => return Ok(acknowledged),
                Err(ProduceFailure::Refused(code)) => {
                    self.retry_or_fail(topic, code, until, what).await?;
                }
                Err(ProduceFailure::InDoubt(problem)) => {
                    return Err(HistoryError::Fixture { what: what(), problem });
                }
            }
        }
    }

    /// Waits before something is tried again.
    pub(super) async fn pause(&self) {
        sleep(POLL).await;
    }

    async fn leader(&self, topic: &str, partition: i32) -> Result<Connection, HistoryError> {
        let what = || format!("finding the leader of {topic}-{partition}");
        let until = Instant::now() + PATIENCE;
        loop {
            let found = match self.cluster.leader(topic, partition).await {
                Ok(leader) => match leader.name.id {
                    Some(id) => self.cluster.connection(id).await,
                    None => return Err(HistoryError::Unanswered { what: what() }),
                },
                Err(error) => Err(error),
            };
            match found {
                Ok(connection) => return Ok(connection),
                Err(error) if passes_by(&error) && Instant::now() < until => {
                    self.cluster.forget_topic(topic);
                    sleep(POLL).await;
                }
                Err(error) => return Err(asked(what())(error)),
            }
        }
    }

    async fn retry_or_fail(
        &self,
        topic: &str,
        code: ErrorCode,
        until: Instant,
        what: impl Fn() -> String,
    ) -> Result<(), HistoryError> {
        if !code.is_retriable() || Instant::now() >= until {
            return Err(HistoryError::Kafka { what: what(), code });
        }
        self.cluster.forget_topic(topic);
        sleep(POLL).await;
        Ok(())
    }
}

/// Asks again and again until something is so.
///
/// # Errors
/// When it is not within a minute, or asking fails.
pub(crate) async fn wait_until<F: Future<Output = Result<bool, HistoryError>>>(
    what: impl Fn() -> String,
    is_so: impl Fn() -> F,
) -> Result<(), HistoryError> {
    let until = Instant::now() + PATIENCE;
    while !is_so().await? {
        if Instant::now() >= until {
            return Err(HistoryError::Patience { what: what(), patience: PATIENCE });
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// A cluster whose only broker is not back yet lists neither it nor, for a moment, its topics.
fn passes_by(error: &RequestError) -> bool {
    let is_not_back =
        matches!(error, RequestError::UnknownBroker { .. } | RequestError::UnknownPartition { .. });
    is_not_back || error.is_retriable()
}

fn version_up_to<R: Request>(
    connection: &Connection,
    newest: i16,
    what: impl Fn() -> String,
) -> Result<i16, HistoryError> {
    let version = connection.version_of::<R>();
    let problem = |error: UnsupportedVersion| HistoryError::Fixture {
        what: what(),
        problem: error.to_string(),
    };
    Ok(version.map_err(problem)?.min(newest))
}

fn asked(what: String) -> impl FnOnce(RequestError) -> HistoryError {
    move |error| HistoryError::Request { what, source: Box::new(error) }
}
