//! `configs`, `alter` and `replace-configs`.

use farlog_wire::ErrorCode;
use farlog_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use farlog_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use farlog_wire::messages::{alter_configs_request, incremental_alter_configs_request};

use crate::differential::script::Args;
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// Configs of tiers and of what only a broker with many segments knows, which we leave out.
const NOT_OURS: &[&str] =
    &["local.retention.", "remote.", "compression.gzip.", "compression.lz4.", "compression.zstd."];

/// Whether both brokers are expected to have a config.
pub(super) fn is_compared(name: &str) -> bool {
    !NOT_OURS.iter().any(|prefix| name.starts_with(prefix))
        && !["errors.deadletterqueue.", "internal."].iter().any(|prefix| name.starts_with(prefix))
}

/// Where a value comes from.
pub(super) fn show_source(source: i8) -> String {
    match source {
        1 => "topic".to_owned(),
        2 => "dynamic-broker".to_owned(),
        3 => "dynamic-default".to_owned(),
        4 => "static".to_owned(),
        5 => "default".to_owned(),
        6 => "dynamic-logger".to_owned(),
        other => format!("source-{other}"),
    }
}

/// The resource that a step is about: a topic, `broker:1`, or `TYPE/NAME` for any other.
fn resource(world: &World, word: &str) -> (i8, String) {
    if let Some(broker) = word.strip_prefix("broker:") {
        return (4, broker.to_owned());
    }
    match word.split_once('/') {
        Some((kind, name)) => (kind.parse().expect("a type"), name.to_owned()),
        None => (2, world.name(word)),
    }
}

fn show_resource(world: &World, kind: i8, name: &str) -> String {
    match kind {
        2 => world.alias(name),
        4 => format!("broker:{name}"),
        kind => format!("{kind}/{name}"),
    }
}

/// `configs RESOURCE`: `keys=a,b synonyms`.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (resource_type, resource_name) = resource(world, args.word(0));
    let keys = args.option("keys").map(|keys| keys.split(',').map(str::to_owned).collect());
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name,
            configuration_keys: keys,
        }],
        include_synonyms: args.flag("synonyms"),
        include_documentation: false,
    };
    let mut response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for result in &mut response.results {
        let name = show_resource(world, result.resource_type, &result.resource_name);
        lines.push(format!("{name} {}", show_error(result.error_code)));
        result.configs.sort_by(|one, other| one.name.cmp(&other.name));
        let compared = result.configs.iter().filter(|config| is_compared(&config.name));
        lines.extend(compared.map(show_config));
    }
    Ok(lines)
}

fn show_config(config: &DescribeConfigsResourceResult) -> String {
    let mut line = format!(
        "  {}={} {} type={}",
        config.name,
        config.value.as_deref().unwrap_or("~"),
        show_source(config.config_source),
        config.config_type,
    );
    for (is_set, word) in [(config.read_only, " read-only"), (config.is_sensitive, " sensitive")] {
        line += if is_set { word } else { "" };
    }
    for synonym in &config.synonyms {
        let value = synonym.value.as_deref().unwrap_or("~");
        line += &format!(" [{}={value} {}]", synonym.name, show_source(synonym.source));
    }
    line
}

/// `alter RESOURCE set:name:value delete:name append:name:value subtract:name:value`: `validate`.
pub(super) async fn alter(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    use incremental_alter_configs_request as request;
    let (resource_type, resource_name) = resource(world, args.word(0));
    let changes = args.words()[1..].iter().filter(|word| *word != "validate").map(|word| {
        let mut parts = word.splitn(3, ':');
        let operation = parts.next().expect("an operation");
        let config_operation = match operation {
            "set" => 0,
            "delete" => 1,
            "append" => 2,
            "subtract" => 3,
            other => other.parse().expect("an operation or its number"),
        };
        request::AlterableConfig {
            name: parts.next().expect("a name").to_owned(),
            config_operation,
            value: parts.next().filter(|value| *value != "~").map(str::to_owned),
        }
    });
    let request = request::IncrementalAlterConfigsRequest {
        resources: vec![request::AlterConfigsResource {
            resource_type,
            resource_name,
            configs: changes.collect(),
        }],
        validate_only: args.flag("validate"),
    };
    let response = world.peer.call(&request, version).await?;
    let answers: Vec<(ErrorCode, i8, String)> = response
        .responses
        .into_iter()
        .map(|answer| (answer.error_code, answer.resource_type, answer.resource_name))
        .collect();
    world.barrier().await;
    Ok(show_altered(world, &answers))
}

/// `replace-configs RESOURCE name:value…`: all that was set before is gone.
pub(super) async fn replace(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    use alter_configs_request as request;
    let (resource_type, resource_name) = resource(world, args.word(0));
    let configs = args.words()[1..].iter().filter(|word| *word != "validate").map(|word| {
        let (name, value) = word.split_once(':').expect("name:value");
        request::AlterableConfig {
            name: name.to_owned(),
            value: (value != "~").then(|| value.to_owned()),
        }
    });
    let request = request::AlterConfigsRequest {
        resources: vec![request::AlterConfigsResource {
            resource_type,
            resource_name,
            configs: configs.collect(),
        }],
        validate_only: args.flag("validate"),
    };
    let response = world.peer.call(&request, version).await?;
    let answers: Vec<(ErrorCode, i8, String)> = response
        .responses
        .into_iter()
        .map(|answer| (answer.error_code, answer.resource_type, answer.resource_name))
        .collect();
    world.barrier().await;
    Ok(show_altered(world, &answers))
}

fn show_altered(world: &World, answers: &[(ErrorCode, i8, String)]) -> Vec<String> {
    let show = |(code, kind, name): &(ErrorCode, i8, String)| {
        format!("{} {}", show_resource(world, *kind, name), show_error(*code))
    };
    answers.iter().map(show).collect()
}
