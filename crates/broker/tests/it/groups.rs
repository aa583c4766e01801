//! Classic groups and their offsets, with clients of other people and ours.

use std::time::Duration;

use bytes::Bytes;
use farlog_broker::BrokerOptions;
use farlog_client::Cluster;
use farlog_client::TopicSelection;
use farlog_client::group::{Assignments, GroupEvent, GroupMember, GroupOptions, JoinedMember};
use farlog_store::{LogId, RecoveredLog, Store};
use farlog_testkit::tools::Tool;
use farlog_wire::ErrorCode;
use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};

use crate::clients::{KAFKA, run};
use crate::fixture::{loopback, start, start_with};

fn tool(class: &str, servers: &str) -> Tool {
    Tool::kafka(KAFKA, &format!("org.apache.kafka.tools.{class}"))
        .args(["--bootstrap-server", servers])
}

fn groups_tool(servers: &str) -> Tool {
    tool("consumer.group.ConsumerGroupCommand", servers)
}

fn console_consumer(servers: &str, protocol: &str, count: usize) -> Tool {
    tool("consumer.ConsoleConsumer", servers)
        .args(["--topic", "greetings", "--group", "readers", "--timeout-ms", "30000"])
        .args(["--command-property", &format!("group.protocol={protocol}")])
        .args(["--command-property", "auto.offset.reset=earliest"])
        .args(["--max-messages", &count.to_string()])
}

/// Kafka's own consumer reads on where it stopped, and Kafka's own tool sees, moves and deletes
/// what it committed.
async fn kafkas_tools_work_with_groups(protocol: &str) {
    let broker = start().await;
    broker.topic("greetings", 2, &[]).await;
    let servers = broker.bootstrap();
    let produce = |text: &'static str| {
        tool("ConsoleProducer", &servers).args(["--topic", "greetings"]).input(text)
    };
    run(produce("one\ntwo\nthree\n")).await;
    let read = run(console_consumer(&servers, protocol, 3)).await;
    let mut lines: Vec<&str> = read.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"]);
    run(produce("four\n")).await;
    let read = run(console_consumer(&servers, protocol, 1)).await;
    assert_eq!(read.trim(), "four", "what was read before is committed");

    let described =
        run(groups_tool(&servers).args(["--describe", "--group", "readers", "--offsets"])).await;
    let rows = described.lines().filter(|line| line.starts_with("readers"));
    let lags = rows.map(|row| row.split_whitespace().nth(5).expect("a lag").to_owned());
    assert_eq!(lags.collect::<Vec<_>>(), ["0", "0"], "{described}");
    let listed = run(groups_tool(&servers).args(["--list", "--state", "Empty"])).await;
    assert!(listed.contains("readers"), "{listed}");

    run(groups_tool(&servers).args(["--reset-offsets", "--group", "readers", "--execute"]).args([
        "--to-earliest",
        "--topic",
        "greetings",
    ]))
    .await;
    let read = run(console_consumer(&servers, protocol, 4)).await;
    assert_eq!(read.lines().count(), 4, "all of it again");

    run(groups_tool(&servers)
        .args(["--delete-offsets", "--group", "readers"])
        .args(["--topic", "greetings:0"]))
    .await;
    let deleted = run(groups_tool(&servers).args(["--delete", "--group", "readers"])).await;
    assert!(deleted.contains("was successful"), "{deleted}");
    let listed = run(groups_tool(&servers).args(["--list"])).await;
    assert!(!listed.contains("readers"), "{listed}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tools_work_with_classic_groups() {
    kafkas_tools_work_with_groups("classic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tools_work_with_consumer_groups() {
    kafkas_tools_work_with_groups("consumer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_formatters_read_what_groups_write() {
    let broker = start().await;
    broker.topic("greetings", 1, &[]).await;
    let servers = broker.bootstrap();
    run(tool("ConsoleProducer", &servers).args(["--topic", "greetings"]).input("one\n")).await;
    run(console_consumer(&servers, "classic", 1)).await;
    let offsets =
        run(tool("GetOffsetShell", &servers).args(["--topic", "__consumer_offsets"])).await;
    let ends = offsets.lines().filter_map(|line| line.rsplit(':').next()?.parse::<usize>().ok());
    let records: usize = ends.sum();
    for (formatter, word) in [
        ("OffsetsMessageFormatter", r#""offset":1"#),
        ("GroupMetadataMessageFormatter", r#""protocolType":"consumer""#),
    ] {
        let consumer = tool("consumer.ConsoleConsumer", &servers)
            .args(["--topic", "__consumer_offsets", "--from-beginning"])
            .args(["--formatter", &format!("org.apache.kafka.tools.consumer.{formatter}")])
            .args(["--max-messages", &records.to_string(), "--timeout-ms", "60000"]);
        let read = run(consumer).await;
        assert!(read.contains(word), "{formatter}: {read}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_consumes_in_a_group() {
    let broker = start().await;
    broker.topic("greetings", 2, &[]).await;
    let servers = broker.bootstrap();
    run(Tool::kcat().args(["-b", &servers, "-P", "-t", "greetings"]).input("one\ntwo\n")).await;
    let consume = |count: &str| {
        Tool::kcat().args(["-b", &servers, "-G", "readers", "-c", count, "-q"]).args([
            "-X",
            "auto.offset.reset=earliest",
            "greetings",
        ])
    };
    assert_eq!(run(consume("2")).await.lines().count(), 2);
    run(Tool::kcat().args(["-b", &servers, "-P", "-t", "greetings"]).input("three\n")).await;
    assert_eq!(run(consume("1")).await.trim(), "three");
    broker.stop().await;
}

fn first_owns(members: &[JoinedMember]) -> Assignments {
    let owner = members.iter().min_by(|one, other| one.metadata.cmp(&other.metadata));
    vec![(owner.expect("a member").member_id.clone(), Bytes::from_static(b"everything"))]
}

fn member(cluster: &Cluster, instance_id: Option<&str>) -> GroupMember {
    let options = GroupOptions {
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(20),
        heartbeat_interval: Duration::from_millis(50),
        instance_id: instance_id.map(str::to_owned),
        ..GroupOptions::new("owners", "farlog", "owner")
    };
    GroupMember::new(cluster.clone(), options)
}

#[tokio::test(flavor = "multi_thread")]
async fn our_members_hand_over() {
    let broker = start().await;
    let cluster = broker.client().await;
    let mut second = member(&cluster, None);
    let alone = second.join(Bytes::from_static(b"b"), first_owns).await.unwrap();
    assert_eq!((&alone.assignment[..], alone.is_leader), (&b"everything"[..], true));
    let mut first = member(&cluster, None);
    let (of_first, of_second) =
        tokio::join!(first.join(Bytes::from_static(b"a"), first_owns), async {
            assert!(matches!(second.event().await, GroupEvent::Rebalance));
            second.join(Bytes::from_static(b"b"), first_owns).await
        });
    assert_eq!(&of_first.unwrap().assignment[..], b"everything");
    assert!(of_second.unwrap().assignment.is_empty());
    first.leave().await.unwrap();
    assert!(matches!(second.event().await, GroupEvent::Rebalance));
    let alone = second.join(Bytes::from_static(b"b"), first_owns).await.unwrap();
    assert_eq!(&alone.assignment[..], b"everything");
    second.leave().await.unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_takes_its_place_back_and_fences_the_old_one() {
    let broker = start().await;
    let cluster = broker.client().await;
    let mut old = member(&cluster, Some("one"));
    let first = old.join(Bytes::from_static(b"a"), first_owns).await.unwrap();
    let mut new = member(&cluster, Some("one"));
    let again = new.join(Bytes::from_static(b"a"), first_owns).await.unwrap();
    assert_eq!(again.generation_id, first.generation_id, "no rebalance");
    assert_eq!(&again.assignment[..], b"everything");
    let GroupEvent::Lost(error) = old.event().await else { panic!("the old one is fenced") };
    assert!(error.to_string().contains("FENCED_INSTANCE_ID"), "{error}");
    broker.stop().await;
}

/// The logs of a store, as a start finds them.
async fn recovered(cluster: &Cluster, store: &Store) -> Vec<RecoveredLog> {
    let metadata = cluster.metadata(&TopicSelection::All).await.expect("the broker answers");
    let mut logs = Vec::new();
    for topic in metadata.topics.values() {
        let topic_id = topic.topic_id.expect("an id").0;
        for &partition in topic.partitions.keys() {
            let id = LogId { topic: topic_id, partition };
            let extent = store.extent(id).expect("the log of a partition");
            logs.push(RecoveredLog {
                id,
                start_offset: extent.start_offset,
                end_offset: extent.end_offset,
                checkpoint: None,
            });
        }
    }
    logs
}

async fn commit(cluster: &Cluster, generation: i32, member_id: &str, offset: i64) -> ErrorCode {
    let request = OffsetCommitRequest {
        group_id: "owners".to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "greetings".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_metadata: Some("noted".to_owned()),
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let coordinator = cluster.group_coordinator("owners").await.expect("the broker answers");
    let response = coordinator.send_version(&request, 9).await.expect("the broker answers");
    response.topics[0].partitions[0].error_code
}

async fn committed(cluster: &Cluster) -> Vec<(String, i32, i64)> {
    let group = OffsetFetchRequestGroup {
        group_id: "owners".to_owned(),
        topics: None,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    let coordinator = cluster.group_coordinator("owners").await.expect("the broker answers");
    let response = coordinator.send_version(&request, 9).await.expect("the broker answers");
    let topics = response.groups.into_iter().flat_map(|group| group.topics);
    let offsets = topics.flat_map(|topic| {
        let name = topic.name;
        let partitions = topic.partitions.into_iter();
        partitions.map(move |one| (name.clone(), one.partition_index, one.committed_offset))
    });
    offsets.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_offsets_survive_a_restart() {
    let options = BrokerOptions::in_memory(loopback());
    let store = options.store.clone();
    let broker = start_with(options).await;
    broker.topic("greetings", 1, &[]).await;
    broker.topic("farewells", 1, &[]).await;
    let cluster = broker.client().await;
    let mut owner = member(&cluster, Some("one"));
    let joined = owner.join(Bytes::from_static(b"a"), first_owns).await.unwrap();
    let (generation, id) = (joined.generation_id, joined.member_id);
    assert_eq!(commit(&cluster, generation, &id, 41).await, ErrorCode::NONE);
    assert_eq!(commit(&cluster, generation, &id, 42).await, ErrorCode::NONE);
    assert_eq!(commit(&cluster, generation + 1, &id, 43).await, ErrorCode::ILLEGAL_GENERATION);
    let fenced = commit(&cluster, generation, "somebody", 43).await;
    assert_eq!(fenced, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&cluster, -1, "", 43).await, ErrorCode::UNKNOWN_MEMBER_ID);
    let recovered = recovered(&cluster, &store).await;
    drop((owner, cluster));
    broker.stop().await;

    let options = BrokerOptions { store, recovered, ..BrokerOptions::in_memory(loopback()) };
    let broker = start_with(options).await;
    let cluster = broker.client().await;
    assert_eq!(committed(&cluster).await, [("greetings".to_owned(), 0, 42)]);
    // The member is still in its generation: it may go on as if nothing had been.
    assert_eq!(commit(&cluster, generation, &id, 44).await, ErrorCode::NONE);
    let described = cluster.describe_groups(&["owners".to_owned()]).await.unwrap();
    let described = described["owners"].as_ref().unwrap();
    assert_eq!((&*described.state, described.members.len()), ("Stable", 1));
    assert_eq!(&described.members[0].assignment[..], b"everything");
    cluster.delete_topics(&["greetings".to_owned()]).await.unwrap();
    assert_eq!(committed(&cluster).await, [], "nobody is anywhere in a topic that is gone");
    broker.stop().await;
}
