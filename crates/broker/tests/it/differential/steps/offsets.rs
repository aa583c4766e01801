//! `list-offsets`, `delete-records`, `epoch-end` and `producers`.

use farlog_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use farlog_wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::differential::script::Args;
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// `list-offsets TOPIC PARTITION TIME`; `committed` for committed readers.
pub(super) async fn list(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let partition = ListOffsetsPartition {
        partition_index: args.number_at(1),
        current_leader_epoch: args.number("epoch", -1),
        timestamp: world.time(args.word(2)),
    };
    let topic = ListOffsetsTopic { name: world.name(args.word(0)), partitions: vec![partition] };
    let request = ListOffsetsRequest {
        replica_id: args.number("replica", -1),
        isolation_level: i8::from(args.flag("committed")),
        topics: vec![topic],
        timeout_ms: if version >= 10 { 5_000 } else { 0 },
    };
    let response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            lines.push(format!(
                "{}-{} {} offset={} time={} epoch={}",
                world.alias(&topic.name),
                partition.partition_index,
                show_error(partition.error_code),
                partition.offset,
                world.show_time(partition.timestamp),
                partition.leader_epoch,
            ));
        }
    }
    Ok(lines)
}

/// `delete-records TOPIC PARTITION OFFSET`.
pub(super) async fn delete(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let partition =
        DeleteRecordsPartition { partition_index: args.number_at(1), offset: args.number_at(2) };
    let topic = DeleteRecordsTopic { name: world.name(args.word(0)), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000 };
    let response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            lines.push(format!(
                "{}-{} {} low={}",
                world.alias(&topic.name),
                partition.partition_index,
                show_error(partition.error_code),
                partition.low_watermark,
            ));
        }
    }
    Ok(lines)
}

/// `epoch-end TOPIC PARTITION EPOCH`; `epoch=` is what the client takes for the current one.
pub(super) async fn epoch_end(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let partition = OffsetForLeaderPartition {
        partition: args.number_at(1),
        current_leader_epoch: args.number("epoch", -1),
        leader_epoch: args.number_at(2),
    };
    let topic =
        OffsetForLeaderTopic { topic: world.name(args.word(0)), partitions: vec![partition] };
    let request = OffsetForLeaderEpochRequest {
        replica_id: if version >= 3 { args.number("replica", -1) } else { -2 },
        topics: vec![topic],
    };
    let response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            lines.push(format!(
                "{}-{} {} epoch={} end={}",
                world.alias(&topic.topic),
                partition.partition,
                show_error(partition.error_code),
                partition.leader_epoch,
                partition.end_offset,
            ));
        }
    }
    Ok(lines)
}

/// `producers TOPIC PARTITION`.
pub(super) async fn producers(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let topic =
        TopicRequest { name: world.name(args.word(0)), partition_indexes: vec![args.number_at(1)] };
    let request = DescribeProducersRequest { topics: vec![topic] };
    let mut response = world.peer.call(&request, version).await?;
    let mut lines = Vec::new();
    for topic in &mut response.topics {
        for partition in &mut topic.partitions {
            lines.push(format!(
                "{}-{} {}",
                world.alias(&topic.name),
                partition.partition_index,
                show_error(partition.error_code),
            ));
            partition.active_producers.sort_by_key(|producer| producer.producer_id);
            for producer in &partition.active_producers {
                lines.push(format!(
                    "  producer={}/{}/{} time={} coordinator={} open-from={}",
                    world.show_producer(producer.producer_id),
                    producer.producer_epoch,
                    producer.last_sequence,
                    world.show_time(producer.last_timestamp),
                    world.show_coordinator(producer.coordinator_epoch),
                    producer.current_txn_start_offset,
                ));
            }
        }
    }
    Ok(lines)
}
