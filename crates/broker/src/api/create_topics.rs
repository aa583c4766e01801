//! CreateTopics, versions 2 to 7.
//!
//! - KIP-464: -1 for the broker's default of partitions and replication factor.
//! - KIP-525: configs in the answer from version 5 on; KIP-516: topic ids in version 7.
//! - One copy of everything: any positive replication factor above 1 is refused with
//!   `INVALID_REPLICATION_FACTOR`, as a single Kafka broker does.
//! - Manual assignments must name this broker alone.

use std::collections::{BTreeMap, HashSet};

use farlog_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use farlog_wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::describe_configs::{SOURCE_TOPIC, source_of_default};
use crate::catalog::{NewTopic, Refusal, Topic};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 2, max: 7 };

pub(super) async fn handle(
    context: RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut seen = HashSet::new();
    let twice: HashSet<String> = request
        .topics
        .iter()
        .filter(|topic| !seen.insert(&topic.name))
        .map(|topic| topic.name.clone())
        .collect();
    let mut topics = Vec::new();
    let mut answered = HashSet::new();
    for topic in request.topics {
        if !answered.insert(topic.name.clone()) {
            continue;
        }
        let name = topic.name.clone();
        let made = if twice.contains(&name) {
            let message = "Duplicate topic name.";
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
        } else {
            create(&context, topic, request.validate_only).await
        };
        topics.push(made.unwrap_or_else(|refusal| CreatableTopicResult {
            name,
            error_code: refusal.code,
            error_message: refusal.message,
            num_partitions: -1,
            replication_factor: -1,
            configs: Some(Vec::new()),
            ..CreatableTopicResult::default()
        }));
    }
    CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
}

async fn create(
    context: &RequestContext,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let partitions = partitions(context, &topic)?;
    let mut configs = BTreeMap::new();
    for config in topic.configs {
        let Some(value) = config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
        };
        configs.insert(config.name, value);
    }
    let new = NewTopic { name: topic.name, partitions, configs };
    let made = context.broker.catalog.create_topic(new, validate_only).await?;
    Ok(CreatableTopicResult {
        name: made.name.clone(),
        topic_id: made.id,
        num_partitions: partitions,
        replication_factor: 1,
        configs: Some(configs_of(&made)),
        ..CreatableTopicResult::default()
    })
}

fn partitions(context: &RequestContext, topic: &CreatableTopic) -> Result<i32, Refusal> {
    let node_id = context.broker.node_id;
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let message = "Both a manual assignment and a number of partitions or replicas.";
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        let mut indexes: Vec<i32> =
            topic.assignments.iter().map(|assigned| assigned.partition_index).collect();
        indexes.sort_unstable();
        let ours = topic.assignments.iter().all(|assigned| assigned.broker_ids == [node_id]);
        if !ours || !(0..).zip(&indexes).all(|(expected, &index)| expected == index) {
            let message = format!(
                "Every partition from 0 on must be assigned to broker {node_id}, the only one."
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        return Ok(i32::try_from(indexes.len()).unwrap_or(i32::MAX));
    }
    let count = match topic.num_partitions {
        -1 => context.broker.default_partitions,
        count if count < 1 => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        count => count,
    };
    match topic.replication_factor {
        -1 | 1 => Ok(count),
        factor if factor < 1 => {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.";
            Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message))
        }
        factor => {
            let message = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor \
                 of {factor} cannot be reached because only 1 broker(s) are registered."
            );
            Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message))
        }
    }
}

fn configs_of(topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let described = topic.configs.described().map(|definition| CreatableTopicConfigs {
        name: definition.name.to_owned(),
        value: Some(topic.configs.value(definition.name).to_owned()),
        read_only: false,
        config_source: match topic.configs.set().contains_key(definition.name) {
            true => SOURCE_TOPIC,
            false => source_of_default(definition),
        },
        is_sensitive: false,
    });
    described.collect()
}
