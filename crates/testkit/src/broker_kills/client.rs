//! A client that asks again and again until it is answered, as real ones do.

use std::time::Duration;

use bytes::Bytes;
use farlog_client::admin::NewTopic;
use farlog_client::{ClientRequest, Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_wire::ErrorCode;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use farlog_wire::records::OutgoingBatch;
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use crate::history::HistoryError;

/// Between two attempts: short beside the start of a broker.
const POLL: Duration = Duration::from_millis(10);

/// The only broker's id.
const BROKER: i32 = 1;

/// Fetches offsets by the names of topics, and only stable ones if asked to (KIP-447).
const OFFSET_FETCH: i16 = 7;

/// The producer's epoch and id come with what a coordinator remembers of it.
const INIT_PRODUCER_ID: i16 = 4;

/// How long a transaction may stay open, in milliseconds: longer than any test.
const TRANSACTION_TIMEOUT_MS: i32 = 600_000;

#[derive(Clone, Debug)]
pub(super) struct Client {
    cluster: Cluster,
}

impl Client {
    pub(super) async fn connect(bootstrap: &str) -> Result<Client, HistoryError> {
        let servers = ServerAddress::parse_list(bootstrap)
            .map_err(|_| HistoryError::Bootstrap { bootstrap: bootstrap.to_owned() })?;
        let mut options = ClusterOptions::new(servers);
        options.retry.give_up_after = PATIENCE;
        options.retry.backoff_initial = POLL;
        options.retry.backoff_max = 2 * POLL;
        let cluster = Cluster::connect(options).await.map_err(|error| HistoryError::Connect {
            bootstrap: bootstrap.to_owned(),
            source: Box::new(error),
        })?;
        Ok(Client { cluster })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) async fn create_topic(&self, name: &str, count: i32) -> Result<(), HistoryError> {
        let what = || format!("making {name}");
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(count),
            replication_factor: Some(1),
            configs: Default::default(),
        };
        let made = self.cluster.create_topics(&[topic], false).await;
        let mut made = made
            .map_err(|source| HistoryError::Request { what: what(), source: Box::new(source) })?;
        match made.remove(name) {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                Err(HistoryError::Fixture { what: what(), problem: error.to_string() })
            }
            None => Err(HistoryError::Unanswered { what: what() }),
        }
    }

    /// Sends a request in a version until it is answered, and answered with nothing that passes.
    pub(super) async fn ask<R: ClientRequest>(
        &self,
        what: &str,
        request: &R,
        version: i16,
        code_of: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, HistoryError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let sent = match self.cluster.connection(BROKER).await {
                Ok(connection) => {
                    connection.send_version(request, version).await.map_err(Into::into)
                }
                Err(error) => Err(error),
            };
            let late = Instant::now() >= until;
            match sent {
                Ok(response) => match code_of(&response) {
                    ErrorCode::NONE => return Ok(response),
                    code if !passes(code) || late => {
                        return Err(HistoryError::Kafka { what: what.to_owned(), code });
                    }
                    _ => {}
                },
                Err(source) if late => {
                    let (what, source) = (what.to_owned(), Box::new(source));
                    return Err(HistoryError::Request { what, source });
                }
                Err(_) => {}
            }
            sleep(POLL).await;
        }
    }

    /// A new id and epoch; ends what is open of this transactional id.
    pub(super) async fn init_producer(
        &self,
        transactional_id: Option<&str>,
    ) -> Result<(i64, i16), HistoryError> {
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
        };
        let answer =
            self.ask("a producer id", &request, INIT_PRODUCER_ID, |answer| answer.error_code);
        let answer = answer.await?;
        Ok((answer.producer_id, answer.producer_epoch))
    }

    /// Appends a batch; where.
    pub(super) async fn produce_batch(
        &self,
        place: &TopicPartition,
        batch: &OutgoingBatch,
    ) -> Result<i64, HistoryError> {
        match self.cluster.produce_batch(place, batch).await {
            Ok(appended) => Ok(appended.base_offset),
            Err(source) => {
                let (what, source) = (format!("producing to {place}"), Box::new(source));
                Err(HistoryError::Request { what, source })
            }
        }
    }

    /// Batches of a partition from an offset on; nothing if there is nothing yet.
    pub(super) async fn fetch(
        &self,
        place: &TopicPartition,
        offset: i64,
    ) -> Result<Bytes, HistoryError> {
        let options = farlog_client::FetchOptions {
            max_wait: Duration::from_millis(50),
            max_bytes: 2_000,
            ..Default::default()
        };
        match self.cluster.fetch(place, offset, &options).await {
            Ok(fetched) => Ok(fetched.records),
            Err(source) => {
                let (what, source) = (format!("fetching {place}"), Box::new(source));
                Err(HistoryError::Request { what, source })
            }
        }
    }

    /// The offset that a group has committed, once no transaction can change it any more; -1 if it
    /// has none.
    pub(super) async fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<i64, HistoryError> {
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: Some(vec![OffsetFetchRequestTopic {
                name: topic.to_owned(),
                partition_indexes: vec![partition],
            }]),
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        let what = format!("the offset of {group}");
        let answer = self.ask(&what, &request, OFFSET_FETCH, |answer| {
            let partition = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
            match (answer.error_code, partition) {
                (ErrorCode::NONE, Some(partition)) => partition.error_code,
                (code, _) => code,
            }
        });
        let answer = answer.await?;
        let partition = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
        partition
            .map(|partition| partition.committed_offset)
            .ok_or(HistoryError::Unanswered { what })
    }
}

/// Whether an error is of those that clients wait for to pass.
fn passes(code: ErrorCode) -> bool {
    [
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::UNSTABLE_OFFSET_COMMIT,
        ErrorCode::REBALANCE_IN_PROGRESS,
    ]
    .contains(&code)
}
