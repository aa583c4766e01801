//! ElectLeaders, versions 0 to 2 (KIP-183, KIP-460): there is nobody else to elect.

use farlog_wire::messages::elect_leaders_request::ElectLeadersRequest;
use farlog_wire::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(super) async fn handle(
    context: RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let catalog = &context.broker.catalog;
    // Of all partitions, those are told that were elected anew: none.
    let asked = request.topic_partitions.into_iter().flatten();
    let results = asked.map(|asked| {
        let topic = catalog.topic(&asked.topic);
        let known = |index: i32| topic.as_ref().is_some_and(|topic| topic.partition(index).is_ok());
        let partition_result = asked.partitions.iter().map(|&partition_id| PartitionResult {
            partition_id,
            error_code: match known(partition_id) {
                true => ErrorCode::ELECTION_NOT_NEEDED,
                false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            },
            error_message: None,
        });
        let partition_result = partition_result.collect();
        ReplicaElectionResult { partition_result, topic: asked.topic }
    });
    ElectLeadersResponse {
        replica_election_results: results.collect(),
        ..ElectLeadersResponse::default()
    }
}
