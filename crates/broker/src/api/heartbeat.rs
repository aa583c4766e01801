//! Heartbeat, versions 0 to 4.
//!
//! - KIP-345: static members from version 3 on.

use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::heartbeat_response::HeartbeatResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(super) async fn handle(
    context: RequestContext,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let outcome = context.broker.groups.heartbeat(
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id,
    );
    let error_code = outcome.err().unwrap_or(ErrorCode::NONE);
    HeartbeatResponse { error_code, ..HeartbeatResponse::default() }
}
