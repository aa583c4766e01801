//! ListOffsets, versions 1 to 11.
//!
//! - -1 latest (the last stable offset for committed readers), -2 earliest, -3 largest timestamp
//!   (KIP-734), -4 earliest local, -5 latest tiered (KIP-405, KIP-1005): nothing is tiered from a
//!   client's point of view, so local is all and tiered is none, nor is anything to be uploaded
//!   (-6, KIP-1023).
//! - A special time in a version from before it was invented is refused.
//! - Any other: the first record at that time or later.

use farlog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use farlog_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::partition::{FetchIsolation, FoundOffset};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 11 };

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// From this version on answers name the leader epoch (KIP-320).
const WITH_EPOCH: i16 = 4;

pub(super) async fn handle(
    context: RequestContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        0 => FetchIsolation::ReadUncommitted,
        _ => FetchIsolation::ReadCommitted,
    };
    let mut topics = Vec::new();
    for wanted in request.topics {
        let mut partitions = Vec::new();
        for asked in &wanted.partitions {
            let found = find(&context, &wanted.name, asked, isolation).await;
            partitions.push(ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: found.err().unwrap_or(ErrorCode::NONE),
                timestamp: found.map_or(-1, |found| found.timestamp_ms),
                offset: found.map_or(-1, |found| found.offset),
                leader_epoch: match context.version >= WITH_EPOCH {
                    true => found.map_or(-1, |found| found.leader_epoch),
                    false => -1,
                },
            });
        }
        topics.push(ListOffsetsTopicResponse { name: wanted.name, partitions });
    }
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

async fn find(
    context: &RequestContext,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: FetchIsolation,
) -> Result<FoundOffset, ErrorCode> {
    const NOTHING: FoundOffset = FoundOffset { offset: -1, timestamp_ms: -1, leader_epoch: -1 };
    let topic = context.broker.catalog.topic(topic);
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition_index)?;
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    if context.version < since(asked.timestamp) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let offsets = partition.offsets();
    let at =
        |offset| FoundOffset { offset, timestamp_ms: -1, leader_epoch: partition.epoch_at(offset) };
    match asked.timestamp {
        LATEST => Ok(at(match isolation {
            FetchIsolation::ReadUncommitted => offsets.high_watermark,
            FetchIsolation::ReadCommitted => offsets.last_stable,
        })),
        EARLIEST | EARLIEST_LOCAL => Ok(at(offsets.start)),
        MAX_TIMESTAMP => Ok(partition.offset_of_max_timestamp(isolation).await?.unwrap_or(NOTHING)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        timestamp => Ok(partition.offset_at(timestamp, isolation).await?.unwrap_or(NOTHING)),
    }
}

/// The version in which a special time was invented.
fn since(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        timestamp if timestamp < EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 1,
    }
}
