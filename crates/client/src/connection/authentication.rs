//! SASL as Kafka frames it: `SaslHandshake`, then `SaslAuthenticate` until the mechanism is done.
//! Without IO, because the first authentication and each renewal (KIP-368) run it differently.

use std::time::Duration;

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::VersionRange;
use farlog_wire::frame;
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::messages::sasl_handshake_response::SaslHandshakeResponse;
use farlog_wire::{ApiKey, Request};

use super::versions::BrokerVersions;
use crate::error::ConnectionFailure;
use crate::limits::SASL_ROUNDS_MAX;
use crate::sasl::{SaslCredentials, SaslError, SaslExchange};

/// Version 0 is followed by bare tokens instead of `SaslAuthenticate`.
const HANDSHAKE_VERSION: i16 = 1;

/// One authentication under way.
#[derive(Debug)]
pub(super) struct Authentication {
    credentials: SaslCredentials,
    exchange: SaslExchange,
    stage: Stage,
    rounds: usize,
    authenticate_version: i16,
}

#[derive(Debug)]
enum Stage {
    Handshake,
    Token(Bytes),
}

/// What an answer leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is another request to send.
    Continue,
    /// The broker knows us.
    Done {
        /// How long, when it will ask again.
        session_lifetime: Option<Duration>,
    },
}

// === impl Authentication ===

impl Authentication {
    pub(super) fn new(
        credentials: &SaslCredentials,
        versions: &BrokerVersions,
    ) -> Result<Authentication, ConnectionFailure> {
        let handshake = VersionRange { min: HANDSHAKE_VERSION, max: HANDSHAKE_VERSION };
        versions
            .choose_from(ApiKey::SaslHandshake, handshake)
            .map_err(ConnectionFailure::Unsupported)?;
        Ok(Authentication {
            credentials: credentials.clone(),
            exchange: SaslExchange::new(credentials).map_err(ConnectionFailure::Sasl)?,
            stage: Stage::Handshake,
            rounds: 0,
            authenticate_version: versions
                .choose::<SaslAuthenticateRequest>()
                .map_err(ConnectionFailure::Unsupported)?,
        })
    }

    /// The next request, as a whole frame.
    pub(super) fn request(
        &self,
        correlation_id: i32,
        client_id: &str,
    ) -> Result<(ApiKey, Bytes), ConnectionFailure> {
        match &self.stage {
            Stage::Handshake => {
                let mechanism = self.credentials.mechanism.name().to_owned();
                let request = SaslHandshakeRequest { mechanism };
                encode(&request, HANDSHAKE_VERSION, correlation_id, client_id)
            }
            Stage::Token(token) => {
                let request = SaslAuthenticateRequest { auth_bytes: token.clone() };
                encode(&request, self.authenticate_version, correlation_id, client_id)
            }
        }
    }

    /// Takes the response to that request.
    pub(super) fn answer(&mut self, frame: Bytes) -> Result<Progress, ConnectionFailure> {
        match &self.stage {
            Stage::Handshake => {
                self.check_handshake(&decode::<SaslHandshakeRequest>(frame, HANDSHAKE_VERSION)?)?;
                self.stage = Stage::Token(self.exchange.start());
                Ok(Progress::Continue)
            }
            Stage::Token(_) => {
                let version = self.authenticate_version;
                self.take_token(decode::<SaslAuthenticateRequest>(frame, version)?)
            }
        }
    }

    fn check_handshake(&self, response: &SaslHandshakeResponse) -> Result<(), ConnectionFailure> {
        let code = response.error_code;
        if code == ErrorCode::NONE {
            return Ok(());
        }
        let mechanism = self.credentials.mechanism;
        Err(ConnectionFailure::MechanismRefused {
            mechanism,
            code,
            offered: response.mechanisms.join(", "),
        })
    }

    fn take_token(
        &mut self,
        response: SaslAuthenticateResponse,
    ) -> Result<Progress, ConnectionFailure> {
        let mechanism = self.credentials.mechanism;
        let code = response.error_code;
        if code != ErrorCode::NONE {
            return Err(ConnectionFailure::AuthenticationFailed {
                mechanism,
                username: self.credentials.username.clone(),
                code,
                message: response.error_message,
            });
        }
        self.rounds += 1;
        if self.rounds > SASL_ROUNDS_MAX {
            return Err(ConnectionFailure::Sasl(SaslError::OutOfStep { mechanism }));
        }
        match self.exchange.step(&response.auth_bytes).map_err(ConnectionFailure::Sasl)? {
            Some(token) => {
                self.stage = Stage::Token(token);
                Ok(Progress::Continue)
            }
            None => {
                let lifetime = u64::try_from(response.session_lifetime_ms).unwrap_or(0);
                let session_lifetime = (lifetime > 0).then(|| Duration::from_millis(lifetime));
                Ok(Progress::Done { session_lifetime })
            }
        }
    }
}

pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<(ApiKey, Bytes), ConnectionFailure> {
    let frame = frame::encode_request(request, version, correlation_id, Some(client_id))
        .map_err(|source| ConnectionFailure::Encode { api: R::API_KEY, source })?;
    Ok((R::API_KEY, frame))
}

pub(super) fn decode<R: Request>(
    frame: Bytes,
    version: i16,
) -> Result<R::Response, ConnectionFailure> {
    frame::decode_response::<R>(frame, version)
        .map(|(_, response)| response)
        .map_err(|source| ConnectionFailure::Decode { api: R::API_KEY, source })
}
