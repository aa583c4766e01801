//! Producer ids: who is writing to a partition, and new ids.

use std::collections::BTreeMap;

use farlog_wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use farlog_wire::messages::describe_producers_response::{
    DescribeProducersResponse, ProducerState,
};
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::{ApiKey, ErrorCode};

use super::by_leader::{Answer, LeaderCall};
use crate::cluster::{Cluster, RequestError};
use crate::error::BrokerError;
use crate::topic_partition::TopicPartition;

/// A producer id that a partition remembers (KIP-664). A broker forgets it when the newest record
/// *timestamp* it wrote is older than `producer.id.expiration.ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// The id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// Sequence of its last record; -1 when it has only written markers.
    pub last_sequence: i32,
    /// Largest timestamp of its last batch, in milliseconds since 1970.
    pub last_timestamp: i64,
    /// Epoch of the transaction coordinator of its last marker; -1 when there is none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, if it has one.
    pub open_transaction_start: Option<i64>,
}

/// An id that the cluster has never given to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocatedProducerId {
    /// The id.
    pub producer_id: i64,
    /// Its first epoch.
    pub producer_epoch: i16,
}

struct DescribeProducers;

// === impl Cluster ===

impl Cluster {
    /// The producer ids that each partition remembers; needs Kafka 2.8 and READ on the topic.
    pub async fn describe_producers(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BTreeMap<TopicPartition, Result<Vec<ActiveProducer>, RequestError>> {
        let items = partitions.into_iter().map(|name| (name, ())).collect();
        self.ask_leaders(&DescribeProducers, items).await
    }

    /// Allocates a producer id for idempotent writing without transactions. A broker that has just
    /// started may have to fetch a block of ids first, and says so with a retriable code.
    pub async fn init_producer_id(&self) -> Result<AllocatedProducerId, RequestError> {
        // Without transactional id the timeout means nothing, but has to be positive.
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: self.broker_timeout_ms(),
            ..InitProducerIdRequest::default()
        };
        let mut retry = self.retry();
        loop {
            let (connection, response) = self.send_any_from(&request).await?;
            let code = response.error_code;
            if code == ErrorCode::NONE {
                return Ok(AllocatedProducerId {
                    producer_id: response.producer_id,
                    producer_epoch: response.producer_epoch,
                });
            }
            if !code.is_retriable() || !retry.wait().await {
                let (broker, api) = (connection.broker().clone(), ApiKey::InitProducerId);
                let (subject, message) = (String::new(), None);
                return Err(BrokerError { broker, api, subject, code, message }.into());
            }
        }
    }
}

// === impl ActiveProducer ===

impl ActiveProducer {
    fn new(state: &ProducerState) -> ActiveProducer {
        ActiveProducer {
            producer_id: state.producer_id,
            producer_epoch: state.producer_epoch,
            last_sequence: state.last_sequence,
            last_timestamp: state.last_timestamp,
            coordinator_epoch: state.coordinator_epoch,
            open_transaction_start: Some(state.current_txn_start_offset).filter(|at| *at >= 0),
        }
    }
}

// === impl LeaderCall ===

impl LeaderCall for DescribeProducers {
    type Item = ();
    type Output = Vec<ActiveProducer>;
    type Request = DescribeProducersRequest;

    fn request(&self, items: &[(TopicPartition, ())]) -> DescribeProducersRequest {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (name, ()) in items {
            topics.entry(&name.topic).or_default().push(name.partition);
        }
        let topics = topics.into_iter().map(|(name, partition_indexes)| TopicRequest {
            name: name.to_owned(),
            partition_indexes,
        });
        DescribeProducersRequest { topics: topics.collect() }
    }

    fn answers(&self, response: DescribeProducersResponse) -> Vec<Answer<Vec<ActiveProducer>>> {
        let topics = response.topics.into_iter();
        topics
            .flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| Answer {
                    topic: name.clone(),
                    partition: partition.partition_index,
                    code: partition.error_code,
                    message: partition.error_message,
                    value: partition.active_producers.iter().map(ActiveProducer::new).collect(),
                })
            })
            .collect()
    }
}
