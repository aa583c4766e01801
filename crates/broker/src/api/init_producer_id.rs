//! InitProducerId, versions 0 to 5.
//!
//! - Idempotent producers (KIP-98): a new id, epoch 0. KIP-360: with the id it has, a producer that
//!   is only idempotent gets a new one, as from Kafka.
//! - Transactional producers are refused with `INVALID_REQUEST`: no transaction coordinator yet.

use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::init_producer_id_response::InitProducerIdResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(super) async fn handle(
    context: RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    if request.transactional_id.is_some() {
        return refused(ErrorCode::INVALID_REQUEST);
    }
    match context.broker.catalog.allocate_producer_id().await {
        Ok(producer_id) => InitProducerIdResponse {
            producer_id,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        },
        Err(refusal) => refused(refusal.code),
    }
}
