//! SaslHandshake, versions 0 and 1 (KIP-43, KIP-152).
//!
//! - What belongs to an authentication is served in `connection/sasl.rs`; here is what comes when
//!   nobody asked who is there, or again within a second.

use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::messages::sasl_handshake_response::SaslHandshakeResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(super) async fn handle(_: RequestContext, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
    let error_code = ErrorCode::ILLEGAL_SASL_STATE;
    SaslHandshakeResponse { error_code, ..SaslHandshakeResponse::default() }
}
