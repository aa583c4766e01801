//! A response that is on its way.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Handle;
use super::request::ClientRequest;
use super::shared::Answer;
use crate::error::{ConnectionError, ConnectionFailure, SendError};

/// Resolves to the response of one request, decoded where it is awaited. Dropping it abandons the
/// response, not the request.
#[must_use = "the request is sent either way; its response is lost"]
pub struct PendingResponse<R: ClientRequest> {
    state: State,
    version: i16,
    handle: Arc<Handle>,
    request: PhantomData<fn() -> R>,
}

enum State {
    Waiting(oneshot::Receiver<Answer>),
    Failed(SendError),
}

// === impl PendingResponse ===

impl<R: ClientRequest> PendingResponse<R> {
    pub(super) fn new(
        receiver: oneshot::Receiver<Answer>,
        version: i16,
        handle: Arc<Handle>,
    ) -> PendingResponse<R> {
        PendingResponse { state: State::Waiting(receiver), version, handle, request: PhantomData }
    }

    pub(super) fn failed(
        error: SendError,
        version: i16,
        handle: Arc<Handle>,
    ) -> PendingResponse<R> {
        PendingResponse { state: State::Failed(error), version, handle, request: PhantomData }
    }

    /// The version that the request was sent in.
    pub fn version(&self) -> i16 {
        self.version
    }

    fn decode(&self, frame: Bytes) -> Result<R::Response, SendError> {
        let (_, response) =
            farlog_wire::frame::decode_response::<R>(frame, self.version).map_err(|source| {
                SendError::Decode {
                    broker: self.handle.shared.broker.clone(),
                    api: R::API_KEY,
                    version: self.version,
                    source,
                }
            })?;
        let throttle_ms = R::throttle_time_ms(&response);
        if let Ok(throttle_ms @ 1..) = u64::try_from(throttle_ms) {
            self.handle.shared.mute(Duration::from_millis(throttle_ms));
        }
        Ok(response)
    }
}

impl<R: ClientRequest> Future for PendingResponse<R> {
    type Output = Result<R::Response, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.state {
            State::Failed(error) => return Poll::Ready(Err(error.clone())),
            State::Waiting(receiver) => ready!(Pin::new(receiver).poll(context)),
        };
        // The task answers everybody before it ends, unless the runtime took it away.
        let answer = answer.unwrap_or_else(|_| {
            let broker = &self.handle.shared.broker;
            Err(ConnectionError::new(broker, ConnectionFailure::TaskEnded))
        });
        Poll::Ready(match answer {
            Ok(frame) => self.decode(frame),
            Err(source) => Err(SendError::Connection { api: R::API_KEY, source }),
        })
    }
}

impl<R: ClientRequest> fmt::Debug for PendingResponse<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingResponse")
            .field("api", &R::API_KEY)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
