//! `metadata`, `api-versions`, `init-producer`, `cluster`, `log-dirs`, `elect` and `raw`.

use std::collections::BTreeSet;

use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;
use farlog_wire::messages::describe_log_dirs_request::{
    DescribableLogDirTopic, DescribeLogDirsRequest,
};
use farlog_wire::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::metadata_response::MetadataResponseTopic;
use farlog_wire::{ApiKey, Uuid};

use super::transactions::ask;
use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// `metadata TOPIC…`: `id(TOPIC)` by id, `none` for no topics, `all` for all; `create` to allow it,
/// `operations` to ask for authorized operations.
pub(super) async fn metadata(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let wanted = args
        .words()
        .iter()
        .filter(|word| !["none", "all", "create", "operations"].contains(&word.as_str()));
    let wanted =
        wanted.map(|word| match word.strip_prefix("id(").and_then(|word| word.strip_suffix(')')) {
            Some(alias) => MetadataRequestTopic { topic_id: world.topic_id(alias), name: None },
            None => {
                let name = world.name(&word.replace("{v}", &version.to_string()));
                MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(name) }
            }
        });
    let topics: Vec<MetadataRequestTopic> = wanted.collect();
    let all = args.flag("all");
    let operations = args.flag("operations");
    let request = MetadataRequest {
        topics: (!all).then_some(topics),
        // Version 0 to 3 cannot forbid it.
        allow_auto_topic_creation: version < 4 || args.flag("create"),
        include_cluster_authorized_operations: operations && (8..=10).contains(&version),
        include_topic_authorized_operations: operations && version >= 8,
    };
    let mut response = world.peer.call(&request, version).await?;
    let mut lines = vec![format!(
        "brokers={} controller={} cluster={}{}",
        response.brokers.len(),
        if response.controller_id == -1 { "none" } else { "one" },
        if response.cluster_id.is_some() { "named" } else { "unnamed" },
        show_operations(response.cluster_authorized_operations),
    )];
    response.topics.sort_by(|one, other| one.name.cmp(&other.name));
    for topic in &mut response.topics {
        let own = topic.name.as_ref().is_none_or(|name| !world.alias(name).starts_with('='));
        // Version 0 takes none for all.
        if own || !(all || args.flag("none")) {
            lines.push(show_topic(topic, version, world));
        }
    }
    Ok(lines)
}

fn show_operations(operations: i32) -> String {
    match operations {
        i32::MIN => String::new(),
        operations => format!(" operations={operations:#x}"),
    }
}

fn show_topic(topic: &mut MetadataResponseTopic, version: i16, world: &World) -> String {
    let name = topic.name.as_ref().map_or_else(|| "~".to_owned(), |name| world.alias(name));
    let mut line = format!("{name} {}", show_error(topic.error_code));
    if version >= 10 {
        line += &format!(" {}", world.show_id(topic.topic_id));
    }
    if topic.is_internal {
        line += " internal";
    }
    line += &show_operations(topic.topic_authorized_operations);
    topic.partitions.sort_by_key(|partition| partition.partition_index);
    for partition in &topic.partitions {
        line += &format!(
            " [{} {} leader={} epoch={} replicas={} in-sync={} offline={}]",
            partition.partition_index,
            show_error(partition.error_code),
            if partition.leader_id == -1 { "none" } else { "one" },
            partition.leader_epoch,
            partition.replica_nodes.len(),
            partition.isr_nodes.len(),
            partition.offline_replicas.len(),
        );
    }
    line
}

/// `api-versions`: `name= software-version=`. The APIs are left out: `differential.rs` compares
/// them.
pub(super) async fn api_versions(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let text = |name: &str| match version >= 3 {
        true => args.option(name).unwrap_or("scenario").to_owned(),
        false => String::new(),
    };
    let request = ApiVersionsRequest {
        client_software_name: text("name"),
        client_software_version: text("software-version"),
    };
    let response = world.peer.call(&request, version).await?;
    let keys: BTreeSet<i16> = response.api_keys.iter().map(|api| api.api_key).collect();
    let mut line = format!(
        "{} apis={}",
        show_error(response.error_code),
        if keys.is_empty() { "none" } else { "some" },
    );
    let level = |name: &str| {
        let feature = response.finalized_features.iter().find(|feature| feature.name == name);
        feature.map_or_else(|| "none".to_owned(), |feature| feature.max_version_level.to_string())
    };
    let produce = response.api_keys.iter().find(|api| api.api_key == i16::from(ApiKey::Produce));
    if let Some(produce) = produce {
        line += &format!(" produce-from={}", produce.min_version);
    }
    if version >= 3 {
        line += &format!(" metadata.version={}", level("metadata.version"));
    }
    Ok(vec![line])
}

/// `init-producer`: `transactional-id= timeout= producer=id/epoch as=name`.
pub(super) async fn init_producer(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = match args.option("producer") {
        Some(text) => {
            let (id, epoch) = text.split_once('/').expect("id/epoch");
            (world.number(id), world.number(epoch) as i16)
        }
        None => (-1, -1),
    };
    let request = InitProducerIdRequest {
        transactional_id: args.option("transactional-id").map(|id| world.name(id)),
        transaction_timeout_ms: args.number("timeout", 60_000),
        producer_id,
        producer_epoch,
    };
    // Kafka takes its first block of ids from the controller when it is first asked.
    let response = ask(world, &request, version, |response| response.error_code).await?;
    if let Some(name) = args.option("as").filter(|_| response.producer_id >= 0) {
        world.numbers.insert(name.to_owned(), response.producer_id);
        world.numbers.insert(format!("{name}-epoch"), i64::from(response.producer_epoch));
    }
    let id = match response.producer_id {
        -1 => "-1".to_owned(),
        id if id == producer_id => "the-same".to_owned(),
        _ => "an-id".to_owned(),
    };
    Ok(vec![format!("{} {id}/{}", show_error(response.error_code), response.producer_epoch)])
}

/// `cluster`: `endpoints=2 operations fenced`.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let request = DescribeClusterRequest {
        include_cluster_authorized_operations: args.flag("operations"),
        endpoint_type: args.number("endpoints", 1),
        include_fenced_brokers: args.flag("fenced"),
    };
    let response = world.peer.call(&request, version).await?;
    Ok(vec![format!(
        "{} endpoints={} brokers={} controller={} cluster={}{}",
        show_error(response.error_code),
        response.endpoint_type,
        response.brokers.len(),
        if response.controller_id == -1 { "none" } else { "one" },
        if response.cluster_id.is_empty() { "unnamed" } else { "named" },
        show_operations(response.cluster_authorized_operations),
    )])
}

/// `log-dirs TOPIC PARTITIONS`, or `log-dirs` for all (of which only this case's are shown).
pub(super) async fn log_dirs(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let topic = args.words().first().map(|alias| DescribableLogDirTopic {
        topic: world.name(alias),
        partitions: args.word(1).split(',').map(parse).collect(),
    });
    let request = DescribeLogDirsRequest { topics: topic.map(|topic| vec![topic]) };
    let mut response = world.peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    for result in &mut response.results {
        let sized = if result.total_bytes > 0 { "sized" } else { "unsized" };
        lines.push(format!("directory {} {sized}", show_error(result.error_code)));
        result.topics.sort_by(|one, other| one.name.cmp(&other.name));
        for topic in &mut result.topics {
            let alias = world.alias(&topic.name);
            if alias.starts_with('=') {
                continue;
            }
            topic.partitions.sort_by_key(|partition| partition.partition_index);
            for partition in &topic.partitions {
                lines.push(format!(
                    "{alias}-{} bytes={} lag={} future={}",
                    partition.partition_index,
                    partition.partition_size,
                    partition.offset_lag,
                    partition.is_future_key,
                ));
            }
        }
    }
    Ok(lines)
}

/// `elect TOPIC PARTITIONS`: `unclean`.
pub(super) async fn elect_leaders(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let topic = TopicPartitions {
        topic: world.name(args.word(0)),
        partitions: args.word(1).split(',').map(parse).collect(),
    };
    let request = ElectLeadersRequest {
        // Version 0 knows the preferred one only.
        election_type: i8::from(version > 0 && args.flag("unclean")),
        topic_partitions: Some(vec![topic]),
        timeout_ms: 10_000,
    };
    let response = world.peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    for topic in &response.replica_election_results {
        for partition in &topic.partition_result {
            lines.push(format!(
                "{}-{} {}",
                world.alias(&topic.topic),
                partition.partition_id,
                show_error(partition.error_code),
            ));
        }
    }
    Ok(lines)
}

/// `raw HEX`: a frame's bytes as they are, its size put before them (unless `unframed`).
pub(super) async fn raw(world: &mut World, args: &Args) -> Result<Vec<String>, NoAnswer> {
    let hex = args.word(0);
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let mut frame = Vec::new();
    if !args.flag("unframed") {
        frame.extend((bytes.len() as i32).to_be_bytes());
    }
    frame.extend(bytes);
    world.peer.send_bytes(&frame).await?;
    let answer = world.peer.receive().await?;
    // Correlation id, and for what scenarios send, an error code.
    let shown: Vec<String> = answer.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(vec![shown.concat()])
}
