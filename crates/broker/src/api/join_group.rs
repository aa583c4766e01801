//! JoinGroup, versions 2 to 9.
//!
//! - KIP-394: from version 4 on a member comes again with the id that it was given.
//! - KIP-345: static members from version 5 on, fenced when they are replaced.
//! - KIP-559: the protocol type in the answer from version 7 on. KIP-800: reasons are not kept.
//! - KIP-814: a leader that came back in a stable group need not assign, in version 9.
//! - What members say of themselves is bounded; a member that says more is refused with
//!   `INVALID_REQUEST`.

use farlog_wire::messages::join_group_request::JoinGroupRequest;
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::groups::JoinRequest;
use crate::groups::limits::MEMBER_METADATA_BYTES_MAX;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 2, max: 9 };

pub(super) async fn handle(
    context: RequestContext,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let protocols = request.protocols.into_iter();
    let protocols = protocols.map(|protocol| (protocol.name, protocol.metadata));
    let protocols: Vec<_> = protocols.collect();
    let metadata = protocols.iter().map(|(name, metadata)| name.len() + metadata.len());
    let mut response = if metadata.sum::<usize>() > MEMBER_METADATA_BYTES_MAX {
        JoinGroupResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            generation_id: -1,
            member_id: request.member_id,
            ..JoinGroupResponse::default()
        }
    } else {
        let join = JoinRequest {
            group: request.group_id,
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            client_id: context.client_id.clone().unwrap_or_default(),
            client_host: context.client_host(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: request.protocol_type,
            protocols,
            requires_known_member_id: context.version >= 4,
            can_skip_assignment: context.version >= 9,
        };
        context.broker.groups.join(&context.broker.catalog, join).await
    };
    if context.version < 7 {
        // Neither could be null, or was there at all.
        response.protocol_type = None;
        response.protocol_name.get_or_insert_default();
    } else if response.error_code.is_error() {
        response.protocol_name = None;
    }
    response
}
