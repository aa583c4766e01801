//! Idempotent and transactional producers, as Kafka's clients were before KIP-890: partitions are
//! added explicitly, and the epoch stays the same from one transaction to the next.

use farlog_client::{Connection, TopicSelection};
use farlog_wire::ErrorCode;
use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use tokio::time::{Instant, sleep};

use super::{HistoryError, PATIENCE, POLL, Session, asked, version_up_to};

/// `FindCoordinator` key type of a transactional id.
const TRANSACTION: i8 = 1;

/// The newest versions with the protocol described above.
const ADD_PARTITIONS_VERSION_MAX: i16 = 3;
const END_VERSION_MAX: i16 = 4;

/// One producer id and what it may write next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Allocated by the cluster.
    pub id: i64,
    /// Allocated by the cluster.
    pub epoch: i16,
    /// Set for transactional producers.
    pub transactional_id: Option<String>,
}

impl Session {
    /// A fresh producer id; for a transactional id this also fences its predecessor and aborts what
    /// that had open.
    ///
    /// # Errors
    /// When the cluster gives none.
    pub async fn init_producer(
        &self,
        transactional_id: Option<&str>,
        transaction_timeout_ms: i32,
    ) -> Result<Producer, HistoryError> {
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
        };
        let what = || format!("asking for a producer id ({transactional_id:?})");
        let until = Instant::now() + PATIENCE;
        loop {
            let response = match transactional_id {
                None => self.cluster().send_any(&request).await.map_err(asked(what()))?,
                Some(id) => {
                    let connection = self.transaction_coordinator(id).await?;
                    let newest = END_VERSION_MAX;
                    let version =
                        version_up_to::<InitProducerIdRequest>(&connection, newest, what)?;
                    match connection.send_version(&request, version).await {
                        Ok(response) => response,
                        Err(error) if Instant::now() < until => {
                            drop(error);
                            sleep(POLL).await;
                            continue;
                        }
                        Err(error) => return Err(asked(what())(error.into())),
                    }
                }
            };
            if !response.error_code.is_error() {
                return Ok(Producer {
                    id: response.producer_id,
                    epoch: response.producer_epoch,
                    transactional_id: transactional_id.map(str::to_owned),
                });
            }
            if !passes(response.error_code) || Instant::now() >= until {
                return Err(HistoryError::Kafka { what: what(), code: response.error_code });
            }
            sleep(POLL).await;
        }
    }

    /// Adds a partition to the producer's transaction; the first one begins it.
    ///
    /// # Errors
    /// When the cluster refuses, for instance because the transaction timed out.
    pub async fn add_to_transaction(
        &self,
        producer: &Producer,
        topic: &str,
        partition: i32,
    ) -> Result<(), HistoryError> {
        let transactional_id = producer.transactional_id.clone().unwrap_or_default();
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: transactional_id.clone(),
            v3_and_below_producer_id: producer.id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: topic.to_owned(),
                partitions: vec![partition],
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let what = || format!("adding {topic}-{partition} to a transaction of {transactional_id}");
        let request = &request;
        self.until_passed(&transactional_id, what, |connection: Connection| async move {
            let newest = ADD_PARTITIONS_VERSION_MAX;
            let version = version_up_to::<AddPartitionsToTxnRequest>(&connection, newest, what)?;
            let sent = connection.send_version(request, version).await;
            let response = sent.map_err(|error| asked(what())(error.into()))?;
            let topics = response.results_by_topic_v3_and_below.into_iter();
            let partition = topics.flat_map(|topic| topic.results_by_partition).next();
            let code = partition.map(|one| one.partition_error_code);
            code.ok_or_else(|| HistoryError::Unanswered { what: what() })
        })
        .await
    }

    /// Commits or aborts the producer's transaction. Asking again is harmless.
    ///
    /// # Errors
    /// When the cluster refuses, for instance because the transaction timed out.
    pub async fn end_transaction(
        &self,
        producer: &Producer,
        committed: bool,
    ) -> Result<(), HistoryError> {
        let transactional_id = producer.transactional_id.clone().unwrap_or_default();
        let request = EndTxnRequest {
            transactional_id: transactional_id.clone(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed,
        };
        let what = || format!("ending a transaction of {transactional_id} (commit: {committed})");
        let request = &request;
        self.until_passed(&transactional_id, what, |connection: Connection| async move {
            let version = version_up_to::<EndTxnRequest>(&connection, END_VERSION_MAX, what)?;
            let sent = connection.send_version(request, version).await;
            let response = sent.map_err(|error| asked(what())(error.into()))?;
            Ok(response.error_code)
        })
        .await
    }

    /// Sends to the coordinator until it neither fails nor asks to wait.
    async fn until_passed<F: Future<Output = Result<ErrorCode, HistoryError>>>(
        &self,
        transactional_id: &str,
        what: impl Fn() -> String,
        send: impl Fn(Connection) -> F,
    ) -> Result<(), HistoryError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let connection = self.transaction_coordinator(transactional_id).await?;
            match send(connection).await {
                Ok(ErrorCode::NONE) => return Ok(()),
                Ok(code) if !passes(code) || Instant::now() >= until => {
                    return Err(HistoryError::Kafka { what: what(), code });
                }
                Err(error) if Instant::now() >= until => return Err(error),
                Ok(_) | Err(_) => sleep(POLL / 10).await,
            }
        }
    }

    async fn transaction_coordinator(&self, id: &str) -> Result<Connection, HistoryError> {
        let what = || format!("finding the coordinator of transactional id {id}");
        let until = Instant::now() + PATIENCE;
        loop {
            let request = FindCoordinatorRequest {
                key: id.to_owned(),
                key_type: TRANSACTION,
                coordinator_keys: Vec::new(),
            };
            // Up to version 3 one key is asked for at a time.
            let node = self.cluster().cached_metadata().brokers.keys().next().copied();
            let answered = match node {
                Some(node) => match self.cluster().connection(node).await {
                    Ok(connection) => connection.send_version(&request, 3).await.ok(),
                    Err(_) => None,
                },
                // A cluster whose only broker is not back yet lists none.
                None => self.cluster().metadata(&TopicSelection::None).await.ok().and(None),
            };
            match answered {
                Some(found) if !found.error_code.is_error() => {
                    if let Ok(connection) = self.cluster().connection(found.node_id).await {
                        return Ok(connection);
                    }
                }
                Some(found) if !passes(found.error_code) => {
                    return Err(HistoryError::Kafka { what: what(), code: found.error_code });
                }
                _ => {}
            }
            if Instant::now() >= until {
                return Err(HistoryError::Patience { what: what(), patience: PATIENCE });
            }
            sleep(POLL).await;
        }
    }
}

/// Codes that go away by themselves.
fn passes(code: ErrorCode) -> bool {
    code.is_retriable()
        || code == ErrorCode::CONCURRENT_TRANSACTIONS
        || code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        || code == ErrorCode::COORDINATOR_NOT_AVAILABLE
        || code == ErrorCode::NOT_COORDINATOR
}
