//! One client connection: frames in, answers out, in the order of the requests.
//!
//! Kafka answers one request of a connection before it looks at the next. So do we, but for
//! produce requests: their batches are appended in order, and then they wait for the disk
//! together.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use farlog_wire::ApiKey;
use farlog_wire::frame::{SIZE_BYTES, decode_request_header, size_of_frame};
use farlog_wire::limits::FRAME_BYTES_MAX;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use crate::api::{self, RequestContext, RequestFault};
use crate::broker::Shared;
use crate::limits::{KEPT_FRAME_BYTES_MAX, PRODUCES_IN_FLIGHT_MAX, WRITE_BUFFER_BYTES};

/// Who is on the other side of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
}

/// Why a connection ended before its client closed it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    #[error("{0}")]
    FrameSize(#[from] farlog_wire::frame::FrameSizeError),
    #[error("{0}")]
    Request(#[from] RequestFault),
}

/// An answer is one frame, in pieces.
type Answer = Result<Option<Vec<Bytes>>, RequestFault>;

struct Connection {
    broker: Arc<Shared>,
    peer: Arc<Peer>,
    input: OwnedReadHalf,
    /// For requests: used again when nothing refers to the one before any more.
    frames: BytesMut,
    output: BufWriter<OwnedWriteHalf>,
    produces: FuturesOrdered<BoxFuture<'static, Answer>>,
}

/// Serves a client until it leaves, misbehaves, or `stop` turns true.
pub(crate) async fn run(
    broker: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    // Small answers must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
    }
    let (input, output) = stream.into_split();
    let connection = Connection {
        broker,
        peer: Arc::new(Peer { address }),
        input,
        frames: BytesMut::new(),
        output: BufWriter::with_capacity(WRITE_BUFFER_BYTES, output),
        produces: FuturesOrdered::new(),
    };
    let ended = tokio::select! {
        ended = connection.serve() => ended,
        _ = stop.wait_for(|&stop| stop) => Ok(()),
    };
    match ended {
        Ok(()) => {}
        Err(Ended::Socket(error)) => tracing::debug!(%address, %error, "connection lost"),
        Err(error) => tracing::warn!(%address, "connection closed: {error}"),
    }
}

impl Connection {
    async fn serve(mut self) -> Result<(), Ended> {
        let mut prefix = [0; SIZE_BYTES];
        let mut prefix_bytes = 0;
        loop {
            let room = self.produces.len() < PRODUCES_IN_FLIGHT_MAX;
            tokio::select! {
                biased;
                Some(answer) = self.produces.next(), if !self.produces.is_empty() => {
                    self.write(answer?).await?;
                }
                read = self.input.read(&mut prefix[prefix_bytes..]), if room => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    prefix_bytes += read;
                    if prefix_bytes == SIZE_BYTES {
                        prefix_bytes = 0;
                        let frame = self.read_frame(prefix).await?;
                        self.take(frame).await?;
                    }
                }
            }
        }
    }

    async fn read_frame(&mut self, prefix: [u8; SIZE_BYTES]) -> Result<Bytes, Ended> {
        let size = size_of_frame(prefix, FRAME_BYTES_MAX)?;
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
        let (header, body) =
            decode_request_header(frame, api::header_version).map_err(RequestFault::from)?;
        let key = ApiKey::try_from(header.request_api_key).map_err(RequestFault::from)?;
        if key == ApiKey::ApiVersions && !api::serves(key, header.request_api_version) {
            let frame = api::unsupported_api_versions(header.correlation_id);
            return self.write(Some(frame.map_err(RequestFault::from)?)).await;
        }
        let context = RequestContext {
            broker: Arc::clone(&self.broker),
            peer: Arc::clone(&self.peer),
            version: header.request_api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
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
        while let Some(earlier) = self.produces.next().await {
            self.write(earlier?).await?;
        }
        // A client that leaves while its fetch waits is noticed when the answer is written.
        self.write(answer.await?).await
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
