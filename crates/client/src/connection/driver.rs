//! The task behind a connection: writes queued requests, hands responses to their waiters.
//!
//! One task, no timers and no locks per byte: a wake-up writes everything it can with vectored
//! writes, reads everything there is, and sleeps. Brokers answer in order, so the oldest request
//! is always the next to be answered.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use farlog_wire::ApiKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::authentication::{Authentication, Progress};
use super::shared::{Answer, Close, Shared};
use crate::error::{ConnectionError, ConnectionFailure};
use crate::frame_reader::FrameReader;
use crate::limits::{REAUTHENTICATE_AFTER_PERCENT, WRITE_SLICES_MAX};
use crate::sasl::SaslCredentials;

/// Bytes taken from the queue ahead of the socket. Small requests share a write; a large one
/// leaves the queue when the one before it is nearly out, so that its timeout starts then.
const WRITE_AHEAD_BYTES: usize = 64 * 1024;

/// A byte stream to a broker.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming close a reset that throws unsent bytes away.
    fn reset_on_close(&self) -> io::Result<()>;
}

pub(super) struct Driver<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: S,
    pub(super) reader: FrameReader,
    pub(super) request_timeout: Duration,
    pub(super) in_flight_requests_max: usize,
    pub(super) renewal: Option<Renewal>,
    pub(super) outgoing: VecDeque<Bytes>,
    pub(super) outgoing_bytes: usize,
    pub(super) flushed: bool,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

/// A request that waits for its response.
pub(super) struct InFlight {
    api: ApiKey,
    correlation_id: i32,
    written_at: Instant,
    waiter: Waiter,
}

enum Waiter {
    Caller(oneshot::Sender<Answer>),
    Renewal,
}

/// KIP-368: brokers end connections whose SASL session has run out.
pub(super) struct Renewal {
    pub(super) credentials: SaslCredentials,
    pub(super) due_at: Option<Instant>,
    pub(super) under_way: Option<Authentication>,
}

// === impl Renewal ===

impl Renewal {
    pub(super) fn due_after(lifetime: Option<Duration>) -> Option<Instant> {
        lifetime.map(|lifetime| Instant::now() + lifetime * REAUTHENTICATE_AFTER_PERCENT / 100)
    }
}

// === impl Driver ===

impl<S: Stream> Driver<S> {
    /// Serves the connection until it ends, then tells everybody why.
    pub(super) async fn run(mut self) {
        let failure = poll_fn(|context| self.poll(context)).await;
        let error = ConnectionError::new(&self.shared.broker, failure);
        if matches!(*error.failure, ConnectionFailure::ClosedLocally) {
            tracing::debug!(broker = %self.shared.broker, "connection closed");
        } else {
            tracing::debug!(broker = %self.shared.broker, failure = %error.failure,
                "connection lost");
        }
        let queued = self.shared.fail(error.clone());
        let in_flight = std::mem::take(&mut self.in_flight);
        drop(self.stream);
        self.shared.set_ended();
        let callers = in_flight.into_iter().filter_map(|request| match request.waiter {
            Waiter::Caller(answer) => Some(answer),
            Waiter::Renewal => None,
        });
        for answer in callers.chain(queued.into_iter().map(|request| request.answer)) {
            // A waiter that no longer waits needs no answer.
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionFailure> {
        match self.try_poll(context) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(failure),
        }
    }

    fn try_poll(&mut self, context: &mut Context<'_>) -> Result<(), ConnectionFailure> {
        loop {
            self.start_renewal()?;
            let mut progress = self.take_requests(context)?;
            let written = self.poll_write(context, &mut progress);
            let mut again = written.map_err(ConnectionFailure::Io)?.is_ready() && progress;
            while let Poll::Ready(frame) = self.reader.poll_frame(&mut self.stream, context) {
                self.answer(frame?)?;
                again = true;
            }
            // Now whatever lets us go on also wakes us: a request, the socket, or the timer.
            if !again {
                return self.poll_timer(context);
            }
        }
    }

    /// Moves requests from the queue to the socket's side, as far as the limits allow.
    fn take_requests(&mut self, context: &mut Context<'_>) -> Result<bool, ConnectionFailure> {
        let mut inbox = self.shared.inbox();
        if !inbox.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            inbox.waker = Some(context.waker().clone());
        }
        if let Some(close) = inbox.close {
            drop(inbox);
            if close == Close::Reset {
                self.stream.reset_on_close().map_err(ConnectionFailure::Io)?;
            }
            return Err(ConnectionFailure::ClosedLocally);
        }
        if inbox.queue.is_empty() {
            return Ok(false);
        }
        let now = Instant::now();
        if inbox.muted_until.is_some_and(|until| now < until) || self.is_renewing() {
            return Ok(false);
        }
        let mut took = false;
        while self.outgoing_bytes < WRITE_AHEAD_BYTES
            && self.in_flight.len() < self.in_flight_requests_max
        {
            let Some(request) = inbox.queue.pop_front() else { break };
            inbox.queued_bytes = inbox.queued_bytes.saturating_sub(request.bytes);
            self.outgoing_bytes += request.bytes;
            self.outgoing.extend(request.chunks);
            self.in_flight.push_back(InFlight {
                api: request.api,
                correlation_id: request.correlation_id,
                written_at: now,
                waiter: Waiter::Caller(request.answer),
            });
            took = true;
        }
        Ok(took)
    }

    /// Writes until everything is out or the socket is full.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
            let count = self.outgoing.len().min(WRITE_SLICES_MAX);
            for (slice, chunk) in slices.iter_mut().zip(&self.outgoing) {
                *slice = IoSlice::new(chunk);
            }
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write_vectored(context, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            self.flushed = false;
            self.advance(written);
        }
        // TLS keeps what is written in its own buffer until it is flushed.
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.outgoing_bytes = self.outgoing_bytes.saturating_sub(written);
        while let Some(chunk) = self.outgoing.front_mut() {
            if chunk.len() > written {
                chunk.advance(written);
                return;
            }
            written -= chunk.len();
            self.outgoing.pop_front();
        }
    }

    fn answer(&mut self, frame: Bytes) -> Result<(), ConnectionFailure> {
        let received = frame.first_chunk::<4>().map_or(-1, |id| i32::from_be_bytes(*id));
        let request = self
            .in_flight
            .pop_front()
            .ok_or(ConnectionFailure::ResponseWithoutRequest { received })?;
        if request.correlation_id != received {
            let (api, expected) = (request.api, request.correlation_id);
            self.in_flight.push_front(request);
            return Err(ConnectionFailure::CorrelationMismatch { api, expected, received });
        }
        match request.waiter {
            Waiter::Caller(answer) => {
                // A caller that no longer waits loses nothing but its answer.
                let _ = answer.send(Ok(frame));
                Ok(())
            }
            Waiter::Renewal => self.continue_renewal(frame),
        }
    }

    /// Wakes the task when the oldest request runs out of time, a mute ends, or the SASL session
    /// needs renewal. The timer is only moved when it would fire too late, so a busy connection
    /// touches it once per timeout, not once per request.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Result<(), ConnectionFailure> {
        let (muted_until, waiting) = {
            let inbox = self.shared.inbox();
            (inbox.muted_until, !inbox.queue.is_empty())
        };
        let now = Instant::now();
        let mut wake_at = self.renewal.as_ref().and_then(|renewal| renewal.due_at);
        if let Some(oldest) = self.in_flight.front() {
            let from = muted_until.map_or(oldest.written_at, |until| until.max(oldest.written_at));
            let deadline = from + self.request_timeout;
            if now >= deadline {
                let (api, after) = (oldest.api, self.request_timeout);
                return Err(ConnectionFailure::RequestTimedOut { api, after });
            }
            wake_at = Some(wake_at.map_or(deadline, |at| at.min(deadline)));
        }
        if let Some(until) = muted_until.filter(|until| waiting && *until > now) {
            wake_at = Some(wake_at.map_or(until, |at| at.min(until)));
        }
        let Some(wake_at) = wake_at else { return Ok(()) };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake_at)));
        if timer.is_elapsed() || timer.deadline() > wake_at {
            timer.as_mut().reset(wake_at);
        }
        if timer.as_mut().poll(context).is_ready() {
            // It fired for something that has been settled since, or just now: look again.
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    fn is_renewing(&self) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| renewal.under_way.is_some())
    }

    /// Requests after the first one of a renewal would be taken for part of it, so the queue waits
    /// while it lasts; what was written before is answered first.
    fn start_renewal(&mut self) -> Result<(), ConnectionFailure> {
        let Some(renewal) = &mut self.renewal else { return Ok(()) };
        if renewal.under_way.is_some() || renewal.due_at.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        renewal.due_at = None;
        let authentication = Authentication::new(&renewal.credentials, &self.shared.versions)?;
        self.write_renewal(authentication)
    }

    fn continue_renewal(&mut self, frame: Bytes) -> Result<(), ConnectionFailure> {
        let Some(renewal) = &mut self.renewal else { return Ok(()) };
        let Some(mut authentication) = renewal.under_way.take() else { return Ok(()) };
        match authentication.answer(frame)? {
            Progress::Continue => self.write_renewal(authentication),
            Progress::Done { session_lifetime } => {
                renewal.due_at = Renewal::due_after(session_lifetime);
                tracing::debug!(broker = %self.shared.broker, "SASL session renewed");
                Ok(())
            }
        }
    }

    fn write_renewal(&mut self, authentication: Authentication) -> Result<(), ConnectionFailure> {
        let correlation_id = self.shared.next_correlation_id();
        let (api, frame) = authentication.request(correlation_id, &self.shared.client_id)?;
        self.outgoing_bytes += frame.len();
        self.outgoing.push_back(frame);
        let written_at = Instant::now();
        self.in_flight.push_back(InFlight {
            api,
            correlation_id,
            written_at,
            waiter: Waiter::Renewal,
        });
        if let Some(renewal) = &mut self.renewal {
            renewal.under_way = Some(authentication);
        }
        Ok(())
    }
}
