//! `find`, `add-partitions`, `add-offsets`, `end`, `commit-in`, `markers`, `transaction` and
//! `transactions`.

use farlog_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use farlog_wire::messages::add_partitions_to_txn_response::AddPartitionsToTxnResponse;
use farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::list_transactions_request::ListTransactionsRequest;
use farlog_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use farlog_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use farlog_wire::{ErrorCode, Request};
use tokio::time::sleep;

use crate::differential::script::{Args, parse};
use crate::differential::world::{LOOK_AGAIN, World, show_error};
use crate::peer::NoAnswer;

/// Answers after which a client asks again.
const ASK_AGAIN: &[ErrorCode] = &[
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::CONCURRENT_TRANSACTIONS,
];

/// From this version on partitions of several transactions are added at once, by brokers.
const ADD_MANY: i16 = 4;

/// How often a coordinator is asked again before its answer is taken as it is.
const TIMES_MAX: u32 = 2_000;

/// Asks until the coordinator is ready to answer.
pub(super) async fn ask<R: Request>(
    world: &mut World,
    request: &R,
    version: i16,
    code: impl Fn(&R::Response) -> ErrorCode,
) -> Result<R::Response, NoAnswer> {
    for _ in 0..TIMES_MAX {
        let response = world.peer.call(request, version).await?;
        if !ASK_AGAIN.contains(&code(&response)) {
            return Ok(response);
        }
        sleep(LOOK_AGAIN).await;
    }
    world.peer.call(request, version).await
}

/// `producer=id/epoch`.
fn producer_of(args: &Args, world: &World) -> (i64, i16) {
    let text = args.option("producer").expect("producer=id/epoch");
    let (id, epoch) = text.split_once('/').expect("id/epoch");
    (world.number(id), world.number(epoch) as i16)
}

/// `find KEY`: `type=1` for a transactional id.
pub(super) async fn find(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let keys: Vec<String> = args.words().iter().map(|alias| world.name(alias)).collect();
    let many = version >= 4;
    let request = FindCoordinatorRequest {
        key: if many { String::new() } else { keys[0].clone() },
        key_type: args.number("type", 0),
        coordinator_keys: if many { keys } else { Vec::new() },
    };
    let code = |response: &<FindCoordinatorRequest as Request>::Response| {
        let first = response.coordinators.first();
        first.map_or(response.error_code, |coordinator| coordinator.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let is_one = |node: i32| if node == -1 { "none" } else { "one" };
    if !many {
        let node = is_one(response.node_id);
        return Ok(vec![format!("{} coordinator={node}", show_error(response.error_code))]);
    }
    let lines = response.coordinators.iter().map(|found| {
        let (error, node) = (show_error(found.error_code), is_one(found.node_id));
        format!("{} {error} coordinator={node}", world.alias(&found.key))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    Ok(lines)
}

/// `add-partitions ID TOPIC PARTITIONS`: `producer=id/epoch verify`.
pub(super) async fn add_partitions(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = producer_of(args, world);
    let topic = AddPartitionsToTxnTopic {
        name: world.name(args.word(1)),
        partitions: args.word(2).split(',').map(parse).collect(),
    };
    let transactional_id = world.name(args.word(0));
    let request = match version >= ADD_MANY {
        true => AddPartitionsToTxnRequest {
            transactions: vec![AddPartitionsToTxnTransaction {
                transactional_id,
                producer_id,
                producer_epoch,
                verify_only: args.flag("verify"),
                topics: vec![topic],
            }],
            ..AddPartitionsToTxnRequest::default()
        },
        false => AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: transactional_id,
            v3_and_below_producer_id: producer_id,
            v3_and_below_producer_epoch: producer_epoch,
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        },
    };
    let topics = |response: &AddPartitionsToTxnResponse| {
        let many = response.results_by_transaction.iter().flat_map(|result| &result.topic_results);
        let one = response.results_by_topic_v3_and_below.iter();
        many.chain(one).cloned().collect::<Vec<_>>()
    };
    let code = |response: &AddPartitionsToTxnResponse| {
        let topics = topics(response);
        let first = topics.first().and_then(|topic| topic.results_by_partition.first());
        first.map_or(response.error_code, |partition| partition.partition_error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines = Vec::new();
    if response.error_code.is_error() {
        lines.push(show_error(response.error_code));
    }
    for topic in topics(&response) {
        for partition in &topic.results_by_partition {
            let error = show_error(partition.partition_error_code);
            let alias = world.alias(&topic.name);
            lines.push(format!("{alias}-{} {error}", partition.partition_index));
        }
    }
    lines.sort();
    Ok(lines)
}

/// `add-offsets ID GROUP`: `producer=id/epoch`.
pub(super) async fn add_offsets(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = producer_of(args, world);
    let request = AddOffsetsToTxnRequest {
        transactional_id: world.name(args.word(0)),
        producer_id,
        producer_epoch,
        group_id: world.name(args.word(1)),
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    Ok(vec![show_error(response.error_code)])
}

/// `end ID commit|abort`: `producer=id/epoch as=name`; waits until the markers are written.
pub(super) async fn end(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = producer_of(args, world);
    let transactional_id = world.name(args.word(0));
    let request = EndTxnRequest {
        transactional_id: transactional_id.clone(),
        producer_id,
        producer_epoch,
        committed: args.word(1) == "commit",
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    let mut line = show_error(response.error_code);
    if !response.error_code.is_error() {
        world.wait_for_transaction(&transactional_id).await;
    }
    if version >= 5 {
        let id = match response.producer_id {
            -1 => "-1",
            id if id == producer_id => "the-same",
            _ => "another",
        };
        line += &format!(" {id}/{}", response.producer_epoch);
    }
    if let Some(name) = args.option("as").filter(|_| response.producer_id >= 0) {
        world.numbers.insert(name.to_owned(), response.producer_id);
        world.numbers.insert(format!("{name}-epoch"), i64::from(response.producer_epoch));
    }
    Ok(vec![line])
}

/// `commit-in ID GROUP TOPIC PARTITION OFFSET`: `producer=id/epoch generation= member=`.
pub(super) async fn commit(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = producer_of(args, world);
    let partition = TxnOffsetCommitRequestPartition {
        partition_index: args.number_at(3),
        committed_offset: args.number_at(4),
        committed_leader_epoch: -1,
        committed_metadata: args.option("metadata").map(str::to_owned).or(Some(String::new())),
    };
    let topic =
        TxnOffsetCommitRequestTopic { name: world.name(args.word(2)), partitions: vec![partition] };
    let request = TxnOffsetCommitRequest {
        transactional_id: world.name(args.word(0)),
        group_id: world.name(args.word(1)),
        producer_id,
        producer_epoch,
        generation_id: args.number("generation", -1),
        member_id: world.member(args.option("member").unwrap_or("")),
        group_instance_id: None,
        topics: vec![topic],
    };
    let code = |response: &<TxnOffsetCommitRequest as Request>::Response| {
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.next().map_or(ErrorCode::NONE, |partition| partition.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            let error = show_error(partition.error_code);
            let alias = world.alias(&topic.name);
            lines.push(format!("{alias}-{} {error}", partition.partition_index));
        }
    }
    Ok(lines)
}

/// `markers TOPIC PARTITIONS commit|abort`: `producer=id/epoch coordinator=0`.
pub(super) async fn markers(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let (producer_id, producer_epoch) = producer_of(args, world);
    let topic = WritableTxnMarkerTopic {
        name: world.name(args.word(0)),
        partition_indexes: args.word(1).split(',').map(parse).collect(),
    };
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id,
            producer_epoch,
            transaction_result: args.word(2) == "commit",
            topics: vec![topic],
            coordinator_epoch: args.number("coordinator", 0),
            transaction_version: args.number("transaction-version", 0),
        }],
    };
    let response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for marker in &response.markers {
        for topic in &marker.topics {
            for partition in &topic.partitions {
                lines.push(format!(
                    "{} {}-{} {}",
                    world.show_producer(marker.producer_id),
                    world.alias(&topic.name),
                    partition.partition_index,
                    show_error(partition.error_code),
                ));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

/// `transaction ID…`: what is known of it.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let ids: Vec<String> = args.words().iter().map(|alias| world.name(alias)).collect();
    let request = DescribeTransactionsRequest { transactional_ids: ids };
    let code = |response: &<DescribeTransactionsRequest as Request>::Response| {
        response.transaction_states.first().map_or(ErrorCode::NONE, |state| state.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines = Vec::new();
    for state in &response.transaction_states {
        let begun = state.transaction_start_time_ms;
        let mut line = format!(
            "{} {} {} producer={}/{} timeout={} since={}",
            world.alias(&state.transactional_id),
            show_error(state.error_code),
            state.transaction_state,
            world.show_producer(state.producer_id),
            state.producer_epoch,
            state.transaction_timeout_ms,
            if begun <= 0 { begun.to_string() } else { world.show_time(begun) },
        );
        let mut partitions: Vec<String> = Vec::new();
        for topic in &state.topics {
            let alias = world.alias(&topic.topic);
            let of_topic = topic.partitions.iter();
            // Which partition of the offsets topic it is depends on how many there are.
            partitions.extend(of_topic.map(|index| match alias.starts_with('=') {
                true => alias.clone(),
                false => format!("{alias}-{index}"),
            }));
        }
        partitions.sort();
        line += &format!(" {partitions:?}");
        lines.push(line);
    }
    lines.sort();
    Ok(lines)
}

/// `transactions`: `states=A,B producers=$p matching=PATTERN`; only those of this case are told.
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
    let pattern = args.option("matching").map(str::to_owned);
    let request = ListTransactionsRequest {
        state_filters: split("states"),
        producer_id_filters: split("producers").iter().map(|name| world.number(name)).collect(),
        duration_filter: if version >= 1 { args.number("longer-than", -1) } else { -1 },
        transactional_id_pattern: pattern.filter(|_| version >= 2),
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    let mut lines = Vec::new();
    for state in &response.transaction_states {
        let alias = world.alias(&state.transactional_id);
        if !alias.starts_with('=') {
            let producer = world.show_producer(state.producer_id);
            lines.push(format!("{alias} {} producer={producer}", state.transaction_state));
        }
    }
    lines.sort();
    let mut unknown = response.unknown_state_filters.clone();
    unknown.sort();
    lines.insert(0, format!("{} unknown-states={unknown:?}", show_error(response.error_code)));
    Ok(lines)
}
