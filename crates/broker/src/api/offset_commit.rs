//! OffsetCommit, versions 2 to 10.
//!
//! - KIP-320: leader epochs from version 6 on. KIP-345: static members from version 7 on.
//! - KIP-848: version 9 says what is stale. KIP-516: topics by id in version 10.
//! - A retention of its own, which clients of 2018 could ask for, is not kept.

use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use farlog_wire::{ErrorCode, Uuid, VersionRange};

use super::RequestContext;
use crate::catalog::Topic;
use crate::groups::limits::OFFSET_METADATA_BYTES_MAX;
use crate::groups::{Committer, NewOffset};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 2, max: 10 };

/// From this version on clients know of members' epochs.
const KNOWS_EPOCHS: i16 = 9;

pub(super) async fn handle(
    context: RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let mut offsets = Vec::new();
    let topics = request.topics.into_iter().map(|topic| check(&context, topic, &mut offsets));
    let mut topics: Vec<OffsetCommitResponseTopic> = topics.collect();
    let committer = Committer {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id_or_member_epoch,
        is_transactional: false,
    };
    if !offsets.is_empty()
        && let Err(code) = commit(&context, &request.group_id, &committer, &offsets).await
    {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.error_code == ErrorCode::NONE {
                partition.error_code = code;
            }
        }
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}

async fn commit(
    context: &RequestContext,
    group: &str,
    committer: &Committer,
    offsets: &[NewOffset],
) -> Result<(), ErrorCode> {
    let (groups, version) = (&context.broker.groups, context.version);
    if version < KNOWS_EPOCHS && committer.generation >= 0 && groups.has_consumers(group) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let committed = groups.commit(&context.broker.catalog, group, committer, offsets).await;
    committed.map_err(|code| in_version(code, version))
}

/// Clients of before that version know of generations only.
fn in_version(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::STALE_MEMBER_EPOCH if version < KNOWS_EPOCHS => ErrorCode::UNSUPPORTED_VERSION,
        ErrorCode::GROUP_ID_NOT_FOUND if version < KNOWS_EPOCHS => ErrorCode::ILLEGAL_GENERATION,
        code => code,
    }
}

/// Adds what may be committed to `offsets`, and makes the answer for when it is.
fn check(
    context: &RequestContext,
    topic: OffsetCommitRequestTopic,
    offsets: &mut Vec<NewOffset>,
) -> OffsetCommitResponseTopic {
    let catalog = &context.broker.catalog;
    let by_id = topic.topic_id != Uuid::default();
    let (known, missing) = match by_id {
        true => (catalog.topic_by_id(topic.topic_id), ErrorCode::UNKNOWN_TOPIC_ID),
        false => (catalog.topic(&topic.name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    };
    let check = |partition: &OffsetCommitRequestPartition| {
        let known = known.as_ref().ok_or(missing)?;
        checked(
            known,
            NewOffset {
                topic: known.name.clone(),
                topic_id: known.id,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.clone().unwrap_or_default(),
            },
        )
    };
    let partitions = topic.partitions.iter().map(|partition| {
        let error_code = match check(partition) {
            Ok(offset) => {
                offsets.push(offset);
                ErrorCode::NONE
            }
            Err(code) => code,
        };
        OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code }
    });
    let partitions = partitions.collect();
    OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions }
}

/// An offset that may be committed for a topic: its partition is there, and its metadata is not
/// too large. For offsets of transactions, too.
pub(super) fn checked(topic: &Topic, offset: NewOffset) -> Result<NewOffset, ErrorCode> {
    topic.partition(offset.partition)?;
    if offset.metadata.len() > OFFSET_METADATA_BYTES_MAX {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(offset)
}
