//! EndTxn, versions 0 to 5 (KIP-98).
//!
//! - Answered when the markers are written: Kafka answers before, and has the next transaction wait
//!   with `CONCURRENT_TRANSACTIONS`.
//! - KIP-588: `PRODUCER_FENCED` from version 2 on. KIP-890: from version 5 on the end raises the
//!   producer's epoch, and the answer says to what; an abort of nothing does, too.

use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::end_txn_response::EndTxnResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::transactions::{Producer, RAISES_EPOCHS};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

/// From this version on clients know `PRODUCER_FENCED` (KIP-588).
const KNOWS_FENCED: i16 = 2;

/// From this version on the end raises the epoch (KIP-890).
const RAISES: i16 = 5;

pub(super) async fn handle(context: RequestContext, request: EndTxnRequest) -> EndTxnResponse {
    let broker = &context.broker;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let client_version = if context.version >= RAISES { RAISES_EPOCHS } else { 0 };
    let id = &request.transactional_id;
    let commit = request.committed;
    match broker.transactions.end(broker, id, producer, commit, client_version).await {
        Ok(next) => EndTxnResponse {
            producer_id: next.id,
            producer_epoch: next.epoch,
            ..EndTxnResponse::default()
        },
        Err(code) => EndTxnResponse {
            error_code: fencing_of(code, context.version >= KNOWS_FENCED),
            producer_id: -1,
            producer_epoch: -1,
            ..EndTxnResponse::default()
        },
    }
}

/// What a client that does not know `PRODUCER_FENCED` is told instead (KIP-588).
pub(super) fn fencing_of(code: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if !knows_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        code => code,
    }
}
