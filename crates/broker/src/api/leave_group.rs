//! LeaveGroup, versions 0 to 5.
//!
//! - KIP-345: many at once from version 3 on, static members by their instance id alone. KIP-800:
//!   reasons are not kept.

use farlog_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use farlog_wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(super) async fn handle(
    context: RequestContext,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let many = context.version >= 3;
    let leaving = if many {
        request.members
    } else {
        vec![MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() }]
    };
    let broker = &context.broker;
    let left = broker.groups.leave(&broker.catalog, &request.group_id, &leaving);
    let outcomes = match left {
        Ok(outcomes) => outcomes,
        // A group that is not there has no such members.
        Err(ErrorCode::UNKNOWN_MEMBER_ID) => vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()],
        Err(error_code) => {
            return LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
        }
    };
    if !many {
        let error_code = outcomes.first().copied().unwrap_or(ErrorCode::NONE);
        return LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
    }
    let members = leaving.into_iter().zip(outcomes).map(|(member, error_code)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code,
    });
    LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
}
