//! SaslAuthenticate, versions 0 to 2 (KIP-152, KIP-368).
//!
//! - What belongs to an authentication is served in `connection/sasl.rs`; here is what comes
//!   without a handshake, or after its end.

use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(super) async fn handle(
    _: RequestContext,
    _: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    let message = "SaslAuthenticate request received after successful authentication";
    SaslAuthenticateResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        error_message: Some(message.to_owned()),
        ..SaslAuthenticateResponse::default()
    }
}
