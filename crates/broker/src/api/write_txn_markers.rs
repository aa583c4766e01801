//! WriteTxnMarkers, versions 1 and 2 (KIP-98): ends a producer's transaction in partitions, without
//! asking the coordinator, which Kafka's brokers and its tools do.
//!
//! - The coordinator epoch is checked against the markers before.
//! - Missing: the check that a marker of `transaction_version` 2 has a higher epoch than its
//!   transaction (KIP-1228); as with version 1, the same is enough.

use farlog_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use farlog_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};
use farlog_wire::{ErrorCode, VersionRange};
use futures_util::future::join_all;

use super::RequestContext;
use crate::transactions::{Marker, Producer, write_marker};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 2 };

pub(super) async fn handle(
    context: RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in request.markers {
        markers.push(write(&context, marker).await);
    }
    WriteTxnMarkersResponse { markers }
}

async fn write(context: &RequestContext, wanted: WritableTxnMarker) -> WritableTxnMarkerResult {
    let marker = Marker {
        producer: Producer { id: wanted.producer_id, epoch: wanted.producer_epoch },
        commit: wanted.transaction_result,
        coordinator_epoch: wanted.coordinator_epoch,
    };
    let mut topics = Vec::with_capacity(wanted.topics.len());
    for WritableTxnMarkerTopic { name, partition_indexes } in wanted.topics {
        let topic = name.as_str();
        let written = partition_indexes.into_iter().map(|partition_index| async move {
            let written = write_marker(&context.broker, marker, topic, partition_index).await;
            let error_code = written.err().unwrap_or(ErrorCode::NONE);
            WritableTxnMarkerPartitionResult { partition_index, error_code }
        });
        let partitions = join_all(written).await;
        topics.push(WritableTxnMarkerTopicResult { name, partitions });
    }
    WritableTxnMarkerResult { producer_id: wanted.producer_id, topics }
}
