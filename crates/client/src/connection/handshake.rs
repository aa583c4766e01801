//! From a fresh byte stream to a connection ready for use: versions (KIP-35, KIP-511), then SASL.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::{ApiKey, Message};
use tokio::io::AsyncWriteExt;

use super::authentication::{Authentication, Progress, decode, encode};
use super::driver::Stream;
use super::versions::BrokerVersions;
use crate::error::ConnectionFailure;
use crate::frame_reader::FrameReader;
use crate::limits::FRAME_BYTES_BEFORE_AUTHENTICATION_MAX;
use crate::options::ConnectionOptions;

/// What the handshake found out.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) reader: FrameReader,
    pub(super) versions: BrokerVersions,
    pub(super) session_lifetime: Option<Duration>,
}

struct Handshake<'a, S> {
    stream: &'a mut S,
    reader: FrameReader,
    client_id: &'a str,
    next_correlation_id: i32,
}

/// Runs the handshake; one request at a time, small frames only.
pub(super) async fn negotiate<S: Stream>(
    stream: &mut S,
    options: &ConnectionOptions,
) -> Result<Negotiated, ConnectionFailure> {
    let frame_bytes_max = FRAME_BYTES_BEFORE_AUTHENTICATION_MAX.min(options.frame_bytes_max);
    let reader = FrameReader::new(options.buffer_pool.clone(), frame_bytes_max);
    let client_id = &options.client_id;
    let mut handshake = Handshake { stream, reader, client_id, next_correlation_id: 0 };
    let versions = handshake.versions().await?;
    let mut session_lifetime = None;
    if let Some(credentials) = &options.security.sasl {
        let mut authentication = Authentication::new(credentials, &versions)?;
        session_lifetime = handshake.authenticate(&mut authentication).await?;
    }
    let mut reader = handshake.reader;
    reader.set_frame_bytes_max(options.frame_bytes_max);
    Ok(Negotiated { reader, versions, session_lifetime })
}

// === impl Handshake ===

impl<S: Stream> Handshake<'_, S> {
    /// A broker that does not know our version of `ApiVersions` says so in version 0's words, and
    /// is then asked in version 0.
    async fn versions(&mut self) -> Result<BrokerVersions, ConnectionFailure> {
        let request = ApiVersionsRequest {
            client_software_name: "farlog".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let newest = ApiVersionsRequest::VERSIONS.max;
        let frame = self.ask_versions(&request, newest).await?;
        let unsupported = frame.get(4..6) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
        let response = if unsupported {
            let frame = self.ask_versions(&ApiVersionsRequest::default(), 0).await?;
            decode::<ApiVersionsRequest>(frame, 0)?
        } else {
            decode::<ApiVersionsRequest>(frame, newest)?
        };
        match response.error_code {
            ErrorCode::NONE => Ok(BrokerVersions::new(&response)),
            code => Err(ConnectionFailure::Negotiation(code)),
        }
    }

    async fn ask_versions(
        &mut self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<Bytes, ConnectionFailure> {
        let id = self.correlation_id();
        let (api, frame) = encode(request, version, id, self.client_id)?;
        self.call(api, id, frame).await
    }

    async fn authenticate(
        &mut self,
        authentication: &mut Authentication,
    ) -> Result<Option<Duration>, ConnectionFailure> {
        loop {
            let id = self.correlation_id();
            let (api, frame) = authentication.request(id, self.client_id)?;
            let frame = self.call(api, id, frame).await?;
            if let Progress::Done { session_lifetime } = authentication.answer(frame)? {
                return Ok(session_lifetime);
            }
        }
    }

    fn correlation_id(&mut self) -> i32 {
        // The connection's own ids go up from 1; these go down, so that no log confuses the two.
        self.next_correlation_id -= 1;
        self.next_correlation_id
    }

    async fn call(
        &mut self,
        api: ApiKey,
        expected: i32,
        request: Bytes,
    ) -> Result<Bytes, ConnectionFailure> {
        self.stream.write_all(&request).await.map_err(ConnectionFailure::Io)?;
        self.stream.flush().await.map_err(ConnectionFailure::Io)?;
        let frame = poll_fn(|context| self.reader.poll_frame(self.stream, context)).await;
        let frame = frame.map_err(|error| match error {
            ConnectionFailure::ClosedByBroker { .. } => {
                ConnectionFailure::ClosedByBroker { while_authenticating: true }
            }
            other => other,
        })?;
        let received = frame.first_chunk::<4>().map_or(expected, |id| i32::from_be_bytes(*id));
        if received != expected {
            return Err(ConnectionFailure::CorrelationMismatch { api, expected, received });
        }
        Ok(frame)
    }
}
