//! One client connection: frames in, answers out, in the order of the requests.
//!
//! Kafka answers one request of a connection before it looks at the next. So do we, but for
//! produce requests: their batches are appended in order, and then they wait for the disk
//! together. Who leaves while a fetch, a join or a sync waits is let go at once.
//!
//! On listeners with TLS or SASL nothing is served before it is known who asks (`sasl.rs`); that
//! has a time limit, and its frames a low one.

mod incoming;
mod sasl;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::ApiKey;
use farlog_wire::frame::decode_request_header;
use farlog_wire::limits::FRAME_BYTES_MAX;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::api::{self, RequestContext, RequestFault};
use crate::broker::Shared;
use crate::limits::{
    ACKNOWLEDGEMENT_TIMEOUT, AUTHENTICATION_TIMEOUT, FRAME_PROGRESS_INTERVAL,
    PRODUCES_IN_FLIGHT_MAX, WRITE_BUFFER_BYTES,
};
use crate::request_memory::RequestPlace;
use crate::security::{Principal, principal_of};
use incoming::Incoming;
use sasl::{Authenticated, Refused};

/// Who is on the other side of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The way that they came in, counted in the order of the options.
    pub(crate) listener: usize,
    pub(crate) principal: Principal,
    /// Until when nothing more is read: it has taken more than its quota (KIP-219).
    muted_until: Mutex<Option<Instant>>,
}

impl Peer {
    fn new(address: SocketAddr, listener: usize, principal: Principal) -> Self {
        Self { address, listener, principal, muted_until: Mutex::default() }
    }

    /// Reads nothing for so long.
    pub(crate) fn mute(&self, time: Duration) {
        let mut muted_until = self.muted_until.lock().unwrap_or_else(PoisonError::into_inner);
        *muted_until = Instant::now().checked_add(time).max(*muted_until);
    }

    fn muted_until(&self) -> Option<Instant> {
        let muted_until = *self.muted_until.lock().unwrap_or_else(PoisonError::into_inner);
        muted_until.filter(|&until| until > Instant::now())
    }
}

/// Why a connection ended before its client closed it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client left")]
    Left,
    #[error(
        "a request did not go on arriving in {FRAME_PROGRESS_INTERVAL:?}, and others waited for \
         its place"
    )]
    Stalled,
    #[error("acknowledgements were not read in {ACKNOWLEDGEMENT_TIMEOUT:?}")]
    Unread,
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    #[error("{0}")]
    FrameSize(#[from] farlog_wire::frame::FrameSizeError),
    #[error("{0}")]
    Request(#[from] RequestFault),
    #[error("TLS handshake failed: {0}")]
    Tls(std::io::Error),
    #[error("the client's certificate has no readable subject")]
    Subject,
    #[error("it was not said who is there within {AUTHENTICATION_TIMEOUT:?}")]
    Slow,
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// An answer is one frame, in pieces.
type Answer = Result<Option<Vec<Bytes>>, RequestFault>;

struct Connection<R, W> {
    broker: Arc<Shared>,
    peer: Arc<Peer>,
    incoming: Incoming<R>,
    output: BufWriter<W>,
    produces: FuturesOrdered<BoxFuture<'static, Answer>>,
    authenticated: Authenticated,
}

/// Serves a client until it leaves, misbehaves, or `stop` turns true.
pub(crate) async fn run(
    broker: Arc<Shared>,
    stream: TcpStream,
    (listener, address): (usize, SocketAddr),
    mut stop: watch::Receiver<bool>,
) {
    // Small answers must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
    }
    let peer = Peer::new(address, listener, Principal::anonymous());
    let ended = tokio::select! {
        ended = Box::pin(serve(broker, stream, peer)) => ended,
        _ = stop.wait_for(|&stop| stop) => Ok(()),
    };
    match ended {
        Ok(()) => {}
        Err(Ended::Refused(Refused::Left)) => tracing::debug!(%address, "left before it was known"),
        Err(Ended::Left) => tracing::debug!(%address, "left while its request waited"),
        Err(Ended::Socket(error)) => tracing::debug!(%address, %error, "connection lost"),
        Err(error) => tracing::warn!(%address, "connection closed: {error}"),
    }
}

/// TLS if the listener has it, then Kafka.
async fn serve(broker: Arc<Shared>, stream: TcpStream, mut peer: Peer) -> Result<(), Ended> {
    let deadline = Instant::now() + AUTHENTICATION_TIMEOUT;
    let protocol = broker.listeners[peer.listener].protocol;
    let tls = broker.tls.as_ref().filter(|_| protocol.has_tls());
    let Some(tls) = tls else {
        let (input, output) = stream.into_split();
        return Connection::new(broker, peer, input, output).serve(deadline).await;
    };
    let accepting = tls.acceptor(protocol.has_sasl()).accept(stream);
    let accepted = timeout_at(deadline, accepting).await.map_err(|_| Ended::Slow)?;
    let stream = accepted.map_err(Ended::Tls)?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    peer.principal = principal_of(certificates.first()).ok_or(Ended::Subject)?;
    let (input, output) = tokio::io::split(stream);
    Connection::new(broker, peer, input, output).serve(deadline).await
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Connection<R, W> {
    fn new(broker: Arc<Shared>, peer: Peer, input: R, output: W) -> Self {
        Self {
            broker,
            peer: Arc::new(peer),
            incoming: Incoming::new(input),
            output: BufWriter::with_capacity(WRITE_BUFFER_BYTES, output),
            produces: FuturesOrdered::new(),
            authenticated: Authenticated::default(),
        }
    }

    async fn serve(mut self, deadline: Instant) -> Result<(), Ended> {
        let served = self.serve_requests(deadline).await;
        // Nobody else must wait for what comes now.
        self.incoming.give_up();
        self.produces = FuturesOrdered::new();
        // What was said last must arrive, and TLS has an end of its own. Who is gone is gone.
        match timeout(ACKNOWLEDGEMENT_TIMEOUT, self.output.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::trace!(address = %self.peer.address, %error, "cannot end the connection");
            }
            Err(_) => tracing::trace!(address = %self.peer.address, "the client does not read"),
        }
        served
    }

    fn has_sasl(&self) -> bool {
        self.broker.listeners[self.peer.listener].protocol.has_sasl()
    }

    async fn serve_requests(&mut self, deadline: Instant) -> Result<(), Ended> {
        if self.has_sasl() {
            self.authenticate(None, deadline).await?;
        }
        loop {
            let room = self.produces.len() < PRODUCES_IN_FLIGHT_MAX;
            let muted_until = self.peer.muted_until();
            tokio::select! {
                biased;
                Some(answer) = self.produces.next(), if !self.produces.is_empty() => {
                    self.acknowledge(answer?).await?;
                }
                () = sleep_until(muted_until.unwrap_or_else(Instant::now)),
                    if muted_until.is_some() => {}
                next = self.incoming.next(&self.broker.request_memory, FRAME_BYTES_MAX),
                    if !self.incoming.is_idle() || (room && muted_until.is_none()) =>
                {
                    let Some((frame, place)) = next? else { return Ok(()) };
                    self.take(frame, place).await?;
                }
            }
        }
    }

    async fn take(&mut self, frame: Bytes, place: RequestPlace) -> Result<(), Ended> {
        let request_bytes = frame.len();
        let whole = self.has_sasl().then(|| frame.clone());
        let (header, body) =
            decode_request_header(frame, api::header_version).map_err(RequestFault::from)?;
        let key = ApiKey::try_from(header.request_api_key).map_err(RequestFault::from)?;
        if let Some(whole) = whole
            && self.must_authenticate(key)?
        {
            drop(place);
            self.settle().await?;
            let deadline = Instant::now() + AUTHENTICATION_TIMEOUT;
            return self.authenticate(Some(whole), deadline).await;
        }
        if key == ApiKey::ApiVersions && !api::serves(key, header.request_api_version) {
            drop(place);
            self.settle().await?;
            let frame = api::unsupported_api_versions(header.correlation_id);
            return self.write(Some(frame.map_err(RequestFault::from)?)).await;
        }
        let context = RequestContext {
            broker: Arc::clone(&self.broker),
            peer: Arc::clone(&self.peer),
            version: header.request_api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            request_bytes,
        };
        let mut answer: BoxFuture<'static, Answer> = Box::pin(api::serve(context, key, body));
        if key == ApiKey::Produce {
            // What cannot be written yet waits in its sender's buffers, not in ours.
            self.broker.catalog.room().await;
            // The first poll appends; what remains is to wait.
            self.produces.push_back(match begin(&mut answer).await {
                Poll::Ready(ready) => Box::pin(std::future::ready(ready)),
                Poll::Pending => Box::pin(answer.map(|answer| {
                    drop(place);
                    answer
                })),
            });
            return Ok(());
        }
        self.settle().await?;
        let begun = begin(&mut answer).await;
        // What it waits for now may be another request, which needs a place.
        drop(place);
        let answer = match (begun, key) {
            (Poll::Ready(answer), _) => answer?,
            (_, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup) => {
                self.unless_it_leaves(answer).await?
            }
            _ => answer.await?,
        };
        self.write(answer).await
    }

    /// Waits for an answer that may take long, and that nobody but the client needs: what its
    /// request changes was changed before.
    async fn unless_it_leaves(
        &mut self,
        mut answer: BoxFuture<'static, Answer>,
    ) -> Result<Option<Vec<Bytes>>, Ended> {
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer?),
                // Not more than that is read ahead.
                is_there = self.incoming.read_size(), if !self.incoming.has_size() => {
                    if !is_there? {
                        return Err(Ended::Left);
                    }
                }
            }
        }
    }

    /// Answers all produce requests that wait.
    async fn settle(&mut self) -> Result<(), Ended> {
        while let Some(earlier) = self.produces.next().await {
            self.acknowledge(earlier?).await?;
        }
        Ok(())
    }

    /// Answers a produce request. The next request may have its place meanwhile, and must not keep
    /// it from others because its client does not read.
    async fn acknowledge(&mut self, answer: Option<Vec<Bytes>>) -> Result<(), Ended> {
        let written = timeout(ACKNOWLEDGEMENT_TIMEOUT, self.write(answer)).await;
        written.map_err(|_| Ended::Unread)?
    }

    async fn write(&mut self, answer: Option<Vec<Bytes>>) -> Result<(), Ended> {
        if let Some(frame) = answer {
            for chunk in frame {
                self.output.write_all(&chunk).await?;
            }
            self.output.flush().await?;
        }
        Ok(())
    }
}

/// Polls an answer once: what its request changes is changed then.
async fn begin(answer: &mut BoxFuture<'static, Answer>) -> Poll<Answer> {
    poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await
}
