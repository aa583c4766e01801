//! CreatePartitions, versions 0 to 3 (KIP-195).
//!
//! - Manual assignments must name this broker alone.

use farlog_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use farlog_wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::Refusal;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };

pub(super) async fn handle(
    context: RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut results = Vec::new();
    for topic in request.topics {
        let grown = grow(&context, &topic, request.validate_only).await;
        let refusal = grown.err().unwrap_or(Refusal { code: ErrorCode::NONE, message: None });
        results.push(CreatePartitionsTopicResult {
            name: topic.name,
            error_code: refusal.code,
            error_message: refusal.message,
        });
    }
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

async fn grow(
    context: &RequestContext,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let node_id = context.broker.node_id;
    let mut assignments = topic.assignments.iter().flatten();
    if assignments.any(|assigned| assigned.broker_ids != [node_id]) {
        let message = format!("Partitions can be assigned to broker {node_id} alone.");
        return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    if let (Some(assignments), Some(present)) =
        (&topic.assignments, context.broker.catalog.topic(&topic.name))
    {
        let added = usize::try_from(topic.count).unwrap_or(0).checked_sub(present.partitions.len());
        if added.is_some_and(|added| added > 0 && added != assignments.len()) {
            let message = "There must be as many assignments as partitions are added.";
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
    }
    context.broker.catalog.grow_topic(&topic.name, topic.count, validate_only).await
}
