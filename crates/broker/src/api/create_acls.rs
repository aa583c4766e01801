//! CreateAcls, versions 1 to 3 (KIP-140, KIP-290).
//!
//! - Without an authorizer: `SECURITY_DISABLED`. All that are acceptable are written together.

use farlog_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use farlog_wire::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::Refusal;
use crate::security::acl::{Acl, CLUSTER_NAME, Operation, PatternType, Permission, ResourceType};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 3 };

/// What Kafka says without an authorizer.
pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured on the broker";

pub(super) async fn handle(
    context: RequestContext,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let is_enabled = context.broker.authorizer.is_some();
    let checked: Vec<Result<Acl, Refusal>> = request
        .creations
        .into_iter()
        .map(|creation| match is_enabled {
            true => check(creation),
            false => Err(Refusal::new(ErrorCode::SECURITY_DISABLED, NO_AUTHORIZER)),
        })
        .collect();
    let acls: Vec<Acl> = checked.iter().flatten().cloned().collect();
    let written = context.broker.catalog.add_acls(acls).await;
    let results = checked.into_iter().map(|checked| {
        let refusal = checked.and_then(|_| written.clone()).err();
        AclCreationResult {
            error_code: refusal.as_ref().map_or(ErrorCode::NONE, |refusal| refusal.code),
            error_message: refusal.and_then(|refusal| refusal.message),
        }
    });
    CreateAclsResponse { results: results.collect(), ..CreateAclsResponse::default() }
}

/// Kafka's rules (`AclApis`, `AclControlManager`).
fn check(creation: AclCreation) -> Result<Acl, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let unknown = |what: &str, code: i8| invalid(format!("Invalid {what} {code}"));
    let AclCreation { resource_type, resource_name: name, principal, host, .. } = creation;
    let resource = ResourceType::of_code(resource_type);
    let resource = resource.ok_or_else(|| unknown("resourceType", resource_type))?;
    let pattern = creation.resource_pattern_type;
    let pattern = PatternType::of_code(pattern).ok_or_else(|| unknown("patternType", pattern))?;
    let operation = creation.operation;
    let operation = Operation::of_code(operation).ok_or_else(|| unknown("operation", operation))?;
    let permission = creation.permission_type;
    let permission =
        Permission::of_code(permission).ok_or_else(|| unknown("permissionType", permission))?;
    if resource == ResourceType::Cluster && name != CLUSTER_NAME {
        let message = format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}");
        return Err(invalid(message));
    }
    if name.is_empty() {
        return Err(invalid("Invalid empty resource name".to_owned()));
    }
    if !principal.contains(':') {
        let message = format!(
            "Could not parse principal from `{principal}` (no colon is present separating the \
             principal type from the principal name)"
        );
        return Err(invalid(message));
    }
    Ok(Acl { resource, name, pattern, principal, host, operation, permission })
}
