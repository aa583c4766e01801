//! DeleteRecords, versions 0 to 2 (KIP-107).
//!
//! - -1 deletes to the high watermark; beyond it is `OFFSET_OUT_OF_RANGE`.
//! - Topics that are only compacted, and internal ones: `POLICY_VIOLATION`.

use farlog_wire::messages::delete_records_request::DeleteRecordsRequest;
use farlog_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(super) async fn handle(
    context: RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    for wanted in request.topics {
        let mut partitions = Vec::new();
        for asked in &wanted.partitions {
            let index = asked.partition_index;
            let deleted = delete(&context, &wanted.name, index, asked.offset).await;
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: index,
                low_watermark: deleted.unwrap_or(-1),
                error_code: deleted.err().unwrap_or(ErrorCode::NONE),
            });
        }
        topics.push(DeleteRecordsTopicResult { name: wanted.name, partitions });
    }
    DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() }
}

async fn delete(
    context: &RequestContext,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    let topic = context.broker.catalog.topic(topic);
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(index)?;
    // What compaction should keep is not deleted from the front.
    if topic.is_internal() || (topic.configs.is_compacted && !topic.configs.is_deleted) {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    partition.delete_before(offset).await
}
