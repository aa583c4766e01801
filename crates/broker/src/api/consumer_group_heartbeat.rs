//! ConsumerGroupHeartbeat, versions 0 to 1 (KIP-848).
//!
//! - Assignors `uniform` and `range`. Racks are kept and described, and change nothing: there is
//!   one broker.
//! - KIP-1082: members make up their own ids in version 1.
//! - A group changes its protocol when nobody is in it: members of the other one are refused with
//!   `GROUP_ID_NOT_FOUND`, as by Kafka with `group.consumer.migration.policy=disabled`.
//! - Subscriptions by pattern: the `regex` crate's dialect is that of RE2, as of Kafka's RE2/J.
//!   What a pattern stands for is looked up with a heartbeat, not in the background.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use farlog_wire::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use farlog_wire::{ErrorCode, Uuid, VersionRange};

use super::RequestContext;
use crate::groups::ConsumerHeartbeatRequest;
use crate::groups::limits::MEMBER_METADATA_BYTES_MAX;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

/// The epoch of a static member that leaves for a while.
const LEAVES_FOR_A_WHILE: i32 = -2;

pub(super) async fn handle(
    context: RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if let Err((error_code, message)) = check(&request, context.version) {
        return refused(error_code, message.to_owned());
    }
    let owned = request.topic_partitions.map(|topics| {
        let pairs = topics.into_iter().flat_map(|topic| {
            topic.partitions.into_iter().map(move |partition| (topic.topic_id, partition))
        });
        pairs.collect()
    });
    let heartbeat = ConsumerHeartbeatRequest {
        group: request.group_id,
        member_id: request.member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: context.client_host(),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|&timeout| timeout >= 0),
        topics: request.subscribed_topic_names.map(|names| names.into_iter().collect()),
        pattern: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
    };
    let broker = &context.broker;
    match broker.groups.consumer_heartbeat(&broker.catalog, heartbeat).await {
        Ok(answer) => ConsumerGroupHeartbeatResponse {
            member_id: Some(answer.member_id),
            member_epoch: answer.epoch,
            heartbeat_interval_ms: answer.heartbeat_interval_ms,
            assignment: answer.assignment.map(by_topic),
            ..ConsumerGroupHeartbeatResponse::default()
        },
        Err((error_code, message)) => refused(error_code, message),
    }
}

fn refused(error_code: ErrorCode, message: String) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code,
        error_message: Some(message),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// What Kafka wants of the form of a request.
fn check(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
) -> Result<(), (ErrorCode, &'static str)> {
    let refuse = |message| Err((ErrorCode::INVALID_REQUEST, message));
    let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    let names = request.subscribed_topic_names.iter().flatten();
    let has_pattern =
        request.subscribed_topic_regex.as_ref().is_some_and(|pattern| !pattern.is_empty());
    if request.group_id.is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if is_empty(&request.instance_id) {
        return refuse("InstanceId can't be empty.");
    }
    if is_empty(&request.rack_id) {
        return refuse("RackId can't be empty.");
    }
    if request.member_id.is_empty() && (version >= 1 || request.member_epoch != 0) {
        return refuse("MemberId can't be empty.");
    }
    let pattern_bytes = request.subscribed_topic_regex.as_ref().map_or(0, String::len);
    if names.map(String::len).sum::<usize>() + pattern_bytes > MEMBER_METADATA_BYTES_MAX {
        return refuse("The subscription is too long.");
    }
    match request.member_epoch {
        0 if request.rebalance_timeout_ms == -1 => {
            refuse("RebalanceTimeoutMs must be provided in first request.")
        }
        0 if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) => {
            refuse("TopicPartitions must be empty when (re-)joining.")
        }
        0 if request.subscribed_topic_names.is_none() && !has_pattern => {
            refuse("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null on join.")
        }
        LEAVES_FOR_A_WHILE if request.instance_id.is_none() => refuse("InstanceId can't be null."),
        epoch if epoch < LEAVES_FOR_A_WHILE => refuse("MemberEpoch is invalid."),
        _ => Ok(()),
    }
}

fn by_topic(partitions: BTreeSet<(Uuid, i32)>) -> Assignment {
    let mut topics = BTreeMap::<Uuid, Vec<i32>>::new();
    for (topic_id, partition) in partitions {
        topics.entry(topic_id).or_default().push(partition);
    }
    let topics = topics.into_iter();
    let topic_partitions =
        topics.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions });
    Assignment { topic_partitions: topic_partitions.collect() }
}
