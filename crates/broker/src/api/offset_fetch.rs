//! OffsetFetch, versions 1 to 10.
//!
//! - All offsets of a group from version 2 on. KIP-447: offsets of open transactions are not passed
//!   over if the client says so, from version 7 on.
//! - KIP-709: many groups at once from version 8 on. KIP-848: members' epochs from version 9 on.
//!   KIP-516: topics by id in version 10.

use farlog_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use farlog_wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use farlog_wire::{ErrorCode, Uuid, VersionRange};

use super::RequestContext;
use crate::groups::FetchedOffset;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 10 };

pub(super) async fn handle(
    context: RequestContext,
    mut request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let many = context.version >= 8;
    if !many {
        let topics = request.topics.take().map(|topics| {
            let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                topic_id: Uuid::default(),
                partition_indexes: topic.partition_indexes,
            });
            topics.collect()
        });
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: std::mem::take(&mut request.group_id),
            topics,
            ..OffsetFetchRequestGroup::default()
        }];
    }
    let groups = request.groups.into_iter();
    let groups = groups.map(|group| fetch(&context, group, request.require_stable));
    let mut groups: Vec<OffsetFetchResponseGroup> = groups.collect();
    if many {
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let one = groups.pop().unwrap_or_default();
    OffsetFetchResponse {
        topics: one.topics.into_iter().map(older).collect(),
        // Version 1 has no place for it, and no request that it concerns alone.
        error_code: if context.version >= 2 { one.error_code } else { ErrorCode::NONE },
        ..OffsetFetchResponse::default()
    }
}

fn fetch(
    context: &RequestContext,
    request: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let group_id = request.group_id;
    let catalog = &context.broker.catalog;
    let by_id = context.version >= 10;
    let mut unknown = Vec::new();
    let wanted = request.topics.map(|topics| {
        let mut known = Vec::new();
        for mut topic in topics {
            if by_id {
                match catalog.topic_by_id(topic.topic_id) {
                    Some(found) => topic.name = found.name.clone(),
                    None => {
                        unknown.push(refused(&topic, ErrorCode::UNKNOWN_TOPIC_ID));
                        continue;
                    }
                }
            }
            known.push((topic.name, topic.partition_indexes));
        }
        known
    });
    let member = (request.member_id.as_deref(), request.member_epoch);
    let fetched = context.broker.groups.fetch(&group_id, member, wanted, require_stable);
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(error_code) => {
            return OffsetFetchResponseGroup { group_id, error_code, topics: Vec::new() };
        }
    };
    let topics = fetched.into_iter().filter_map(|(name, partitions)| {
        let topic_id = match by_id {
            // Offsets of a topic that is gone cannot be named.
            true => catalog.topic(&name)?.id,
            false => Uuid::default(),
        };
        let partitions = partitions.into_iter().map(partition).collect();
        let name = if by_id { String::new() } else { name };
        Some(OffsetFetchResponseTopics { name, topic_id, partitions })
    });
    let topics = topics.chain(unknown).collect();
    OffsetFetchResponseGroup { group_id, topics, error_code: ErrorCode::NONE }
}

fn refused(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|&index| {
        let none = FetchedOffset::none(index);
        partition(FetchedOffset { error_code: code, ..none })
    });
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

fn partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(fetched.metadata),
        error_code: fetched.error_code,
    }
}

fn older(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|fetched| OffsetFetchResponsePartition {
        partition_index: fetched.partition_index,
        committed_offset: fetched.committed_offset,
        committed_leader_epoch: fetched.committed_leader_epoch,
        metadata: fetched.metadata,
        error_code: fetched.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}
