//! SyncGroup, versions 0 to 5.
//!
//! - KIP-345: static members from version 3 on. KIP-559: what the member believes of the group is
//!   checked from version 5 on.

use farlog_wire::ErrorCode;
use farlog_wire::VersionRange;
use farlog_wire::messages::sync_group_request::SyncGroupRequest;
use farlog_wire::messages::sync_group_response::SyncGroupResponse;

use super::RequestContext;
use crate::groups::SyncRequest;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(super) async fn handle(
    context: RequestContext,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let knows_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if context.version >= 5 && !knows_protocol {
        // Mandatory from this version on, as in Kafka.
        let error_code = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
        return SyncGroupResponse { error_code, ..SyncGroupResponse::default() };
    }
    let assignments = request.assignments.into_iter();
    let sync = SyncRequest {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: assignments.map(|given| (given.member_id, given.assignment)).collect(),
    };
    let mut response = context.broker.groups.sync(&context.broker.catalog, sync).await;
    if context.version < 5 {
        (response.protocol_type, response.protocol_name) = (None, None);
    }
    response
}
