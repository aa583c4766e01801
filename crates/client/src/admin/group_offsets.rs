//! What a group has committed, and committing for a group that has no members.

use std::collections::BTreeMap;

use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::messages::offset_commit_response::OffsetCommitResponse;
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use farlog_wire::messages::offset_fetch_response::OffsetFetchResponse;
use farlog_wire::{ApiKey, ErrorCode};

use super::topics::outcome;
use crate::cluster::{Cluster, RequestError, is_coordinator_moving};
use crate::error::BrokerError;
use crate::topic_partition::TopicPartition;

/// By topic names, all partitions, and stable offsets only (KIP-447): what later versions add is
/// many groups in one request, and topic ids instead of names. Every broker since 2.5 speaks it.
const FETCH_VERSION: i16 = 7;

/// By topic names; the version after it only packs strings tighter, and the latest one names
/// topics by id. Every broker since 2.3 speaks it.
const COMMIT_VERSION: i16 = 7;

/// A committed position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record read; `None` if it was not committed.
    pub leader_epoch: Option<i32>,
    /// What the group wrote beside it.
    pub metadata: String,
}

/// Partitions by topic.
type ByTopic = BTreeMap<String, Vec<i32>>;

impl Cluster {
    /// Everything that a group has committed, empty if there is no such group. Offsets that an open
    /// transaction is about to change are waited for.
    ///
    /// # Errors
    /// What the coordinator said, if it refuses the group or one of its partitions.
    pub async fn group_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, RequestError> {
        self.fetch_group_offsets(group, None).await
    }

    /// What a group has committed of some partitions, as [`group_offsets`](Self::group_offsets).
    ///
    /// # Errors
    /// What the coordinator said, if it refuses the group or one of the partitions.
    pub async fn group_offsets_of(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = &TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, RequestError> {
        let mut topics = ByTopic::new();
        for name in partitions {
            topics.entry(name.topic.to_string()).or_default().push(name.partition);
        }
        self.fetch_group_offsets(group, Some(topics)).await
    }

    /// Commits offsets for a group, as its administrator: the coordinator refuses them with
    /// `UNKNOWN_MEMBER_ID` while the group has members. Each partition has a result of its own.
    ///
    /// A `leader_epoch` of `None` lets any consumer resume there; one of another cluster makes Java
    /// consumers wait for it for ever.
    ///
    /// # Errors
    /// When the coordinator cannot be asked, or its answer leaves a partition out.
    pub async fn commit_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<BTreeMap<TopicPartition, Result<(), BrokerError>>, RequestError> {
        let request = commit_request(group, offsets);
        let mut retry = self.retry();
        loop {
            let coordinator = match self.group_coordinator(group).await {
                Err(error) if error.is_retriable() && retry.wait().await => continue,
                found => found?,
            };
            let response = coordinator.send_version(&request, COMMIT_VERSION).await?;
            let moving = commit_codes(&response).any(|(_, _, code)| is_coordinator_moving(code));
            if moving {
                self.forget_coordinator(group);
                if retry.wait().await {
                    continue;
                }
            }
            let mut results = BTreeMap::new();
            for (topic, partition, code) in commit_codes(&response) {
                let name = TopicPartition::new(topic, partition);
                let subject = format!("{group} of {name}");
                let result =
                    outcome(coordinator.broker(), ApiKey::OffsetCommit, &subject, code, None);
                results.insert(name, result);
            }
            return Ok(results);
        }
    }

    async fn fetch_group_offsets(
        &self,
        group: &str,
        topics: Option<ByTopic>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, RequestError> {
        let topics = topics.map(|topics| {
            let topic =
                |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes };
            topics.into_iter().map(topic).collect()
        });
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics,
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        let mut retry = self.retry();
        loop {
            let coordinator = match self.group_coordinator(group).await {
                Err(error) if error.is_retriable() && retry.wait().await => continue,
                found => found?,
            };
            let response = coordinator.send_version(&request, FETCH_VERSION).await?;
            let code = worst(&response);
            if matches!(code, ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) {
                self.forget_coordinator(group);
            }
            if code.is_retriable() && retry.wait().await {
                continue;
            }
            outcome(coordinator.broker(), ApiKey::OffsetFetch, group, code, None)?;
            return Ok(committed(response));
        }
    }
}

/// The first error of an answer.
fn worst(response: &OffsetFetchResponse) -> ErrorCode {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes = partitions.map(|partition| partition.error_code);
    std::iter::once(response.error_code)
        .chain(codes)
        .find(|code| *code != ErrorCode::NONE)
        .unwrap_or(ErrorCode::NONE)
}

fn commit_request(
    group: &str,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    // In the order of names, so that partitions of a topic are next to each other.
    for (name, committed) in offsets {
        let partition = OffsetCommitRequestPartition {
            partition_index: name.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(committed.metadata.clone()),
        };
        match topics.last_mut() {
            Some(last) if *last.name == *name.topic => last.partitions.push(partition),
            _ => topics.push(OffsetCommitRequestTopic {
                name: name.topic.to_string(),
                partitions: vec![partition],
                ..OffsetCommitRequestTopic::default()
            }),
        }
    }
    OffsetCommitRequest { group_id: group.to_owned(), topics, ..OffsetCommitRequest::default() }
}

fn commit_codes(response: &OffsetCommitResponse) -> impl Iterator<Item = (&str, i32, ErrorCode)> {
    response.topics.iter().flat_map(|topic| {
        let name = topic.name.as_str();
        topic.partitions.iter().map(move |one| (name, one.partition_index, one.error_code))
    })
}

fn committed(response: OffsetFetchResponse) -> BTreeMap<TopicPartition, CommittedOffset> {
    let mut found = BTreeMap::new();
    for topic in response.topics {
        // -1 is "nothing committed".
        for partition in topic.partitions.into_iter().filter(|one| one.committed_offset >= 0) {
            let name = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            let leader_epoch = Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0);
            let metadata = partition.metadata.unwrap_or_default();
            let offset = partition.committed_offset;
            found.insert(name, CommittedOffset { offset, leader_epoch, metadata });
        }
    }
    found
}
