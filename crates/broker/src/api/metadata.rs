//! Metadata, versions 0 to 13.
//!
//! - One broker leads everything; a topic is there as soon as it is created.
//! - KIP-516: topics by id; KIP-4: no topics in the request means none from version 1 on, and all
//!   in version 0.
//! - `auto.create.topics.enable`, if the broker and the request allow it.
//! - KIP-430: without an authorizer, all operations are authorized.

use std::collections::BTreeMap;
use std::sync::Arc;

use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::{CLUSTER_OPERATIONS, OPERATIONS_UNKNOWN, RequestContext, TOPIC_OPERATIONS};
use crate::catalog::{NewTopic, Topic, check_name, is_internal};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 13 };

/// From this version on topics can be found by their ids.
const BY_ID: i16 = 12;

pub(super) async fn handle(context: RequestContext, request: MetadataRequest) -> MetadataResponse {
    if context.version < BY_ID && request.topics.iter().flatten().any(is_by_id) {
        return refused(request);
    }
    let broker = &context.broker;
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && context.version == 0,
    };
    let mut topics = Vec::new();
    if all {
        topics.extend(broker.catalog.topics().iter().map(|topic| described(&context, topic)));
    } else {
        for wanted in request.topics.iter().flatten() {
            topics.push(find(&context, wanted, request.allow_auto_topic_creation).await);
        }
    }
    if request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| !topic.error_code.is_error()) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.node_id,
            host: context.listener().advertised.host.clone(),
            port: i32::from(context.listener().advertised.port),
            rack: None,
        }],
        cluster_id: Some(broker.cluster_id.clone()),
        controller_id: broker.node_id,
        topics,
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => OPERATIONS_UNKNOWN,
        },
        ..MetadataResponse::default()
    }
}

fn is_by_id(topic: &MetadataRequestTopic) -> bool {
    topic.name.is_none() || !topic.topic_id.is_zero()
}

/// The answer to topics by id in a version that has ids and does not find topics by them.
fn refused(request: MetadataRequest) -> MetadataResponse {
    let topics = request.topics.into_iter().flatten().map(|topic| MetadataResponseTopic {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        topic_authorized_operations: OPERATIONS_UNKNOWN,
        ..MetadataResponseTopic::default()
    });
    MetadataResponse {
        controller_id: -1,
        topics: topics.collect(),
        cluster_authorized_operations: OPERATIONS_UNKNOWN,
        ..MetadataResponse::default()
    }
}

async fn find(
    context: &RequestContext,
    wanted: &MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let catalog = &context.broker.catalog;
    let Some(name) = &wanted.name else {
        return match catalog.topic_by_id(wanted.topic_id) {
            Some(topic) => described(context, &topic),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                name: None,
                topic_id: wanted.topic_id,
                topic_authorized_operations: OPERATIONS_UNKNOWN,
                ..MetadataResponseTopic::default()
            },
        };
    };
    if let Some(topic) = catalog.topic(name) {
        return described(context, &topic);
    }
    let mut error_code = match check_name(name) {
        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(refusal) => refusal.code,
    };
    // The cluster's own topics are made by who keeps them, with the configs that they need.
    if may_create && context.broker.auto_create_topics && !is_internal(name) {
        let partitions = context.broker.default_partitions;
        let new = NewTopic { name: name.clone(), partitions, configs: BTreeMap::new() };
        match catalog.create_topic(new, false).await {
            Ok(topic) => return described(context, &topic),
            Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => {
                if let Some(topic) = catalog.topic(name) {
                    return described(context, &topic);
                }
            }
            Err(refusal) => error_code = refusal.code,
        }
    }
    MetadataResponseTopic {
        error_code,
        name: Some(name.clone()),
        topic_authorized_operations: OPERATIONS_UNKNOWN,
        ..MetadataResponseTopic::default()
    }
}

fn described(context: &RequestContext, topic: &Arc<Topic>) -> MetadataResponseTopic {
    let node_id = context.broker.node_id;
    let partitions =
        topic.partitions.iter().enumerate().map(|(index, partition)| MetadataResponsePartition {
            partition_index: i32::try_from(index).unwrap_or(i32::MAX),
            leader_id: node_id,
            leader_epoch: partition.leader_epoch(),
            replica_nodes: vec![node_id],
            isr_nodes: vec![node_id],
            ..MetadataResponsePartition::default()
        });
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: OPERATIONS_UNKNOWN,
        ..MetadataResponseTopic::default()
    }
}
