//! DeleteAcls, versions 1 to 3 (KIP-140, KIP-290).
//!
//! - Everything that any of the filters finds is removed together; what two of them find is told
//!   beneath the first, as by Kafka.

use farlog_wire::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use farlog_wire::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::create_acls::NO_AUTHORIZER;
use crate::catalog::Refusal;
use crate::security::acl::{Acl, AclFilter};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 3 };

pub(super) async fn handle(
    context: RequestContext,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let is_enabled = context.broker.authorizer.is_some();
    let filters: Vec<Result<AclFilter, Refusal>> = request
        .filters
        .into_iter()
        .map(|filter| match is_enabled {
            true => check(filter),
            false => Err(Refusal::new(ErrorCode::SECURITY_DISABLED, NO_AUTHORIZER)),
        })
        .collect();
    let valid: Vec<AclFilter> = filters.iter().flatten().cloned().collect();
    let removed = context.broker.catalog.remove_acls(valid).await;
    let mut removed = removed.map(Vec::into_iter);
    let results = filters.into_iter().map(|filter| {
        let found = match (&filter, &mut removed) {
            (Err(refusal), _) => Err(refusal.clone()),
            (_, Err(refusal)) => Err(refusal.clone()),
            (Ok(_), Ok(removed)) => Ok(removed.next().unwrap_or_default()),
        };
        match found {
            Ok(found) => DeleteAclsFilterResult {
                error_message: None,
                matching_acls: found.into_iter().map(told).collect(),
                ..DeleteAclsFilterResult::default()
            },
            Err(refusal) => DeleteAclsFilterResult {
                error_code: refusal.code,
                error_message: refusal.message,
                ..DeleteAclsFilterResult::default()
            },
        }
    });
    DeleteAclsResponse { filter_results: results.collect(), ..DeleteAclsResponse::default() }
}

fn check(filter: DeleteAclsFilter) -> Result<AclFilter, Refusal> {
    let filter = AclFilter {
        resource: filter.resource_type_filter,
        name: filter.resource_name_filter,
        pattern: filter.pattern_type_filter,
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: filter.operation,
        permission: filter.permission_type,
    };
    let message = "The AclBindingFilter must not contain UNKNOWN elements.";
    let refusal = || Refusal::new(ErrorCode::INVALID_REQUEST, message);
    if filter.is_known() { Ok(filter) } else { Err(refusal()) }
}

fn told(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_message: None,
        resource_type: acl.resource.code(),
        resource_name: acl.name,
        pattern_type: acl.pattern.code(),
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation.code(),
        permission_type: acl.permission.code(),
        ..DeleteAclsMatchingAcl::default()
    }
}
