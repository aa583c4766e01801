//! `produce` and `fetch`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farlog_wire::Uuid;
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState,
};
use farlog_wire::messages::fetch_response::{FetchResponse, PartitionData};
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::messages::produce_response::{PartitionProduceResponse, ProduceResponse};

use crate::differential::batch::{batch_of, old_message, show_batches};
use crate::differential::script::Args;
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// From these versions on topics are named by their ids.
const PRODUCE_BY_ID: i16 = 13;
const FETCH_BY_ID: i16 = 13;

/// Less than half of what scenarios wait for.
const SHORT: Duration = Duration::from_millis(500);

/// `produce TOPIC PARTITIONS`: the same batch to each of the partitions (`0,1`).
pub(super) async fn produce(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let records = match args.option("instead") {
        None => Some(batch_of(args, world)),
        Some("null") => None,
        Some("nothing") => Some(Bytes::new()),
        Some("old-message") => Some(old_message()),
        Some(other) => panic!("produce knows no instead={other}"),
    };
    let alias = args.word(0);
    let partition_data = args.word(1).split(',').map(|index| PartitionProduceData {
        index: super::super::script::parse(index),
        records: records.clone(),
    });
    let by_id = version >= PRODUCE_BY_ID;
    let topic = TopicProduceData {
        name: if by_id { String::new() } else { world.name(alias) },
        topic_id: if by_id { world.topic_id(alias) } else { Uuid::ZERO },
        partition_data: partition_data.collect(),
    };
    let acks = args.number("acks", -1);
    let transactional_id = args.option("transactional-id").map(|id| world.name(id));
    let request =
        ProduceRequest { transactional_id, acks, timeout_ms: 10_000, topic_data: vec![topic] };
    if acks == 0 {
        world.peer.send(&request, version).await?;
        // On the same connection: after it was served, if the connection still is.
        let alive = world.peer.call(&ApiVersionsRequest::default(), 0).await.is_ok();
        return Ok(vec![if alive { "no answer" } else { "no answer, closed" }.to_owned()]);
    }
    let response = world.peer.call(&request, version).await?;
    Ok(show_produced(&response, version, world))
}

fn show_produced(response: &ProduceResponse, version: i16, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    // Kafka answers in the order of its hash tables.
    for topic in &response.responses {
        let named = match version >= PRODUCE_BY_ID {
            true => world.show_id(topic.topic_id),
            false => world.alias(&topic.name),
        };
        for partition in &topic.partition_responses {
            lines.push(format!("{named}-{}", show_produced_partition(partition, world)));
        }
    }
    lines.sort();
    lines
}

fn show_produced_partition(partition: &PartitionProduceResponse, world: &World) -> String {
    let mut line = format!(
        "{} {} offset={} start={}",
        partition.index,
        show_error(partition.error_code),
        partition.base_offset,
        partition.log_start_offset,
    );
    if partition.log_append_time_ms != -1 {
        line += &format!(" appended={}", world.show_time(partition.log_append_time_ms));
    }
    for wrong in &partition.record_errors {
        line += &format!(" wrong-record={}", wrong.batch_index);
    }
    if partition.current_leader.leader_id != -1 {
        line += &format!(" leader-epoch={}", partition.current_leader.leader_epoch);
    }
    line
}

/// `fetch TOPIC PARTITION OFFSET …`: more triples for more partitions.
pub(super) async fn fetch(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let request = fetch_request(world, args, version);
    let begun = Instant::now();
    let mut response = world.peer.call(&request, version).await?;
    let took = begun.elapsed();
    let mut lines = show_fetched(&mut response, version, world);
    if args.flag("timed") {
        lines.push(if took < SHORT { "at once" } else { "after a wait" }.to_owned());
    }
    if let Some(name) = args.option("as") {
        world.numbers.insert(name.to_owned(), i64::from(response.session_id));
    }
    Ok(lines)
}

fn fetch_request(world: &World, args: &Args, version: i16) -> FetchRequest {
    let by_id = version >= FETCH_BY_ID;
    let words: Vec<&String> = args
        .words()
        .iter()
        .filter(|word| !["committed", "timed"].contains(&word.as_str()))
        .collect();
    let topics = words.chunks(3).map(|triple| {
        let [alias, partition, offset] = triple else { panic!("fetch wants triples") };
        let asked = FetchPartition {
            partition: world.number(partition) as i32,
            fetch_offset: world.number(offset),
            current_leader_epoch: args.number("epoch", -1),
            last_fetched_epoch: args.number("last-epoch", -1),
            log_start_offset: -1,
            partition_max_bytes: args.number("partition-max", 1 << 20),
            ..FetchPartition::default()
        };
        FetchTopic {
            topic: if by_id { String::new() } else { world.name(alias) },
            topic_id: if by_id { world.topic_id(alias) } else { Uuid::ZERO },
            partitions: vec![asked],
        }
    });
    let topics = topics.collect();
    let forgotten = |text: &str| {
        let (alias, partition) = text.split_once('-').expect("topic-partition");
        ForgottenTopic {
            topic: if by_id { String::new() } else { world.name(alias) },
            topic_id: if by_id { world.topic_id(alias) } else { Uuid::ZERO },
            partitions: vec![world.number(partition) as i32],
        }
    };
    let replica = args.number("replica", -1);
    FetchRequest {
        replica_id: if version < 15 { replica } else { -1 },
        replica_state: match version < 15 {
            true => ReplicaState::default(),
            false => ReplicaState { replica_id: replica, ..ReplicaState::default() },
        },
        max_wait_ms: args.number("wait", 0),
        min_bytes: args.number("min", 0),
        max_bytes: args.number("max", i32::MAX),
        isolation_level: i8::from(args.flag("committed")),
        session_id: world.number(args.option("session").unwrap_or("0")) as i32,
        session_epoch: args.number("session-epoch", -1),
        topics,
        forgotten_topics_data: args.option("forget").map(forgotten).into_iter().collect(),
        ..FetchRequest::default()
    }
}

fn show_fetched(response: &mut FetchResponse, version: i16, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    if response.error_code.is_error() {
        lines.push(show_error(response.error_code));
    }
    if response.session_id != 0 {
        lines.push("a session".to_owned());
    }
    for topic in &mut response.responses {
        let named = match version >= FETCH_BY_ID {
            true => world.show_id(topic.topic_id),
            false => world.alias(&topic.topic),
        };
        topic.partitions.sort_by_key(|partition| partition.partition_index);
        for partition in &topic.partitions {
            lines.push(format!("{named}-{}", show_fetched_partition(partition)));
            let records = partition.records.as_deref().unwrap_or_default();
            lines.extend(show_batches(records, world));
        }
    }
    lines
}

fn show_fetched_partition(partition: &PartitionData) -> String {
    let mut line = format!(
        "{} {} high={} stable={} start={}",
        partition.partition_index,
        show_error(partition.error_code),
        partition.high_watermark,
        partition.last_stable_offset,
        partition.log_start_offset,
    );
    match &partition.aborted_transactions {
        // Beside an error it means nothing, and Kafka's empty list is null at times.
        _ if partition.error_code.is_error() => {}
        None => {}
        Some(aborted) => {
            let mut aborted: Vec<i64> = aborted.iter().map(|one| one.first_offset).collect();
            aborted.sort_unstable();
            line += &format!(" aborted={aborted:?}");
        }
    }
    if partition.diverging_epoch.end_offset >= 0 || partition.diverging_epoch.epoch >= 0 {
        let diverging = &partition.diverging_epoch;
        line += &format!(" diverges={}/{}", diverging.epoch, diverging.end_offset);
    }
    if partition.current_leader.leader_id != -1 {
        line += &format!(" leader-epoch={}", partition.current_leader.leader_epoch);
    }
    if partition.preferred_read_replica != -1 {
        line += " another-replica";
    }
    if partition.records.is_none() {
        line += " records=null";
    }
    line
}
