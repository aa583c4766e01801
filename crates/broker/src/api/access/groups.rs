//! Who may be in groups, look at them, and say how far they are.

use farlog_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use farlog_wire::messages::consumer_group_describe_response::{
    self, ConsumerGroupDescribeResponse, Member,
};
use farlog_wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use farlog_wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use farlog_wire::messages::delete_groups_request::DeleteGroupsRequest;
use farlog_wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use farlog_wire::messages::describe_groups_request::DescribeGroupsRequest;
use farlog_wire::messages::describe_groups_response::{self, DescribeGroupsResponse};
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::heartbeat_response::HeartbeatResponse;
use farlog_wire::messages::join_group_request::JoinGroupRequest;
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::messages::leave_group_request::LeaveGroupRequest;
use farlog_wire::messages::leave_group_response::LeaveGroupResponse;
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::messages::list_groups_response::ListGroupsResponse;
use farlog_wire::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic};
use farlog_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use farlog_wire::messages::offset_delete_request::OffsetDeleteRequest;
use farlog_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use farlog_wire::messages::offset_fetch_request::OffsetFetchRequest;
use farlog_wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use farlog_wire::messages::sync_group_request::SyncGroupRequest;
use farlog_wire::messages::sync_group_response::SyncGroupResponse;
use farlog_wire::{ErrorCode, Uuid};

use super::super::{GROUP_OPERATIONS, OPERATIONS_UNKNOWN};
use super::{Access, Authorize, Verdict};
use crate::security::acl::{Operation, ResourceType};

const CODE: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const TOPIC_CODE: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

impl Authorize for JoinGroupRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<JoinGroupResponse> {
        Verdict::all_or(access.group(Operation::Read, &self.group_id), || JoinGroupResponse {
            error_code: CODE,
            generation_id: -1,
            protocol_name: (access.version < 7).then(String::new),
            ..JoinGroupResponse::default()
        })
    }
}

impl Authorize for SyncGroupRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<SyncGroupResponse> {
        let may = access.group(Operation::Read, &self.group_id);
        Verdict::all_or(may, || SyncGroupResponse { error_code: CODE, ..Default::default() })
    }
}

impl Authorize for HeartbeatRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<HeartbeatResponse> {
        let may = access.group(Operation::Read, &self.group_id);
        Verdict::all_or(may, || HeartbeatResponse { error_code: CODE, ..Default::default() })
    }
}

impl Authorize for LeaveGroupRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<LeaveGroupResponse> {
        let may = access.group(Operation::Read, &self.group_id);
        Verdict::all_or(may, || LeaveGroupResponse { error_code: CODE, ..Default::default() })
    }
}

impl Authorize for ConsumerGroupHeartbeatRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ConsumerGroupHeartbeatResponse> {
        let mut topics = self.subscribed_topic_names.iter().flatten();
        let error_code = if !access.group(Operation::Read, &self.group_id) {
            CODE
        } else if topics.any(|topic| !access.topic(Operation::Describe, topic)) {
            TOPIC_CODE
        } else {
            return Verdict::Allowed;
        };
        Verdict::Refused(ConsumerGroupHeartbeatResponse {
            error_code,
            error_message: Some(error_code.message().to_owned()),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }
}

impl Authorize for ConsumerGroupDescribeRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ConsumerGroupDescribeResponse> {
        use consumer_group_describe_response::DescribedGroup;
        let refused =
            self.group_ids.extract_if(.., |group| !access.group(Operation::Describe, group));
        let refused: Vec<DescribedGroup> = refused
            .map(|group_id| DescribedGroup {
                error_code: CODE,
                error_message: Some(CODE.message().to_owned()),
                group_id,
                authorized_operations: OPERATIONS_UNKNOWN,
                ..DescribedGroup::default()
            })
            .collect();
        let access = access.clone();
        Verdict::after(move |response: &mut ConsumerGroupDescribeResponse| {
            for group in &mut response.groups {
                if !group.members.iter().all(|member| sees_topics_of(&access, member)) {
                    group.error_code = TOPIC_CODE;
                    group.error_message = Some(
                        "The group has described topic(s) that the client is not authorized to \
                         describe."
                            .to_owned(),
                    );
                    group.members.clear();
                }
            }
            response.groups.extend(refused);
        })
    }
}

fn sees_topics_of(access: &Access, member: &Member) -> bool {
    let assigned = [&member.assignment, &member.target_assignment];
    let assigned = assigned.into_iter().flat_map(|assignment| &assignment.topic_partitions);
    let mut names =
        member.subscribed_topic_names.iter().chain(assigned.map(|topic| &topic.topic_name));
    names.all(|name| access.topic(Operation::Describe, name))
}

impl Authorize for DescribeGroupsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeGroupsResponse> {
        use describe_groups_response::DescribedGroup;
        let refused = self.groups.extract_if(.., |group| !access.group(Operation::Describe, group));
        let refused: Vec<DescribedGroup> = refused
            .map(|group_id| DescribedGroup {
                error_code: CODE,
                error_message: (access.version >= 6).then(|| CODE.message().to_owned()),
                group_id,
                authorized_operations: OPERATIONS_UNKNOWN,
                ..DescribedGroup::default()
            })
            .collect();
        let access = access.clone();
        Verdict::after(move |response: &mut DescribeGroupsResponse| {
            for group in &mut response.groups {
                if group.authorized_operations != OPERATIONS_UNKNOWN {
                    let (kind, name) = (ResourceType::Group, &group.group_id);
                    group.authorized_operations = access.operations(kind, name, GROUP_OPERATIONS);
                }
            }
            response.groups.extend(refused);
        })
    }
}

impl Authorize for ListGroupsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ListGroupsResponse> {
        if access.cluster(Operation::Describe) {
            return Verdict::Allowed;
        }
        let access = access.clone();
        Verdict::after(move |response: &mut ListGroupsResponse| {
            response.groups.retain(|group| access.group(Operation::Describe, &group.group_id));
        })
    }
}

impl Authorize for DeleteGroupsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DeleteGroupsResponse> {
        let refused =
            self.groups_names.extract_if(.., |group| !access.group(Operation::Delete, group));
        let refused =
            refused.map(|group_id| DeletableGroupResult { group_id, error_code: CODE }).collect();
        Verdict::without(refused, |response: &mut DeleteGroupsResponse, refused| {
            response.results.extend(refused);
        })
    }
}

fn refused_commit(
    topic: &OffsetCommitRequestTopic,
    error_code: ErrorCode,
) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code,
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

impl Authorize for OffsetCommitRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<OffsetCommitResponse> {
        if !access.group(Operation::Read, &self.group_id) {
            let topics = self.topics.iter().map(|topic| refused_commit(topic, CODE)).collect();
            return Verdict::Refused(OffsetCommitResponse { topics, ..Default::default() });
        }
        let refused = self
            .topics
            .extract_if(.., |topic| !access.named(Operation::Read, &topic.name, topic.topic_id));
        let refused = refused.map(|topic| refused_commit(&topic, TOPIC_CODE)).collect();
        Verdict::without(refused, |response: &mut OffsetCommitResponse, refused| {
            response.topics.extend(refused);
        })
    }
}

impl Authorize for OffsetDeleteRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<OffsetDeleteResponse> {
        if !access.group(Operation::Delete, &self.group_id) {
            return Verdict::Refused(OffsetDeleteResponse {
                error_code: CODE,
                ..OffsetDeleteResponse::default()
            });
        }
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Read, &topic.name));
        let refused = refused.map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| OffsetDeleteResponsePartition {
                partition_index: asked.partition_index,
                error_code: TOPIC_CODE,
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic { partitions, name: topic.name }
        });
        Verdict::without(refused.collect(), |response: &mut OffsetDeleteResponse, refused| {
            response.topics.extend(refused);
        })
    }
}

impl Authorize for OffsetFetchRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<OffsetFetchResponse> {
        match access.version < 8 {
            true => one_group(self, access),
            false => many_groups(self, access),
        }
    }
}

fn one_group(request: &mut OffsetFetchRequest, access: &Access) -> Verdict<OffsetFetchResponse> {
    let refused = |name: String, indexes: &[i32], error_code| {
        let partitions = indexes.iter().map(|&partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code,
        });
        OffsetFetchResponseTopic { name, partitions: partitions.collect() }
    };
    if !access.group(Operation::Describe, &request.group_id) {
        let topics = request.topics.take().into_iter().flatten();
        // Version 1 has no other place for it.
        let topics = topics.filter(|_| access.version < 2);
        let topics = topics.map(|topic| refused(topic.name, &topic.partition_indexes, CODE));
        return Verdict::Refused(OffsetFetchResponse {
            topics: topics.collect(),
            error_code: if access.version < 2 { ErrorCode::NONE } else { CODE },
            ..OffsetFetchResponse::default()
        });
    }
    let topics = request.topics.iter_mut().flat_map(|topics| {
        topics.extract_if(.., |topic| !access.topic(Operation::Describe, &topic.name))
    });
    let refused: Vec<OffsetFetchResponseTopic> =
        topics.map(|topic| refused(topic.name, &topic.partition_indexes, TOPIC_CODE)).collect();
    let access = access.clone();
    Verdict::after(move |response: &mut OffsetFetchResponse| {
        response.topics.retain(|topic| access.topic(Operation::Describe, &topic.name));
        response.topics.extend(refused);
    })
}

fn many_groups(request: &mut OffsetFetchRequest, access: &Access) -> Verdict<OffsetFetchResponse> {
    let refused =
        request.groups.extract_if(.., |group| !access.group(Operation::Describe, &group.group_id));
    let refused: Vec<OffsetFetchResponseGroup> = refused
        .map(|group| OffsetFetchResponseGroup {
            group_id: group.group_id,
            topics: Vec::new(),
            error_code: CODE,
        })
        .collect();
    let mut refused_topics = Vec::new();
    for group in &mut request.groups {
        let topics = group.topics.iter_mut().flat_map(|topics| {
            topics.extract_if(.., |topic| {
                !access.named(Operation::Describe, &topic.name, topic.topic_id)
            })
        });
        for topic in topics {
            let partitions = topic.partition_indexes.iter();
            let partitions = partitions.map(|&partition_index| OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: -1,
                committed_leader_epoch: -1,
                metadata: Some(String::new()),
                error_code: TOPIC_CODE,
            });
            refused_topics.push((
                group.group_id.clone(),
                OffsetFetchResponseTopics {
                    partitions: partitions.collect(),
                    name: topic.name,
                    topic_id: topic.topic_id,
                },
            ));
        }
    }
    let access = access.clone();
    Verdict::after(move |response: &mut OffsetFetchResponse| {
        for group in &mut response.groups {
            group.topics.retain(|topic| sees(&access, &topic.name, topic.topic_id));
        }
        for (group_id, topic) in refused_topics {
            let mut groups = response.groups.iter_mut();
            if let Some(group) = groups.find(|group| group.group_id == group_id) {
                group.topics.push(topic);
            }
        }
        response.groups.extend(refused);
    })
}

fn sees(access: &Access, name: &str, id: Uuid) -> bool {
    access.named(Operation::Describe, name, id)
}
