//! DescribeGroups, versions 0 to 6: classic groups.
//!
//! - A group that there is not is `Dead`; from version 6 on `GROUP_ID_NOT_FOUND` (KIP-1043).
//! - KIP-430: without an authorizer, all operations are authorized.

use farlog_wire::messages::describe_groups_request::DescribeGroupsRequest;
use farlog_wire::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::{GROUP_OPERATIONS, OPERATIONS_UNKNOWN, RequestContext};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = match request.include_authorized_operations {
        true => GROUP_OPERATIONS,
        false => OPERATIONS_UNKNOWN,
    };
    let groups = request.groups.into_iter().map(|group_id| {
        let group = describe(&context, group_id);
        match group.error_code {
            ErrorCode::NONE => DescribedGroup { authorized_operations: operations, ..group },
            _ => group,
        }
    });
    DescribeGroupsResponse { groups: groups.collect(), ..DescribeGroupsResponse::default() }
}

fn describe(context: &RequestContext, group_id: String) -> DescribedGroup {
    let Some(group) = context.broker.groups.describe_classic(&group_id) else {
        let says_so = context.version >= 6;
        return DescribedGroup {
            error_code: if says_so { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE },
            error_message: says_so.then(|| format!("Group {group_id} not found.")),
            group_id,
            group_state: "Dead".to_owned(),
            authorized_operations: OPERATIONS_UNKNOWN,
            ..DescribedGroup::default()
        };
    };
    let members = group.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id.filter(|_| context.version >= 4),
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        protocol_type: group.protocol_type,
        protocol_data: group.protocol,
        members: members.collect(),
        authorized_operations: OPERATIONS_UNKNOWN,
        ..DescribedGroup::default()
    }
}
