//! Groups of the classic protocol: `join`, `sync`, `heartbeat`, `leave`, `groups`, `group` and
//! `delete-groups`.

use bytes::Bytes;
use farlog_wire::messages::delete_groups_request::DeleteGroupsRequest;
use farlog_wire::messages::describe_groups_request::DescribeGroupsRequest;
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use farlog_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use farlog_wire::{ErrorCode, Request};
use tokio::time::sleep;

use super::transactions::ask;
use crate::differential::script::Args;
use crate::differential::world::{LOOK_AGAIN, World, show_error};
use crate::peer::NoAnswer;

/// From this version on several members can leave at once.
const LEAVE_MANY: i16 = 3;

/// `join-group GROUP`: `member= instance= protocols=a:text,b:text type=consumer session= rebalance=
/// as=name`.
pub(super) async fn join(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let protocols = args.option("protocols").unwrap_or("range:m").split(',');
    let protocols = protocols.filter(|protocol| !protocol.is_empty()).map(|protocol| {
        let (name, metadata) = protocol.split_once(':').expect("name:metadata");
        JoinGroupRequestProtocol { name: name.to_owned(), metadata: metadata_of(metadata, world) }
    });
    let request = JoinGroupRequest {
        group_id: world.name(args.word(0)),
        session_timeout_ms: args.number("session", 20_000),
        rebalance_timeout_ms: args.number("rebalance", 20_000),
        member_id: world.member(args.option("member").unwrap_or("")),
        group_instance_id: args.option("instance").map(str::to_owned),
        protocol_type: args.option("type").unwrap_or("consumer").to_owned(),
        protocols: protocols.collect(),
        reason: None,
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    if let Some(name) = args.option("as").filter(|_| !response.member_id.is_empty()) {
        world.texts.insert(name.to_owned(), response.member_id.clone());
    }
    let mut line = format!(
        "{} generation={} protocol={}/{} leader={} member={}",
        show_error(response.error_code),
        response.generation_id,
        response.protocol_type.as_deref().unwrap_or("~"),
        response.protocol_name.as_deref().unwrap_or("~"),
        world.show_member(&response.leader),
        world.show_member(&response.member_id),
    );
    if response.skip_assignment {
        line += " skip-assignment";
    }
    let mut members: Vec<String> = response
        .members
        .iter()
        .map(|member| {
            let instance = member.group_instance_id.as_deref().unwrap_or("~");
            let metadata = String::from_utf8_lossy(&member.metadata);
            format!("  {} instance={instance} {metadata}", world.show_member(&member.member_id))
        })
        .collect();
    members.sort();
    Ok([vec![line], members].concat())
}

/// A consumer's subscription (`ConsumerProtocolSubscription`, version 0) if the text is
/// `topics(a)`; any other text as it is.
fn metadata_of(text: &str, world: &World) -> Bytes {
    let topic = text.strip_prefix("topics(").and_then(|text| text.strip_suffix(')'));
    let Some(topic) = topic else { return Bytes::copy_from_slice(text.as_bytes()) };
    let name = world.name(topic);
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes.extend([0xff; 4]);
    bytes.into()
}

/// `sync GROUP GENERATION`: `member= instance= assign=$a:text,$b:text protocol=type/name`.
pub(super) async fn sync(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let assignments = args.option("assign").unwrap_or("").split(',').filter(|one| !one.is_empty());
    let assignments = assignments.map(|one| {
        let (member, text) = one.split_once(':').expect("member:text");
        SyncGroupRequestAssignment {
            member_id: world.member(member),
            assignment: Bytes::copy_from_slice(text.as_bytes()),
        }
    });
    let protocol = args.option("protocol").unwrap_or("consumer/range").split_once('/');
    let (protocol_type, name) = protocol.expect("type/name");
    let named = version >= 5;
    let request = SyncGroupRequest {
        group_id: world.name(args.word(0)),
        generation_id: args.number_at(1),
        member_id: world.member(args.option("member").unwrap_or("")),
        group_instance_id: args.option("instance").map(str::to_owned),
        protocol_type: named.then(|| protocol_type.to_owned()),
        protocol_name: named.then(|| name.to_owned()),
        assignments: assignments.collect(),
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    Ok(vec![format!(
        "{} protocol={}/{} {}",
        show_error(response.error_code),
        response.protocol_type.as_deref().unwrap_or("~"),
        response.protocol_name.as_deref().unwrap_or("~"),
        String::from_utf8_lossy(&response.assignment),
    )])
}

/// `heartbeat GROUP GENERATION`: `member= instance=`; `until=ERROR` asks until that is said.
pub(super) async fn heartbeat(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let request = HeartbeatRequest {
        group_id: world.name(args.word(0)),
        generation_id: args.number_at(1),
        member_id: world.member(args.option("member").unwrap_or("")),
        group_instance_id: args.option("instance").map(str::to_owned),
    };
    loop {
        let response = ask(world, &request, version, |response| response.error_code).await?;
        let said = show_error(response.error_code);
        if args.option("until").is_none_or(|until| until == said) {
            return Ok(vec![said]);
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// `leave GROUP`: `members=$a,$b` or `instances=i,j`.
pub(super) async fn leave(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let split = |name: &str| args.option(name).map(|list| list.split(',').collect::<Vec<_>>());
    let by_id = split("members").unwrap_or_default().into_iter().map(|member| MemberIdentity {
        member_id: world.member(member),
        ..MemberIdentity::default()
    });
    let by_instance = split("instances").unwrap_or_default();
    let by_instance = by_instance.into_iter().map(|instance| MemberIdentity {
        group_instance_id: Some(instance.to_owned()),
        ..MemberIdentity::default()
    });
    let members: Vec<MemberIdentity> = by_id.chain(by_instance).collect();
    let many = version >= LEAVE_MANY;
    let request = LeaveGroupRequest {
        group_id: world.name(args.word(0)),
        member_id: if many { String::new() } else { members[0].member_id.clone() },
        members: if many { members } else { Vec::new() },
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    let mut lines = vec![show_error(response.error_code)];
    lines.extend(response.members.iter().map(|member| {
        format!(
            "  {} instance={} {}",
            world.show_member(&member.member_id),
            member.group_instance_id.as_deref().unwrap_or("~"),
            show_error(member.error_code),
        )
    }));
    Ok(lines)
}

/// `groups`: `states=A,B types=c,d`; only those of this case are told.
pub(super) async fn list(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let split = |name: &str| -> Vec<String> {
        args.option(name)
            .map(|list| list.split(',').map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let request =
        ListGroupsRequest { states_filter: split("states"), types_filter: split("types") };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    let mut lines = Vec::new();
    for group in &response.groups {
        let alias = world.alias(&group.group_id);
        if !alias.starts_with('=') {
            lines.push(format!(
                "  {alias} protocol={} state={} type={}",
                group.protocol_type, group.group_state, group.group_type,
            ));
        }
    }
    lines.sort();
    lines.insert(0, show_error(response.error_code));
    Ok(lines)
}

/// `group GROUP…`: what is known of it; `operations` for what may be done.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let names = args.words().iter().filter(|word| *word != "operations");
    let request = DescribeGroupsRequest {
        groups: names.map(|alias| world.name(alias)).collect(),
        include_authorized_operations: version >= 3 && args.flag("operations"),
    };
    let code = |response: &<DescribeGroupsRequest as Request>::Response| {
        response.groups.first().map_or(ErrorCode::NONE, |group| group.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines = Vec::new();
    for group in &response.groups {
        let operations = match group.authorized_operations {
            i32::MIN => String::new(),
            operations => format!(" operations={operations:#x}"),
        };
        lines.push(format!(
            "{} {} state={} protocol={}/{}{operations}",
            world.alias(&group.group_id),
            show_error(group.error_code),
            group.group_state,
            group.protocol_type,
            group.protocol_data,
        ));
        let mut members: Vec<String> = group
            .members
            .iter()
            .map(|member| {
                format!(
                    "  {} instance={} client={} host={} {}/{}",
                    world.show_member(&member.member_id),
                    member.group_instance_id.as_deref().unwrap_or("~"),
                    member.client_id,
                    member.client_host,
                    String::from_utf8_lossy(&member.member_metadata),
                    String::from_utf8_lossy(&member.member_assignment),
                )
            })
            .collect();
        members.sort();
        lines.extend(members);
    }
    Ok(lines)
}

/// `delete-groups GROUP…`.
pub(super) async fn delete(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let request = DeleteGroupsRequest {
        groups_names: args.words().iter().map(|alias| world.name(alias)).collect(),
    };
    let code = |response: &<DeleteGroupsRequest as Request>::Response| {
        response.results.first().map_or(ErrorCode::NONE, |group| group.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines: Vec<String> = response
        .results
        .iter()
        .map(|group| format!("{} {}", world.alias(&group.group_id), show_error(group.error_code)))
        .collect();
    lines.sort();
    Ok(lines)
}
