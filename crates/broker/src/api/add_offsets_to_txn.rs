//! AddOffsetsToTxn, versions 0 to 4 (KIP-98): the group's partition of `__consumer_offsets` becomes
//! part of the transaction.
//!
//! - KIP-588: `PRODUCER_FENCED` from version 2 on. Since KIP-890 clients leave this to
//!   TxnOffsetCommit.

use farlog_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use farlog_wire::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::end_txn::fencing_of;
use crate::groups::OFFSETS_TOPIC;
use crate::transactions::Producer;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

/// From this version on clients know `PRODUCER_FENCED` (KIP-588).
const KNOWS_FENCED: i16 = 2;

pub(super) async fn handle(
    context: RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let code = add(&context, &request).await.err().unwrap_or(ErrorCode::NONE);
    let error_code = fencing_of(code, context.version >= KNOWS_FENCED);
    AddOffsetsToTxnResponse { error_code, ..AddOffsetsToTxnResponse::default() }
}

async fn add(context: &RequestContext, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let broker = &context.broker;
    broker.groups.ensure_topic(&broker.catalog).await?;
    let index = broker.groups.partition_of(&broker.catalog, &request.group_id)?;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let id = &request.transactional_id;
    broker.transactions.add(broker, id, producer, &[(OFFSETS_TOPIC, index)], 0).await
}
