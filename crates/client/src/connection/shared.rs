//! What the handles of a connection and its task share: the queue of requests and the fate of the
//! connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::ApiKey;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::versions::BrokerVersions;
use crate::broker_name::BrokerName;
use crate::error::{ConnectionError, SendError};
use crate::limits::THROTTLE_MAX;

/// A response frame without its size, or the reason why there is none.
pub(super) type Answer = Result<Bytes, ConnectionError>;

/// A request on its way to the wire.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    pub(super) api: ApiKey,
    pub(super) correlation_id: i32,
    /// The frame with its size; written one after the other and never copied.
    pub(super) chunks: Vec<Bytes>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// How to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// As sockets are closed.
    Orderly,
    /// Throw away what was not sent and reset.
    Reset,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) broker: BrokerName,
    pub(super) versions: BrokerVersions,
    pub(super) client_id: String,
    queued_requests_max: usize,
    queued_bytes_max: usize,
    next_correlation_id: AtomicI32,
    inbox: Mutex<Inbox>,
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) queue: VecDeque<QueuedRequest>,
    pub(super) queued_bytes: usize,
    /// The connection's task, when it sleeps.
    pub(super) waker: Option<Waker>,
    pub(super) close: Option<Close>,
    /// KIP-219: nothing is written before this instant.
    pub(super) muted_until: Option<Instant>,
    /// Why the connection is dead.
    failure: Option<ConnectionError>,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        broker: BrokerName,
        versions: BrokerVersions,
        options: &crate::options::ConnectionOptions,
    ) -> Shared {
        Shared {
            broker,
            versions,
            client_id: options.client_id.clone(),
            queued_requests_max: options.queued_requests_max,
            queued_bytes_max: options.queued_bytes_max,
            next_correlation_id: AtomicI32::new(1),
            inbox: Mutex::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Ids only need to differ among the requests in flight; they wrap after 2^32.
    pub(super) fn next_correlation_id(&self) -> i32 {
        self.next_correlation_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // A panic while it is held can only come from a failed allocation; the queue is valid
        // between any two of its operations.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a request; the order of the calls is the order on the wire.
    pub(super) fn enqueue(&self, request: QueuedRequest) -> Result<(), SendError> {
        let mut inbox = self.inbox();
        if let Some(failure) = &inbox.failure {
            return Err(SendError::Connection { api: request.api, source: failure.clone() });
        }
        let bytes = inbox.queued_bytes.saturating_add(request.bytes);
        // One request is always let in, or a large one could never be sent.
        let too_large = bytes > self.queued_bytes_max && !inbox.queue.is_empty();
        if inbox.queue.len() >= self.queued_requests_max || too_large {
            return Err(SendError::QueueFull {
                broker: self.broker.clone(),
                api: request.api,
                requests: inbox.queue.len(),
                bytes: inbox.queued_bytes,
            });
        }
        inbox.queued_bytes = bytes;
        inbox.queue.push_back(request);
        wake(inbox);
        Ok(())
    }

    /// KIP-219: the broker asks for silence. It keeps silence itself, so this only spares it (and
    /// our request timeout) requests that would wait there.
    pub(super) fn mute(&self, throttle: Duration) {
        let until = Instant::now() + throttle.min(THROTTLE_MAX);
        let mut inbox = self.inbox();
        inbox.muted_until = Some(inbox.muted_until.map_or(until, |earlier| earlier.max(until)));
    }

    pub(super) fn request_close(&self, close: Close) {
        let mut inbox = self.inbox();
        if inbox.close != Some(Close::Reset) {
            inbox.close = Some(close);
        }
        wake(inbox);
    }

    /// Marks the connection dead and returns the requests that were never written.
    pub(super) fn fail(&self, failure: ConnectionError) -> VecDeque<QueuedRequest> {
        let mut inbox = self.inbox();
        inbox.failure = Some(failure);
        inbox.queued_bytes = 0;
        std::mem::take(&mut inbox.queue)
    }

    pub(super) fn failure(&self) -> Option<ConnectionError> {
        self.inbox().failure.clone()
    }

    /// Says that the socket is closed.
    pub(super) fn set_ended(&self) {
        self.ended.send_replace(true);
    }

    pub(super) async fn ended(&self) {
        // The sender lives as long as we do, so waiting cannot fail.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn wake(mut inbox: MutexGuard<'_, Inbox>) {
    let waker = inbox.waker.take();
    drop(inbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}
