//! InitProducerId, versions 0 to 5.
//!
//! - Idempotent producers (KIP-98): a new id, epoch 0. KIP-360: with the id it has, a producer that
//!   is only idempotent gets a new one, as from Kafka.
//! - Transactional producers (KIP-98): the epoch rises, which fences whoever had the one before; an
//!   open transaction is aborted first, and the answer is `CONCURRENT_TRANSACTIONS` then.
//! - KIP-360: a producer that tells its id and epoch is refused if it was replaced.
//! - Missing: KIP-939 (two-phase commit): its version 6 is unstable in Kafka 4.3.1, which does not
//!   announce it either.

use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::init_producer_id_response::InitProducerIdResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::transactions::Producer;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

/// From this version on clients know `PRODUCER_FENCED` (KIP-588).
const KNOWS_FENCED: i16 = 4;

pub(super) async fn handle(
    context: RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match producer(&context, request).await {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            ..InitProducerIdResponse::default()
        },
        Err(code) => InitProducerIdResponse {
            error_code: super::end_txn::fencing_of(code, context.version >= KNOWS_FENCED),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

async fn producer(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> Result<Producer, ErrorCode> {
    let expected = Producer { id: request.producer_id, epoch: request.producer_epoch };
    if (expected.id == -1) != (expected.epoch == -1) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let broker = &context.broker;
    let Some(id) = request.transactional_id else {
        let allocated = broker.catalog.allocate_producer_id().await;
        return allocated.map(|id| Producer { id, epoch: 0 }).map_err(|refusal| refusal.code);
    };
    let expected = (expected.id != -1).then_some(expected);
    broker.transactions.init(broker, &id, request.transaction_timeout_ms, expected).await
}
