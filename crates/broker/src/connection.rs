//! One client connection: frames in, answers out, in the order of the requests.
//!
//! Kafka answers one request of a connection before it looks at the next. So do we, but for
//! produce requests: their batches are appended in order, and then they wait for the disk
//! together. Who leaves while a fetch, a join or a sync waits is let go at once.
//!
//! On listeners with TLS or SASL nothing is served before it is known who asks (`sasl.rs`); that
//! has a time limit, and its frames a low one.

mod prefix;
mod sasl;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farlog_wire::ApiKey;
use farlog_wire::frame::{SIZE_BYTES, decode_request_header, size_of_frame};
use farlog_wire::limits::FRAME_BYTES_MAX;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::api::{self, RequestContext, RequestFault};
use crate::broker::Shared;
use crate::limits::{
    AUTHENTICATION_TIMEOUT, KEPT_FRAME_BYTES_MAX, PRODUCES_IN_FLIGHT_MAX, WRITE_BUFFER_BYTES,
};
use crate::security::{Principal, principal_of};
use prefix::Prefix;
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
    input: R,
    /// Of the next request.
    prefix: Prefix,
    /// For requests: used again when nothing refers to the one before any more.
    frames: BytesMut,
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
            input,
            prefix: Prefix::default(),
            frames: BytesMut::new(),
            output: BufWriter::with_capacity(WRITE_BUFFER_BYTES, output),
            produces: FuturesOrdered::new(),
            authenticated: Authenticated::default(),
        }
    }

    async fn serve(mut self, deadline: Instant) -> Result<(), Ended> {
        let served = self.serve_requests(deadline).await;
        // What was said last must arrive, and TLS has an end of its own. Who is gone is gone.
        if let Err(error) = self.output.shutdown().await {
            tracing::trace!(address = %self.peer.address, %error, "cannot end the connection");
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
                    self.write(answer?).await?;
                }
                () = sleep_until(muted_until.unwrap_or_else(Instant::now)),
                    if muted_until.is_some() => {}
                is_there = self.prefix.fill(&mut self.input), if room && muted_until.is_none() => {
                    if !is_there? {
                        return Ok(());
                    }
                    let prefix = self.prefix.take();
                    let frame = self.read_frame(prefix, FRAME_BYTES_MAX).await?;
                    self.take(frame).await?;
                }
            }
        }
    }

    async fn read_frame(
        &mut self,
        prefix: [u8; SIZE_BYTES],
        frame_bytes_max: usize,
    ) -> Result<Bytes, Ended> {
        let size = size_of_frame(prefix, frame_bytes_max)?;
        let frame = &mut self.frames;
        // Grows with what arrives, not with what is announced.
        while frame.len() < size {
            frame.reserve((size - frame.len()).min(WRITE_BUFFER_BYTES.max(frame.len())));
            let wanted = (size - frame.len()) as u64;
            if (&mut self.input).take(wanted).read_buf(frame).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
        if size > KEPT_FRAME_BYTES_MAX {
            return Ok(std::mem::take(frame).freeze());
        }
        Ok(frame.split().freeze())
    }

    async fn take(&mut self, frame: Bytes) -> Result<(), Ended> {
        let request_bytes = frame.len();
        let whole = self.has_sasl().then(|| frame.clone());
        let (header, body) =
            decode_request_header(frame, api::header_version).map_err(RequestFault::from)?;
        let key = ApiKey::try_from(header.request_api_key).map_err(RequestFault::from)?;
        if let Some(whole) = whole
            && self.must_authenticate(key)?
        {
            self.settle().await?;
            let deadline = Instant::now() + AUTHENTICATION_TIMEOUT;
            return self.authenticate(Some(whole), deadline).await;
        }
        if key == ApiKey::ApiVersions && !api::serves(key, header.request_api_version) {
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
            let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
            self.produces.push_back(match first {
                Poll::Ready(ready) => Box::pin(std::future::ready(ready)),
                Poll::Pending => answer,
            });
            return Ok(());
        }
        self.settle().await?;
        let answer = match key {
            ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup => {
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
                is_there = self.prefix.fill(&mut self.input), if !self.prefix.is_full() => {
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
            self.write(earlier?).await?;
        }
        Ok(())
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
