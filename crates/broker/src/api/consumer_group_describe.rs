//! ConsumerGroupDescribe, versions 0 to 1 (KIP-848).
//!
//! - KIP-430: which operations the client may do is not computed.
//! - KIP-1099: all members are of the consumer protocol, which version 1 says.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use farlog_wire::messages::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};
use farlog_wire::{ErrorCode, Uuid, VersionRange};

use super::{OPERATIONS_UNKNOWN, RequestContext};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

/// The type of a member that uses the consumer protocol.
const CONSUMER_MEMBER: i8 = 1;
/// What version 0 cannot carry.
const UNKNOWN_MEMBER: i8 = -1;

pub(super) async fn handle(
    context: RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|group_id| describe(&context, group_id));
    let groups = groups.collect();
    ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
}

fn describe(context: &RequestContext, group_id: String) -> DescribedGroup {
    let groups = &context.broker.groups;
    let Some(group) = groups.describe_consumer(&group_id) else {
        let message = match groups.describe_classic(&group_id) {
            Some(_) => format!("Group {group_id} is not a consumer group."),
            None => format!("Group {group_id} not found."),
        };
        let (error_code, message) = match group_id.is_empty() {
            true => (ErrorCode::INVALID_GROUP_ID, None),
            false => (ErrorCode::GROUP_ID_NOT_FOUND, Some(message)),
        };
        return DescribedGroup {
            error_code,
            error_message: message,
            group_id,
            authorized_operations: OPERATIONS_UNKNOWN,
            ..DescribedGroup::default()
        };
    };
    let members = group.members.into_iter().map(|(member_id, member, target)| Member {
        member_id,
        instance_id: member.instance_id,
        rack_id: member.rack_id,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics.into_iter().collect(),
        subscribed_topic_regex: Some(member.pattern.unwrap_or_default()),
        // As Kafka has it: what it still has to give up is its own.
        assignment: assignment(context, &member.assigned | &member.pending_revocation),
        target_assignment: assignment(context, target),
        member_type: if context.version >= 1 { CONSUMER_MEMBER } else { UNKNOWN_MEMBER },
    });
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: group.assignor.to_owned(),
        members: members.collect(),
        authorized_operations: OPERATIONS_UNKNOWN,
        ..DescribedGroup::default()
    }
}

fn assignment(context: &RequestContext, partitions: BTreeSet<(Uuid, i32)>) -> Assignment {
    let mut topics = BTreeMap::<Uuid, Vec<i32>>::new();
    for (topic_id, partition) in partitions {
        topics.entry(topic_id).or_default().push(partition);
    }
    let topic_partitions = topics.into_iter().filter_map(|(topic_id, partitions)| {
        // A topic that was deleted meanwhile has no name.
        let topic_name = context.broker.catalog.topic_by_id(topic_id)?.name.clone();
        Some(TopicPartitions { topic_id, topic_name, partitions })
    });
    Assignment { topic_partitions: topic_partitions.collect() }
}
