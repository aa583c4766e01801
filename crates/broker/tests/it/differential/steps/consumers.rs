//! Groups of the consumer protocol (KIP-848): `consumer` and `consumer-group`.

use std::time::Duration;

use farlog_wire::Uuid;
use farlog_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use farlog_wire::messages::consumer_group_describe_response::Assignment;
use farlog_wire::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};

use tokio::time::sleep;

use super::transactions::ask;
use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// Between two looks whether the coordinator knows a topic, and how many there are at most.
const KNOWN_LOOK: Duration = Duration::from_millis(5);
const KNOWN_LOOKS_MAX: u32 = 2_000;

/// `consumer GROUP EPOCH`: `member= instance= topics=a,b owned=a:0,a:1 rebalance= assignor=
/// pattern= as=name`. A member that joins owns nothing unless it says so.
pub(super) async fn heartbeat(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let epoch: i32 = parse(args.word(1));
    let topics: Option<Vec<String>> = args.option("topics").map(|topics| {
        let names = topics.split(',').filter(|name| !name.is_empty());
        names.map(|name| world.name(name)).collect()
    });
    for name in topics.iter().flatten() {
        until_known(world, name).await?;
    }
    let joins = (epoch == 0).then_some("");
    let owned = args.option("owned").or(joins).map(|owned| {
        let owned = owned.split(',').filter(|one| !one.is_empty()).map(|one| {
            let (topic, partition) = one.split_once(':').expect("topic:partition");
            TopicPartitions { topic_id: world.topic_id(topic), partitions: vec![parse(partition)] }
        });
        owned.collect()
    });
    let request = ConsumerGroupHeartbeatRequest {
        group_id: world.name(args.word(0)),
        member_id: world.member(args.option("member").unwrap_or("")),
        member_epoch: epoch,
        instance_id: args.option("instance").map(str::to_owned),
        rebalance_timeout_ms: args.number("rebalance", if epoch == 0 { 20_000 } else { -1 }),
        subscribed_topic_names: topics,
        subscribed_topic_regex: args.option("pattern").map(str::to_owned),
        server_assignor: args.option("assignor").map(str::to_owned),
        topic_partitions: owned,
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    if let (Some(name), Some(member_id)) = (args.option("as"), &response.member_id) {
        world.texts.insert(name.to_owned(), member_id.clone());
    }
    let assignment = response.assignment.map(|assignment| {
        let topics = assignment.topic_partitions.into_iter();
        show(world, topics.map(|topic| (topic.topic_id, topic.partitions)))
    });
    Ok(vec![format!(
        "{} epoch={} interval={} {}",
        show_error(response.error_code),
        response.member_epoch,
        response.heartbeat_interval_ms,
        assignment.unwrap_or_else(|| "~".to_owned()),
    )])
}

/// Waits until the group coordinator knows a topic that was made: Kafka answers for a new topic
/// before its coordinator has heard of it, and who subscribes in between is told a rebalance later.
async fn until_known(world: &mut World, name: &str) -> Result<(), NoAnswer> {
    let Some(&topic_id) = world.topic_ids.get(name) else { return Ok(()) };
    for attempt in 0..KNOWN_LOOKS_MAX {
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: format!("{name}--known-{attempt}"),
            member_id: format!("{name}--probe"),
            member_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: 20_000,
            subscribed_topic_names: Some(vec![name.to_owned()]),
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: Some(Vec::new()),
        };
        let joined = ask(world, &request, 1, |response| response.error_code).await?;
        let assigned = joined.assignment.into_iter().flat_map(|all| all.topic_partitions);
        let is_known = assigned.into_iter().any(|topic| topic.topic_id == topic_id);
        request.member_epoch = -1;
        ask(world, &request, 1, |response| response.error_code).await?;
        if is_known {
            return Ok(());
        }
        sleep(KNOWN_LOOK).await;
    }
    panic!("after {KNOWN_LOOKS_MAX} looks the group coordinator has not heard of topic {name}");
}

/// `consumer-group GROUP`.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let group_ids = vec![world.name(args.word(0))];
    let request = ConsumerGroupDescribeRequest { group_ids, include_authorized_operations: false };
    let response = ask(world, &request, version, |_| farlog_wire::ErrorCode::NONE).await?;
    let mut lines = Vec::new();
    for group in response.groups {
        lines.push(format!(
            "{} {} epoch={} target={} assignor={}",
            show_error(group.error_code),
            group.group_state,
            group.group_epoch,
            group.assignment_epoch,
            group.assignor_name,
        ));
        let partitions = |assignment: Assignment| {
            let topics = assignment.topic_partitions.into_iter();
            show(world, topics.map(|topic| (topic.topic_id, topic.partitions)))
        };
        let mut members: Vec<String> = group
            .members
            .into_iter()
            .map(|member| {
                format!(
                    "  instance={} epoch={} type={} {} → {}",
                    member.instance_id.as_deref().unwrap_or("~"),
                    member.member_epoch,
                    member.member_type,
                    partitions(member.assignment),
                    partitions(member.target_assignment),
                )
            })
            .collect();
        members.sort();
        lines.extend(members);
    }
    Ok(lines)
}

fn show(world: &World, topics: impl Iterator<Item = (Uuid, Vec<i32>)>) -> String {
    let topics = topics.map(|(topic_id, mut partitions)| {
        partitions.sort_unstable();
        format!("{}:{partitions:?}", world.show_id(topic_id))
    });
    let mut topics: Vec<String> = topics.collect();
    topics.sort();
    format!("[{}]", topics.join(" "))
}
