//! IncrementalAlterConfigs, versions 0 to 1 (KIP-339).
//!
//! - Topics only; a broker's settings are given at its start.

use std::collections::{BTreeMap, HashSet};

use farlog_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use farlog_wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::describe_configs::RESOURCE_TOPIC;
use crate::catalog::Refusal;
use crate::topic_configs::{Kind, definition, list};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(super) async fn handle(
    context: RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::new();
    for resource in request.resources {
        let altered = alter(&context, &resource, request.validate_only).await;
        let refusal = altered.err().unwrap_or(Refusal { code: ErrorCode::NONE, message: None });
        responses.push(AlterConfigsResourceResponse {
            error_code: refusal.code,
            error_message: refusal.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    }
    IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
}

async fn alter(
    context: &RequestContext,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    if resource.resource_type != RESOURCE_TOPIC {
        let message = "Only configs of topics can be altered; a broker's are given at its start.";
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    }
    let mut names = HashSet::new();
    if let Some(twice) = resource.configs.iter().find(|config| !names.insert(&config.name)) {
        let message = format!("Config {} is altered twice", twice.name);
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    }
    let change = |set: &mut BTreeMap<String, String>| {
        resource.configs.iter().try_for_each(|config| apply(set, config))
    };
    context.broker.catalog.set_configs(&resource.resource_name, change, validate_only).await
}

/// Operations are 0 set, 1 delete, 2 append, 3 subtract.
fn apply(set: &mut BTreeMap<String, String>, config: &AlterableConfig) -> Result<(), Refusal> {
    let AlterableConfig { name, config_operation, value } = config;
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_CONFIG, message);
    let definition = definition(name);
    if *config_operation == 1 {
        // Nothing of that name is set any more, whether there is such a config or not.
        set.remove(name);
        return Ok(());
    }
    let Some(value) = value else {
        let message = format!("Null value not supported for: {name}");
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    };
    let present = || {
        let default = definition.map_or("", |definition| definition.default);
        set.get(name).map_or(default, String::as_str)
    };
    let is_list = definition.is_some_and(|definition| definition.kind == Kind::List);
    let value = match config_operation {
        0 => value.clone(),
        2 | 3 if !is_list => {
            let message = format!("Config value append is not allowed for config key: {name}");
            return Err(invalid(message));
        }
        2 => {
            let mut words: Vec<&str> = list(present()).collect();
            words.extend(list(value).filter(|word| !list(present()).any(|old| old == *word)));
            words.join(",")
        }
        3 => {
            let kept = list(present()).filter(|word| !list(value).any(|gone| gone == *word));
            kept.collect::<Vec<_>>().join(",")
        }
        other => {
            let message = format!("Unknown config operation {other} for: {name}");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    };
    set.insert(name.clone(), value);
    Ok(())
}
