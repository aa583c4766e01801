//! AlterConfigs, versions 0 to 2 (KIP-133): all configs of a topic at once.
//!
//! - Topics only; a broker's settings are given at its start.
//! - Deprecated in favour of IncrementalAlterConfigs, which does not forget what it does not name.

use std::collections::BTreeMap;

use farlog_wire::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use farlog_wire::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::describe_configs::RESOURCE_TOPIC;
use crate::catalog::Refusal;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(super) async fn handle(
    context: RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let mut responses = Vec::new();
    for resource in request.resources {
        let replaced = replace(&context, &resource, request.validate_only).await;
        let refusal = replaced.err().unwrap_or(Refusal { code: ErrorCode::NONE, message: None });
        responses.push(AlterConfigsResourceResponse {
            error_code: refusal.code,
            error_message: refusal.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    }
    AlterConfigsResponse { responses, ..AlterConfigsResponse::default() }
}

async fn replace(
    context: &RequestContext,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    if resource.resource_type != RESOURCE_TOPIC {
        let message = "Only configs of topics can be altered; a broker's are given at its start.";
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    }
    let mut configs = BTreeMap::new();
    for config in &resource.configs {
        let Some(value) = &config.value else {
            let message = format!("Null value not supported for: {}", config.name);
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        };
        configs.insert(config.name.clone(), value.clone());
    }
    let change = |set: &mut BTreeMap<String, String>| {
        *set = configs;
        Ok(())
    };
    context.broker.catalog.set_configs(&resource.resource_name, change, validate_only).await
}
