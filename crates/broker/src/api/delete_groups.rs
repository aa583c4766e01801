//! DeleteGroups, versions 0 to 2 (KIP-229).
//!
//! - Groups with members are refused with `NON_EMPTY_GROUP`.

use farlog_wire::messages::delete_groups_request::DeleteGroupsRequest;
use farlog_wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(super) async fn handle(
    context: RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let (broker, mut results) = (&context.broker, Vec::new());
    for group_id in request.groups_names {
        let deleted = broker.groups.delete_group(&broker.catalog, &group_id).await;
        let error_code = deleted.err().unwrap_or(ErrorCode::NONE);
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
