//! OffsetForLeaderEpoch, versions 2 to 4 (KIP-101, KIP-279, KIP-320).

use farlog_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use farlog_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 2, max: 4 };

pub(super) async fn handle(
    context: RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let partitions = wanted.partitions.iter().map(|asked| {
            let (error_code, (leader_epoch, end_offset)) =
                match find(&context, &wanted.topic, asked) {
                    Ok(found) => (ErrorCode::NONE, found.unwrap_or((-1, -1))),
                    Err(code) => (code, (-1, -1)),
                };
            EpochEndOffset { error_code, partition: asked.partition, leader_epoch, end_offset }
        });
        OffsetForLeaderTopicResult { partitions: partitions.collect(), topic: wanted.topic }
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    }
}

fn find(
    context: &RequestContext,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ErrorCode> {
    let topic = context.broker.catalog.topic(topic);
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition)?;
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    Ok(partition.end_of_epoch(asked.leader_epoch))
}
