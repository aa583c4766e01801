//! DescribeProducers, version 0 (KIP-664).

use farlog_wire::messages::describe_producers_request::DescribeProducersRequest;
use farlog_wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::partition::ProducerFacts;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let partitions = wanted.partition_indexes.iter().map(|&partition_index| {
            match producers(&context, &wanted.name, partition_index) {
                Ok(active_producers) => PartitionResponse {
                    partition_index,
                    active_producers,
                    error_message: None,
                    ..PartitionResponse::default()
                },
                Err(error_code) => PartitionResponse {
                    partition_index,
                    error_code,
                    error_message: None,
                    ..PartitionResponse::default()
                },
            }
        });
        TopicResponse { partitions: partitions.collect(), name: wanted.name }
    });
    DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() }
}

fn producers(
    context: &RequestContext,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    let topic = context.broker.catalog.topic(topic);
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let state = |facts: ProducerFacts| ProducerState {
        producer_id: facts.producer_id,
        producer_epoch: i32::from(facts.epoch),
        last_sequence: facts.last_sequence,
        last_timestamp: facts.last_timestamp_ms,
        coordinator_epoch: facts.coordinator_epoch,
        current_txn_start_offset: facts.transaction_start_offset,
    };
    Ok(topic.partition(index)?.producers().into_iter().map(state).collect())
}
