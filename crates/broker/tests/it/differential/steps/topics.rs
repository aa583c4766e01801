//! `create`, `delete` and `partitions`.

use farlog_wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use farlog_wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use farlog_wire::messages::create_topics_response::CreatableTopicResult;
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::{ErrorCode, Uuid};

use super::configs::{is_compared, show_source};
use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// From this version on topics are deleted by name or id.
const DELETE_STATES: i16 = 6;

/// `create TOPIC…`: `partitions= replicas= configs=a:b;c:d assign=0:1;1:1 validate`.
pub(super) async fn create(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let assign = args.option("assign").map(assignments);
    let default = if assign.is_some() { -1 } else { 1 };
    let topic = CreatableTopic {
        name: String::new(),
        num_partitions: args.number("partitions", default),
        replication_factor: args.number("replicas", default as i16),
        assignments: assign.unwrap_or_default(),
        configs: args.option("configs").map(configs).unwrap_or_default(),
    };
    let named = |alias: &String| CreatableTopic {
        name: world.name(&alias.replace("{v}", &version.to_string())),
        ..topic.clone()
    };
    let aliases = args.words().iter().filter(|word| *word != "validate" && *word != "quiet");
    let request = CreateTopicsRequest {
        topics: aliases.map(named).collect(),
        timeout_ms: 30_000,
        validate_only: args.flag("validate"),
    };
    let mut response = world.peer.call(&request, version).await?;
    response.topics.sort_by(|one, other| one.name.cmp(&other.name));
    let mut lines = Vec::new();
    for made in &response.topics {
        if made.error_code == ErrorCode::NONE && !request.validate_only {
            let count = if version >= 5 { made.num_partitions } else { 1 };
            world.wait_for_topic(&made.name, count.max(1)).await;
            world.topic_ids.insert(made.name.clone(), made.topic_id);
        }
        // What every case begins with tells nothing if it succeeds.
        if args.flag("quiet") && made.error_code == ErrorCode::NONE {
            continue;
        }
        lines.extend(show_created(made, version, world));
    }
    Ok(lines)
}

fn assignments(text: &str) -> Vec<CreatableReplicaAssignment> {
    let one = |part: &str| {
        let (index, brokers) = part.split_once(':').expect("partition:brokers");
        CreatableReplicaAssignment {
            partition_index: parse(index),
            broker_ids: brokers.split('+').map(parse).collect(),
        }
    };
    text.split(';').map(one).collect()
}

fn configs(text: &str) -> Vec<CreatableTopicConfig> {
    let one = |part: &str| {
        let (name, value) = part.split_once(':').expect("name:value");
        CreatableTopicConfig {
            name: name.to_owned(),
            value: (value != "~").then(|| value.to_owned()),
        }
    };
    text.split(';').map(one).collect()
}

fn show_created(made: &CreatableTopicResult, version: i16, world: &World) -> Vec<String> {
    let mut line = format!("{} {}", world.alias(&made.name), show_error(made.error_code));
    if version >= 5 {
        line +=
            &format!(" partitions={} replicas={}", made.num_partitions, made.replication_factor);
    }
    if version >= 7 {
        line += if made.topic_id.is_zero() { " no-id" } else { " an-id" };
    }
    if version >= 5 && made.topic_config_error_code.is_error() {
        line += &format!(" configs={}", show_error(made.topic_config_error_code));
    }
    let mut lines = vec![line];
    let mut configs = made.configs.clone().unwrap_or_default();
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    for config in configs.iter().filter(|config| is_compared(&config.name)) {
        lines.push(format!(
            "  {}={} {}{}",
            config.name,
            config.value.as_deref().unwrap_or("~"),
            show_source(config.config_source),
            if config.read_only || config.is_sensitive { " guarded" } else { "" },
        ));
    }
    lines
}

/// `delete TOPIC…`; `by-id` for ids.
pub(super) async fn delete(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let by_id = args.flag("by-id");
    let aliases: Vec<String> = args
        .words()
        .iter()
        .filter(|word| *word != "by-id")
        .map(|alias| alias.replace("{v}", &version.to_string()))
        .collect();
    let state = |alias: &String| DeleteTopicState {
        name: (!by_id).then(|| world.name(alias)),
        topic_id: if by_id { world.topic_id(alias) } else { Uuid::ZERO },
    };
    let mut request = DeleteTopicsRequest { timeout_ms: 30_000, ..DeleteTopicsRequest::default() };
    if version >= DELETE_STATES {
        request.topics = aliases.iter().map(state).collect();
    } else {
        request.topic_names = aliases.iter().map(|alias| world.name(alias)).collect();
    }
    let response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for gone in &response.responses {
        let name = gone.name.as_ref().map_or_else(|| "~".to_owned(), |name| world.alias(name));
        let mut line = format!("{name} {}", show_error(gone.error_code));
        if version >= DELETE_STATES {
            line += &format!(" {}", world.show_id(gone.topic_id));
        }
        lines.push(line);
    }
    lines.sort();
    world.barrier().await;
    Ok(lines)
}

/// `partitions TOPIC COUNT`: `assign=1;1 validate`.
pub(super) async fn grow(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let assignment = |brokers: &str| CreatePartitionsAssignment {
        broker_ids: brokers.split('+').map(parse).collect(),
    };
    let assign = args.option("assign").map(|list| list.split(';').map(assignment).collect());
    let step: i32 = args.number("add-version", 0);
    let topic = CreatePartitionsTopic {
        name: world.name(args.word(0)),
        count: args.number_at::<i32>(1) + step * i32::from(version),
        assignments: assign,
    };
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        timeout_ms: 30_000,
        validate_only: args.flag("validate"),
    };
    let response = world.peer.call(&request, version).await?;
    let show =
        |grown: &farlog_wire::messages::create_partitions_response::CreatePartitionsTopicResult| {
            format!("{} {}", world.alias(&grown.name), show_error(grown.error_code))
        };
    let lines = response.results.iter().map(show).collect();
    world.barrier().await;
    Ok(lines)
}
