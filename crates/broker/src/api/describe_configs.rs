//! DescribeConfigs, versions 1 to 4.
//!
//! - Topics: every config of `topic_configs.rs`, with its source; KIP-226: synonyms; KIP-569:
//!   types.
//! - Brokers: the few settings of ours that Kafka has a name for, read-only.
//! - Documentation strings are not given: Kafka's own are Kafka's.

use farlog_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use farlog_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::{Refusal, Topic};
use crate::options::HostPort;
use crate::topic_configs::{Definition, Kind};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };

/// `ConfigResource.Type` of Kafka.
pub(super) const RESOURCE_TOPIC: i8 = 2;
pub(super) const RESOURCE_BROKER: i8 = 4;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
pub(super) const SOURCE_TOPIC: i8 = 1;
const SOURCE_DYNAMIC_DEFAULT: i8 = 3;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let described = describe(&context, resource, request.include_synonyms);
        let mut result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..DescribeConfigsResult::default()
        };
        match described {
            Ok(mut configs) => {
                if let Some(keys) = &resource.configuration_keys {
                    configs.retain(|config| keys.contains(&config.name));
                }
                result.configs = configs;
            }
            Err(refusal) => {
                result.error_code = refusal.code;
                result.error_message = refusal.message;
            }
        }
        result
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

fn describe(
    context: &RequestContext,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = &resource.resource_name;
    match resource.resource_type {
        RESOURCE_TOPIC => {
            let topic = context.broker.catalog.topic(name);
            let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            Ok(topic_configs(&topic, synonyms))
        }
        RESOURCE_BROKER => {
            let node_id = context.broker.node_id.to_string();
            if !name.is_empty() && *name != node_id {
                let message =
                    format!("Unexpected broker id, expected {node_id}, but received {name}");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
            Ok(broker_configs(context, synonyms))
        }
        other => {
            let message = format!("Unsupported resource type: {other}");
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
        }
    }
}

fn topic_configs(topic: &Topic, synonyms: bool) -> Vec<DescribeConfigsResourceResult> {
    let described = topic.configs.described().map(|definition| {
        let set = topic.configs.set().get(definition.name);
        let source = if set.is_some() { SOURCE_TOPIC } else { source_of_default(definition) };
        let mut known = Vec::new();
        if synonyms {
            known.extend(set.map(|value| synonym(definition.name, value, SOURCE_TOPIC)));
            known.extend(synonyms_of_default(definition));
        }
        DescribeConfigsResourceResult {
            name: definition.name.to_owned(),
            value: Some(topic.configs.value(definition.name).to_owned()),
            config_source: source,
            synonyms: known,
            config_type: definition.kind.code(),
            documentation: None,
            ..DescribeConfigsResourceResult::default()
        }
    });
    described.collect()
}

/// Where a value comes from that was not set on the topic.
pub(super) fn source_of_default(definition: &Definition) -> i8 {
    match definition.name {
        // Clusters with eligible leader replicas (KIP-966), as Kafka 4 makes them, set it at birth.
        "min.insync.replicas" => SOURCE_DYNAMIC_DEFAULT,
        _ => SOURCE_DEFAULT,
    }
}

fn synonyms_of_default(definition: &Definition) -> Vec<DescribeConfigsSynonym> {
    let Some(name) = definition.broker_name() else { return Vec::new() };
    let source = source_of_default(definition);
    let mut known = vec![synonym(name, definition.default, source)];
    if source != SOURCE_DEFAULT {
        known.push(synonym(name, definition.default, SOURCE_DEFAULT));
    }
    known
}

fn broker_configs(context: &RequestContext, synonyms: bool) -> Vec<DescribeConfigsResourceResult> {
    let broker = &context.broker;
    let listeners = broker.listeners.iter().map(|listener| {
        let HostPort { host, port } = &listener.advertised;
        format!("{}://{host}:{port}", listener.protocol.name())
    });
    let listeners = listeners.collect::<Vec<String>>().join(",");
    let settings = [
        ("advertised.listeners", Kind::List, listeners),
        ("auto.create.topics.enable", Kind::Boolean, broker.auto_create_topics.to_string()),
        ("default.replication.factor", Kind::Int, "1".to_owned()),
        ("node.id", Kind::Int, broker.node_id.to_string()),
        ("num.partitions", Kind::Int, broker.default_partitions.to_string()),
    ];
    let numbers = broker.settings.entries().into_iter();
    let numbers = numbers.map(|(name, value)| (name, Kind::Long, value.to_string()));
    let described = settings.into_iter().chain(numbers).map(|(name, kind, value)| {
        DescribeConfigsResourceResult {
            name: name.to_owned(),
            synonyms: match synonyms {
                true => vec![synonym(name, &value, SOURCE_STATIC_BROKER)],
                false => Vec::new(),
            },
            value: Some(value),
            read_only: true,
            config_source: SOURCE_STATIC_BROKER,
            config_type: kind.code(),
            documentation: None,
            ..DescribeConfigsResourceResult::default()
        }
    });
    described.collect()
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.to_owned(), value: Some(value.to_owned()), source }
}
