//! DescribeAcls, versions 1 to 3 (KIP-140, KIP-290).

use farlog_wire::messages::describe_acls_request::DescribeAclsRequest;
use farlog_wire::messages::describe_acls_response::{
    AclDescription, DescribeAclsResource, DescribeAclsResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::create_acls::NO_AUTHORIZER;
use crate::security::acl::AclFilter;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 3 };

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let refused = |error_code, message: &str| DescribeAclsResponse {
        error_code,
        error_message: Some(message.to_owned()),
        ..DescribeAclsResponse::default()
    };
    if context.broker.authorizer.is_none() {
        return refused(ErrorCode::SECURITY_DISABLED, NO_AUTHORIZER);
    }
    let filter = AclFilter {
        resource: request.resource_type_filter,
        name: request.resource_name_filter,
        pattern: request.pattern_type_filter,
        principal: request.principal_filter,
        host: request.host_filter,
        operation: request.operation,
        permission: request.permission_type,
    };
    if !filter.is_known() {
        let message = "The AclBindingFilter must not contain UNKNOWN elements.";
        return refused(ErrorCode::INVALID_REQUEST, message);
    }
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    // In the order of their resources.
    for acl in context.broker.catalog.acls().iter().filter(|acl| filter.finds(acl)) {
        let is_same = |last: &&mut DescribeAclsResource| {
            last.resource_type == acl.resource.code()
                && last.resource_name == acl.name
                && last.pattern_type == acl.pattern.code()
        };
        let described = AclDescription {
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.code(),
            permission_type: acl.permission.code(),
        };
        match resources.last_mut().filter(is_same) {
            Some(last) => last.acls.push(described),
            None => resources.push(DescribeAclsResource {
                resource_type: acl.resource.code(),
                resource_name: acl.name.clone(),
                pattern_type: acl.pattern.code(),
                acls: vec![described],
            }),
        }
    }
    DescribeAclsResponse { resources, error_message: None, ..DescribeAclsResponse::default() }
}
