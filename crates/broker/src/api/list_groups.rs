//! ListGroups, versions 0 to 5.
//!
//! - KIP-518: states from version 4 on; KIP-848: types from version 5 on; both compared without
//!   regard to case, as in Kafka.

use farlog_wire::VersionRange;
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(super) async fn handle(
    context: RequestContext,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let passes = |wanted: &[String], value: &str| {
        wanted.is_empty() || wanted.iter().any(|word| word.eq_ignore_ascii_case(value))
    };
    let groups = context.broker.groups.list().into_iter().filter(|group| {
        passes(&request.states_filter, group.state)
            && passes(&request.types_filter, group.group_type)
    });
    let groups = groups.map(|group| ListedGroup {
        group_id: group.group,
        protocol_type: group.protocol_type,
        group_state: if context.version >= 4 { group.state.to_owned() } else { String::new() },
        group_type: if context.version >= 5 { group.group_type.to_owned() } else { String::new() },
    });
    ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
}
