//! OffsetDelete, version 0 (KIP-496).
//!
//! - Offsets of topics that somebody in the group reads are kept: `GROUP_SUBSCRIBED_TO_TOPIC`.

use farlog_wire::messages::offset_delete_request::OffsetDeleteRequest;
use farlog_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(super) async fn handle(
    context: RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let (broker, mut offsets) = (&context.broker, Vec::new());
    for topic in &request.topics {
        let known = broker.catalog.topic(&topic.name);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if known.as_ref().is_some_and(|known| known.partition(index).is_ok()) {
                offsets.push((topic.name.clone(), index));
            }
        }
    }
    let outcome = broker.groups.delete_offsets(&broker.catalog, &request.group_id, &offsets).await;
    let outcomes = match outcome {
        Ok(outcomes) => outcomes,
        Err(error_code) => {
            return OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() };
        }
    };
    // In the order of the request, as they were gathered; what is missing is unknown.
    let mut outcomes = offsets.into_iter().zip(outcomes).peekable();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let partition_index = partition.partition_index;
            let outcome = outcomes
                .next_if(|((name, index), _)| *name == topic.name && *index == partition_index);
            let error_code =
                outcome.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |(_, code)| code);
            OffsetDeleteResponsePartition { partition_index, error_code }
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic { name: topic.name, partitions }
    });
    OffsetDeleteResponse { topics: topics.collect(), ..OffsetDeleteResponse::default() }
}
