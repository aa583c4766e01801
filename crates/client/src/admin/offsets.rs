//! Offsets of partitions: where logs begin and end, by time and by leader epoch; deleting records.

use std::collections::BTreeMap;

use farlog_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use farlog_wire::messages::delete_records_response::DeleteRecordsResponse;
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::messages::list_offsets_response::ListOffsetsResponse;
use farlog_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use farlog_wire::messages::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;

use super::by_leader::{Answer, LeaderCall};
use crate::cluster::{Cluster, RequestError};
use crate::topic_partition::TopicPartition;

/// The replica id of a client that is no replica.
const NO_REPLICA: i32 = -1;

/// "Do not check my leader epoch."
const NO_EPOCH: i32 = -1;

/// Which records count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All of them, also those of open and aborted transactions.
    ReadUncommitted,
    /// Those before the last stable offset.
    ReadCommitted,
}

/// Which offset of a partition is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start offset.
    Earliest,
    /// The high watermark, or the last stable offset with [`IsolationLevel::ReadCommitted`].
    Latest,
    /// The first record with this timestamp (milliseconds since 1970) or a later one.
    AtOrAfter(i64),
    /// The record with the largest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
    /// The earliest offset on the broker's own disk (KIP-405, Kafka 3.4).
    EarliestLocal,
}

/// An offset as a leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` when no record matches.
    pub offset: Option<i64>,
    /// The timestamp of that record; `None` where the question was not about time.
    pub timestamp: Option<i64>,
    /// The leader epoch of that record; `None` from brokers that do not tell.
    pub leader_epoch: Option<i32>,
}

/// Where a leader epoch ends in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch not above the one asked for; `None` when the log has none.
    pub leader_epoch: Option<i32>,
    /// The first offset after it; `None` when the log has none.
    pub end_offset: Option<i64>,
}

struct ListOffsets(IsolationLevel);
struct EpochEnds;
struct DeleteRecords {
    timeout_ms: i32,
}

// === impl Cluster ===

impl Cluster {
    /// Offsets of partitions, as their leaders know them.
    pub async fn list_offsets(
        &self,
        isolation: IsolationLevel,
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> BTreeMap<TopicPartition, Result<ListedOffset, RequestError>> {
        self.ask_leaders(&ListOffsets(isolation), partitions.into_iter().collect()).await
    }

    /// Where the given leader epochs end (KIP-101, KIP-320): the way to find out whether a log was
    /// truncated and regrown.
    pub async fn offsets_for_leader_epoch(
        &self,
        epochs: impl IntoIterator<Item = (TopicPartition, i32)>,
    ) -> BTreeMap<TopicPartition, Result<EpochEnd, RequestError>> {
        self.ask_leaders(&EpochEnds, epochs.into_iter().collect()).await
    }

    /// Deletes the records before the given offsets (-1: all); answers with the new log start
    /// offsets.
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> BTreeMap<TopicPartition, Result<i64, RequestError>> {
        let call = DeleteRecords { timeout_ms: self.broker_timeout_ms() };
        self.ask_leaders(&call, before.into_iter().collect()).await
    }
}

// === impl OffsetSpec ===

impl OffsetSpec {
    /// `timestamp` of the request (`ListOffsetsRequest.json`).
    fn timestamp(self) -> i64 {
        match self {
            OffsetSpec::Latest => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::EarliestLocal => -4,
            OffsetSpec::AtOrAfter(timestamp) => timestamp,
        }
    }
}

// === impl IsolationLevel ===

impl IsolationLevel {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            IsolationLevel::ReadUncommitted => 0,
            IsolationLevel::ReadCommitted => 1,
        }
    }
}

/// Partitions grouped by topic, as requests want them.
fn by_topic<T: Clone, P>(
    items: &[(TopicPartition, T)],
    partition: impl Fn(i32, T) -> P,
) -> Vec<(String, Vec<P>)> {
    let mut topics: BTreeMap<&str, Vec<P>> = BTreeMap::new();
    for (name, item) in items {
        let partitions = topics.entry(&name.topic).or_default();
        partitions.push(partition(name.partition, item.clone()));
    }
    topics.into_iter().map(|(topic, partitions)| (topic.to_owned(), partitions)).collect()
}

// === impl LeaderCall ===

impl LeaderCall for ListOffsets {
    type Item = OffsetSpec;
    type Output = ListedOffset;
    type Request = ListOffsetsRequest;

    fn request(&self, items: &[(TopicPartition, OffsetSpec)]) -> ListOffsetsRequest {
        let topics = by_topic(items, |partition_index, spec: OffsetSpec| ListOffsetsPartition {
            partition_index,
            current_leader_epoch: NO_EPOCH,
            timestamp: spec.timestamp(),
        });
        let topics =
            topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name, partitions });
        ListOffsetsRequest {
            replica_id: NO_REPLICA,
            isolation_level: self.0.code(),
            topics: topics.collect(),
            ..ListOffsetsRequest::default()
        }
    }

    fn answers(&self, response: ListOffsetsResponse) -> Vec<Answer<ListedOffset>> {
        let topics = response.topics.into_iter();
        topics
            .flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| Answer {
                    topic: name.clone(),
                    partition: partition.partition_index,
                    code: partition.error_code,
                    message: None,
                    value: ListedOffset {
                        offset: known(partition.offset),
                        timestamp: known(partition.timestamp),
                        leader_epoch: known(partition.leader_epoch),
                    },
                })
            })
            .collect()
    }
}

impl LeaderCall for EpochEnds {
    type Item = i32;
    type Output = EpochEnd;
    type Request = OffsetForLeaderEpochRequest;

    fn request(&self, items: &[(TopicPartition, i32)]) -> OffsetForLeaderEpochRequest {
        let topics = by_topic(items, |partition, leader_epoch| OffsetForLeaderPartition {
            partition,
            current_leader_epoch: NO_EPOCH,
            leader_epoch,
        });
        let topics = topics
            .into_iter()
            .map(|(topic, partitions)| OffsetForLeaderTopic { topic, partitions });
        OffsetForLeaderEpochRequest { replica_id: NO_REPLICA, topics: topics.collect() }
    }

    fn answers(&self, response: OffsetForLeaderEpochResponse) -> Vec<Answer<EpochEnd>> {
        let topics = response.topics.into_iter();
        topics
            .flat_map(|topic| {
                let name = topic.topic;
                topic.partitions.into_iter().map(move |partition| Answer {
                    topic: name.clone(),
                    partition: partition.partition,
                    code: partition.error_code,
                    message: None,
                    value: EpochEnd {
                        leader_epoch: known(partition.leader_epoch),
                        end_offset: known(partition.end_offset),
                    },
                })
            })
            .collect()
    }
}

impl LeaderCall for DeleteRecords {
    type Item = i64;
    type Output = i64;
    type Request = DeleteRecordsRequest;

    fn request(&self, items: &[(TopicPartition, i64)]) -> DeleteRecordsRequest {
        let topics = by_topic(items, |partition_index, offset| DeleteRecordsPartition {
            partition_index,
            offset,
        });
        let topics =
            topics.into_iter().map(|(name, partitions)| DeleteRecordsTopic { name, partitions });
        DeleteRecordsRequest { topics: topics.collect(), timeout_ms: self.timeout_ms }
    }

    fn answers(&self, response: DeleteRecordsResponse) -> Vec<Answer<i64>> {
        let topics = response.topics.into_iter();
        topics
            .flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| Answer {
                    topic: name.clone(),
                    partition: partition.partition_index,
                    code: partition.error_code,
                    message: None,
                    value: partition.low_watermark,
                })
            })
            .collect()
    }
}

/// Kafka writes -1 where there is nothing to say.
fn known<T: PartialOrd + From<i8>>(value: T) -> Option<T> {
    (value >= T::from(0)).then_some(value)
}
