//! SASL as Kafka frames it: ApiVersions if the client likes, SaslHandshake, then tokens: inside
//! SaslAuthenticate, or bare after version 0 of the handshake. Again whenever the client begins
//! again (KIP-368), and at the latest when its session is over.
//!
//! Whatever does not belong here costs the connection. Kafka answers other requests between
//! handshake and token with `ILLEGAL_SASL_STATE` before it closes; we only close.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farlog_wire::frame::{decode_request_header, encode_response};
use farlog_wire::limits::FRAME_BYTES_BEFORE_AUTHENTICATION_MAX;
use farlog_wire::messages::request_header::RequestHeader;
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::messages::sasl_handshake_response::SaslHandshakeResponse;
use farlog_wire::{ApiKey, ErrorCode, Message, Reader, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Connection, Ended, Peer};
use crate::api::{self, RequestContext, RequestFault};
use crate::limits::{FAILED_AUTHENTICATION_DELAY, REAUTHENTICATION_INTERVAL_MIN};
use crate::request_memory::RequestMemory;
use crate::security::oauth::TokenTime;
use crate::security::sasl::{Credentials, Known, SaslExchange, SaslFailure, SaslProgress};
use crate::security::{Principal, SaslMechanism};

/// What a connection remembers of its last authentication.
#[derive(Debug, Default)]
pub(super) struct Authenticated {
    mechanism: Option<SaslMechanism>,
    /// When it began again.
    renewed_at: Option<Instant>,
    /// When the client must have begun again.
    expires_at: Option<Instant>,
}

/// Why somebody was not let in, or let out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the client left")]
    Left,
    #[error("a {0:?} request before it was said who asks")]
    OutOfPlace(ApiKey),
    #[error("the client asked for a SASL mechanism that is not offered")]
    Mechanism,
    #[error("{mechanism} authentication failed: {why}")]
    Credentials { mechanism: SaslMechanism, why: SaslFailure },
    #[error("somebody else authenticated on the connection of {0}")]
    OtherPrincipal(Principal),
    #[error("the session of {0} is over, and it did not authenticate again")]
    Expired(Principal),
}

/// How far an authentication is.
enum Stage {
    Versions,
    Handshake,
    Tokens { mechanism: SaslMechanism, exchange: SaslExchange, bare: bool },
}

/// How long a client is served without authenticating again.
struct Session {
    /// What it is told: zero for as long as it likes.
    told: Duration,
    /// As long as the token would be taken; `None` for as long as the client likes.
    served: Option<Duration>,
}

/// Where a token came from, which is where the answer goes.
#[derive(Clone, Copy)]
enum Envelope {
    Bare,
    Authenticate { version: i16, correlation_id: i32 },
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Connection<R, W> {
    /// Whether a request begins an authentication anew.
    ///
    /// # Errors
    /// If the session is over and it does not.
    pub(super) fn must_authenticate(&mut self, key: ApiKey) -> Result<bool, Refused> {
        let now = Instant::now();
        let session = &mut self.authenticated;
        let renewed_at = session.renewed_at;
        let is_allowed = renewed_at.is_none_or(|at| now >= at + REAUTHENTICATION_INTERVAL_MIN);
        if key == ApiKey::SaslHandshake && is_allowed {
            session.renewed_at = Some(now);
            return Ok(true);
        }
        match session.expires_at {
            Some(at) if now > at => Err(Refused::Expired(self.peer.principal.clone())),
            _ => Ok(false),
        }
    }

    /// Finds out who is there; `first` is a frame that was read already.
    pub(super) async fn authenticate(
        &mut self,
        first: Option<Bytes>,
        deadline: Instant,
    ) -> Result<(), Ended> {
        let done = timeout_at(deadline, Box::pin(self.run_exchange(first))).await;
        done.map_err(|_| Ended::Slow)?
    }

    async fn run_exchange(&mut self, first: Option<Bytes>) -> Result<(), Ended> {
        let mut next = first;
        let mut stage = Stage::Versions;
        loop {
            let frame = match next.take() {
                Some(frame) => frame,
                None => self.read_small_frame().await?,
            };
            if self.take_step(&mut stage, frame).await? {
                return Ok(());
            }
        }
    }

    async fn read_small_frame(&mut self) -> Result<Bytes, Ended> {
        // Small, and soon done with: nobody waits for a place to say who they are.
        let any = RequestMemory::new(-1);
        let next = self.incoming.next(&any, FRAME_BYTES_BEFORE_AUTHENTICATION_MAX).await?;
        let (frame, _) = next.ok_or(Refused::Left)?;
        Ok(frame)
    }

    /// Takes one frame; true if it is known now who is there.
    async fn take_step(&mut self, stage: &mut Stage, frame: Bytes) -> Result<bool, Ended> {
        if let Stage::Tokens { bare: true, .. } = stage {
            return self.take_token(stage, &frame, Envelope::Bare).await;
        }
        let (header, body) =
            decode_request_header(frame, api::header_version).map_err(RequestFault::from)?;
        let key = ApiKey::try_from(header.request_api_key).map_err(RequestFault::from)?;
        let version = header.request_api_version;
        match (&stage, key) {
            (Stage::Versions, ApiKey::ApiVersions) => {
                if api::serves(key, version) {
                    *stage = Stage::Handshake;
                }
                self.tell_versions(header, body).await?;
                Ok(false)
            }
            (Stage::Versions | Stage::Handshake, ApiKey::SaslHandshake) => {
                *stage = self.shake_hands(&header, body).await?;
                Ok(false)
            }
            (Stage::Tokens { .. }, ApiKey::SaslAuthenticate) => {
                let request: SaslAuthenticateRequest = decode(body, version)?;
                let correlation_id = header.correlation_id;
                let envelope = Envelope::Authenticate { version, correlation_id };
                self.take_token(stage, &request.auth_bytes, envelope).await
            }
            (_, key) => Err(Refused::OutOfPlace(key).into()),
        }
    }

    async fn tell_versions(&mut self, header: RequestHeader, body: Reader) -> Result<(), Ended> {
        let (version, correlation_id) = (header.request_api_version, header.correlation_id);
        if !api::serves(ApiKey::ApiVersions, version) {
            let frame = api::unsupported_api_versions(correlation_id);
            return self.write(Some(frame.map_err(RequestFault::from)?)).await;
        }
        let context = RequestContext {
            broker: Arc::clone(&self.broker),
            peer: Arc::clone(&self.peer),
            version,
            correlation_id,
            client_id: header.client_id,
            request_bytes: 0,
        };
        let answer = api::serve(context, ApiKey::ApiVersions, body).await?;
        self.write(answer).await
    }

    async fn shake_hands(&mut self, header: &RequestHeader, body: Reader) -> Result<Stage, Ended> {
        let version = header.request_api_version;
        let request: SaslHandshakeRequest = decode(body, version)?;
        let offered = &self.broker.mechanisms;
        let wanted = request.mechanism.parse().ok().filter(|wanted| offered.contains(wanted));
        // Who began with one mechanism goes on with it.
        let wanted = wanted.filter(|&wanted| {
            self.authenticated.mechanism.is_none_or(|mechanism| mechanism == wanted)
        });
        let response = SaslHandshakeResponse {
            error_code: match wanted {
                Some(_) => ErrorCode::NONE,
                None => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            },
            mechanisms: offered.iter().map(|offered| offered.name().to_owned()).collect(),
        };
        self.answer::<SaslHandshakeRequest>(&response, version, header.correlation_id).await?;
        let mechanism = wanted.ok_or(Refused::Mechanism)?;
        let exchange = SaslExchange::new(mechanism);
        Ok(Stage::Tokens { mechanism, exchange, bare: version == 0 })
    }

    async fn take_token(
        &mut self,
        stage: &mut Stage,
        token: &[u8],
        envelope: Envelope,
    ) -> Result<bool, Ended> {
        let Stage::Tokens { mechanism, exchange, .. } = stage else { return Ok(false) };
        let mechanism = *mechanism;
        let catalog = &self.broker.catalog;
        let credentials = Credentials {
            users: &self.broker.users,
            tokens: self.broker.tokens.as_ref(),
            time: self.token_time(),
            scram: &|name, hash| catalog.scram_credential(name, hash),
        };
        let progress = exchange.step(token, credentials);
        let known = match progress {
            Ok(SaslProgress::Continue(told)) => {
                self.tell(envelope, told, Duration::ZERO).await?;
                return Ok(false);
            }
            Ok(SaslProgress::Done(known)) => known,
            Err(why) => {
                let message = why.told().map(str::to_owned).unwrap_or_else(|| {
                    format!(
                        "Authentication failed during authentication due to invalid credentials \
                         with SASL mechanism {mechanism}"
                    )
                });
                self.refuse(envelope, message).await?;
                return Err(Refused::Credentials { mechanism, why }.into());
            }
        };
        self.admit(mechanism, known, envelope).await?;
        Ok(true)
    }

    /// It is known who is there: unless that is somebody else than before, they may come in.
    async fn admit(
        &mut self,
        mechanism: SaslMechanism,
        known: Known,
        envelope: Envelope,
    ) -> Result<(), Ended> {
        let Known { told, principal, expires_at_ms } = known;
        let before = self.authenticated.mechanism.map(|_| self.peer.principal.clone());
        if let Some(before) = before.filter(|before| *before != principal) {
            let message = format!(
                "Cannot change principals during re-authentication from {before}: {principal}"
            );
            self.refuse(envelope, message).await?;
            return Err(Refused::OtherPrincipal(before).into());
        }
        let session = self.session(expires_at_ms);
        self.tell(envelope, told, session.told).await?;
        self.authenticated.mechanism = Some(mechanism);
        self.authenticated.expires_at =
            session.served.and_then(|time| Instant::now().checked_add(time));
        let (address, listener) = (self.peer.address, self.peer.listener);
        tracing::debug!(%address, %principal, %mechanism, "authenticated");
        self.peer = Arc::new(Peer::new(address, listener, principal));
        Ok(())
    }

    fn token_time(&self) -> TokenTime {
        let skew_ms = self.broker.settings.sasl_oauthbearer_clock_skew_seconds * 1_000;
        TokenTime { now_ms: self.broker.clock.now_ms(), skew_ms }
    }

    /// How long a session may last (KIP-368): as long as what the client has shown is valid, and no
    /// longer than the setting says.
    fn session(&self, expires_at_ms: Option<i64>) -> Session {
        let TokenTime { now_ms, skew_ms } = self.token_time();
        let setting_ms = Some(self.broker.settings.connections_max_reauth_ms).filter(|ms| *ms > 0);
        let left_ms = expires_at_ms.map(|at_ms| at_ms.saturating_sub(now_ms));
        let least = |left_ms: Option<i64>| {
            let shorter_ms = left_ms.into_iter().chain(setting_ms).min()?;
            // Nothing would mean that it has no end.
            Some(Duration::from_millis(u64::try_from(shorter_ms).unwrap_or(0).max(1)))
        };
        Session {
            told: least(left_ms).unwrap_or_default(),
            served: least(left_ms.map(|left_ms| left_ms.saturating_add(skew_ms))),
        }
    }

    async fn tell(
        &mut self,
        envelope: Envelope,
        token: Bytes,
        lifetime: Duration,
    ) -> Result<(), Ended> {
        match envelope {
            Envelope::Bare => {
                let size = u32::try_from(token.len()).unwrap_or(u32::MAX);
                let mut frame = BytesMut::from(&size.to_be_bytes()[..]);
                frame.extend_from_slice(&token);
                self.write(Some(vec![frame.freeze()])).await
            }
            Envelope::Authenticate { version, correlation_id } => {
                let response = SaslAuthenticateResponse {
                    auth_bytes: token,
                    session_lifetime_ms: i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX),
                    ..SaslAuthenticateResponse::default()
                };
                self.answer::<SaslAuthenticateRequest>(&response, version, correlation_id).await
            }
        }
    }

    /// Tells a client that it is not let in, if it can be told, and not at once.
    async fn refuse(&mut self, envelope: Envelope, message: String) -> Result<(), Ended> {
        sleep(FAILED_AUTHENTICATION_DELAY).await;
        let Envelope::Authenticate { version, correlation_id } = envelope else { return Ok(()) };
        let response = SaslAuthenticateResponse {
            error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: Some(message),
            ..SaslAuthenticateResponse::default()
        };
        self.answer::<SaslAuthenticateRequest>(&response, version, correlation_id).await
    }

    async fn answer<A: Request>(
        &mut self,
        response: &A::Response,
        version: i16,
        correlation_id: i32,
    ) -> Result<(), Ended> {
        let frame = encode_response::<A>(response, version, correlation_id);
        self.write(Some(vec![frame.map_err(RequestFault::from)?])).await
    }
}

fn decode<A: Message>(mut body: Reader, version: i16) -> Result<A, RequestFault> {
    let request = A::decode(&mut body, version)?;
    body.finish(A::NAME)?;
    Ok(request)
}
