//! A cluster as its brokers describe it.

use std::collections::BTreeMap;
use std::sync::Arc;

use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use farlog_wire::{ErrorCode, Uuid};

use crate::broker_name::{BrokerName, ServerAddress};

/// Which topics to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicSelection {
    /// Brokers and controller only.
    None,
    /// Every topic that we may see.
    All,
    /// These.
    Names(Vec<String>),
}

/// One answer: brokers, controller, and the topics that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterMetadata {
    /// The cluster's id; `None` only from brokers older than 0.10.1.
    pub cluster_id: Option<String>,
    /// Where controller requests go. With KRaft any broker will do and forwards them.
    pub controller_id: Option<i32>,
    /// Brokers by node id.
    pub brokers: BTreeMap<i32, BrokerMetadata>,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicMetadata>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerMetadata {
    /// Node id and advertised address.
    pub name: BrokerName,
    /// Rack or availability zone.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicMetadata {
    /// Name.
    pub name: Arc<str>,
    /// Topic id (KIP-516); `None` from brokers older than 2.8, or when the topic has none.
    pub topic_id: Option<Uuid>,
    /// `UNKNOWN_TOPIC_OR_PARTITION` when it does not exist; other codes as Kafka says.
    pub error: ErrorCode,
    /// `__consumer_offsets` and its like.
    pub is_internal: bool,
    /// Partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionMetadata {
    /// Node id of the leader; `None` while there is none.
    pub leader: Option<i32>,
    /// Leader epoch; -1 from brokers that do not tell.
    pub leader_epoch: i32,
    /// Node ids of all replicas, preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync replicas.
    pub in_sync_replicas: Vec<i32>,
    /// `LEADER_NOT_AVAILABLE` while there is none; other codes as Kafka says.
    pub error: ErrorCode,
}

// === impl TopicSelection ===

impl TopicSelection {
    /// A single topic.
    pub fn one(name: impl Into<String>) -> TopicSelection {
        TopicSelection::Names(vec![name.into()])
    }

    pub(super) fn request(&self) -> MetadataRequest {
        let topics = match self {
            TopicSelection::None => Some(Vec::new()),
            TopicSelection::All => None,
            TopicSelection::Names(names) => Some(
                names
                    .iter()
                    .map(|name| MetadataRequestTopic {
                        name: Some(name.clone()),
                        ..MetadataRequestTopic::default()
                    })
                    .collect(),
            ),
        };
        // Asking must never create a topic.
        MetadataRequest { topics, allow_auto_topic_creation: false, ..MetadataRequest::default() }
    }
}

// === impl ClusterMetadata ===

impl ClusterMetadata {
    /// Reads a response. Brokers whose port no address can have are left out; a hostile answer
    /// costs a broker that nobody can reach, not an error for all the others.
    pub(super) fn new(response: MetadataResponse) -> ClusterMetadata {
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let address = ServerAddress::new(broker.host, port);
            let name = BrokerName::node(broker.node_id, address);
            Some((broker.node_id, BrokerMetadata { name, rack: broker.rack }))
        });
        let topics = response.topics.into_iter().filter_map(|topic| {
            let name = topic.name.clone()?;
            Some((name.clone(), TopicMetadata::new(&name, topic)))
        });
        ClusterMetadata {
            cluster_id: response.cluster_id,
            controller_id: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: brokers.collect(),
            topics: topics.collect(),
        }
    }

    /// A topic that exists and could be described.
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name).filter(|topic| topic.error == ErrorCode::NONE)
    }

    /// The leader of a partition, where there is one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<&BrokerMetadata> {
        let leader = self.topics.get(topic)?.partitions.get(&partition)?.leader?;
        self.brokers.get(&leader)
    }
}

// === impl TopicMetadata ===

impl TopicMetadata {
    fn new(name: &str, topic: MetadataResponseTopic) -> TopicMetadata {
        TopicMetadata {
            name: name.into(),
            topic_id: (!topic.topic_id.is_zero()).then_some(topic.topic_id),
            error: topic.error_code,
            is_internal: topic.is_internal,
            partitions: topic
                .partitions
                .into_iter()
                .map(|partition| (partition.partition_index, PartitionMetadata::new(partition)))
                .collect(),
        }
    }
}

// === impl PartitionMetadata ===

impl PartitionMetadata {
    fn new(partition: MetadataResponsePartition) -> PartitionMetadata {
        PartitionMetadata {
            leader: (partition.leader_id >= 0).then_some(partition.leader_id),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes,
            in_sync_replicas: partition.isr_nodes,
            error: partition.error_code,
        }
    }
}
