//! What a group has committed.

use std::collections::BTreeMap;

use farlog_wire::messages::offset_fetch_request::OffsetFetchRequest;
use farlog_wire::messages::offset_fetch_response::OffsetFetchResponse;
use farlog_wire::{ApiKey, ErrorCode};

use super::topics::outcome;
use crate::cluster::{Cluster, RequestError};
use crate::topic_partition::TopicPartition;

/// By topic names, all partitions, and stable offsets only (KIP-447): what later versions add is
/// many groups in one request, and topic ids instead of names. Every broker since 2.5 speaks it.
const VERSION: i16 = 7;

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
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: None,
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        let mut retry = self.retry();
        loop {
            let coordinator = match self.group_coordinator(group).await {
                Err(error) if error.is_retriable() && retry.wait().await => continue,
                found => found?,
            };
            let response = coordinator.send_version(&request, VERSION).await?;
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
