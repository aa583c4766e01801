//! One connection to one broker: TCP, TLS, SASL, then requests in a pipeline.
//!
//! `send` queues a request at once and returns a future for its response; the order of the calls
//! is the order on the wire. When the connection dies, every waiter gets the same cause.

mod authentication;
mod driver;
mod handshake;
mod pending;
mod request;
mod shared;
mod versions;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use farlog_wire::VersionRange;
use farlog_wire::{ApiKey, Request};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

pub use pending::PendingResponse;
pub use request::ClientRequest;

use crate::broker_name::BrokerName;
use crate::error::{ConnectionError, ConnectionFailure, SendError, UnsupportedVersion};
use crate::options::ConnectionOptions;
use crate::socket;
use crate::tls::TlsClient;
use driver::{Driver, Renewal, Stream};
use shared::{Close, QueuedRequest, Shared};

/// A handle; cheap to clone. The connection is closed when the last handle and the last
/// [`PendingResponse`] are gone.
#[derive(Clone, Debug)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// Ends the connection when nobody can use it any more.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

// === impl Connection ===

impl Connection {
    /// Connects to a broker: TCP, TLS, version negotiation and SASL, all within the connect
    /// timeout. Spawns the connection's task on the current runtime.
    pub async fn dial(
        broker: BrokerName,
        options: &ConnectionOptions,
    ) -> Result<Connection, ConnectionError> {
        let deadline = Instant::now() + options.connect_timeout;
        let mut stage = "connecting";
        let established = timeout_at(deadline, establish(&broker, options, &mut stage)).await;
        let outcome = established.unwrap_or_else(|_| {
            let after = options.connect_timeout;
            Err(ConnectionFailure::ConnectTimedOut { after, stage })
        });
        outcome.map_err(|failure| ConnectionError::new(&broker, failure))
    }

    /// A connection over a stream that is already there.
    async fn over<S: Stream>(
        mut stream: S,
        broker: &BrokerName,
        options: &ConnectionOptions,
    ) -> Result<Connection, ConnectionFailure> {
        let negotiated = handshake::negotiate(&mut stream, options).await?;
        let shared = Arc::new(Shared::new(broker.clone(), negotiated.versions, options));
        let renewal = options.security.sasl.as_ref().map(|credentials| Renewal {
            credentials: credentials.clone(),
            due_at: Renewal::due_after(negotiated.session_lifetime),
            under_way: None,
        });
        let driver = Driver {
            shared: shared.clone(),
            stream,
            reader: negotiated.reader,
            request_timeout: options.request_timeout,
            in_flight_requests_max: options.in_flight_requests_max,
            renewal,
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            flushed: true,
            in_flight: VecDeque::new(),
            timer: None,
        };
        // Ends with the connection; `Handle` ends the connection with its last user.
        tokio::spawn(driver.run());
        Ok(Connection { handle: Arc::new(Handle { shared }) })
    }

    /// Queues a request in the highest version that both sides speak.
    pub fn send<R: ClientRequest>(&self, request: &R) -> PendingResponse<R> {
        match self.version_of::<R>() {
            Ok(version) => self.send_version(request, version),
            Err(source) => {
                let broker = self.broker().clone();
                self.failed(SendError::Unsupported { broker, source }, 0)
            }
        }
    }

    /// Queues a request in a version of the caller's choice, which both sides must speak.
    pub fn send_version<R: ClientRequest>(&self, request: &R, version: i16) -> PendingResponse<R> {
        let correlation_id = self.next_correlation_id();
        let client_id = Some(self.client_id());
        let frame = farlog_wire::frame::encode_request(request, version, correlation_id, client_id);
        match frame {
            Ok(frame) => self.send_chunks(correlation_id, vec![frame], version),
            Err(source) => {
                let (broker, api) = (self.broker().clone(), R::API_KEY);
                self.failed(SendError::Encode { broker, api, version, source }, version)
            }
        }
    }

    /// Queues a request that is encoded already.
    pub(crate) fn send_chunks<R: ClientRequest>(
        &self,
        correlation_id: i32,
        chunks: Vec<Bytes>,
        version: i16,
    ) -> PendingResponse<R> {
        let (answer, receiver) = oneshot::channel();
        let bytes = chunks.iter().map(Bytes::len).sum();
        let api = R::API_KEY;
        let request = QueuedRequest { api, correlation_id, chunks, bytes, answer };
        match self.handle.shared.enqueue(request) {
            Ok(()) => PendingResponse::new(receiver, version, self.handle.clone()),
            Err(error) => self.failed(error, version),
        }
    }

    pub(crate) fn failed<R: ClientRequest>(
        &self,
        error: SendError,
        version: i16,
    ) -> PendingResponse<R> {
        PendingResponse::failed(error, version, self.handle.clone())
    }

    pub(crate) fn next_correlation_id(&self) -> i32 {
        self.handle.shared.next_correlation_id()
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.handle.shared.client_id
    }

    /// Whom we talk to.
    pub fn broker(&self) -> &BrokerName {
        &self.handle.shared.broker
    }

    /// The version that [`Connection::send`] uses for a request.
    pub fn version_of<R: Request>(&self) -> Result<i16, UnsupportedVersion> {
        self.handle.shared.versions.choose::<R>()
    }

    /// The versions of an API that the broker speaks; `None` when it does not know it.
    pub fn broker_versions(&self, api: ApiKey) -> Option<VersionRange> {
        self.handle.shared.versions.range(api)
    }

    /// Why the connection is dead, if it is.
    pub fn failure(&self) -> Option<ConnectionError> {
        self.handle.shared.failure()
    }

    /// Waits until the connection has ended and its socket is closed.
    pub async fn ended(&self) {
        self.handle.shared.ended().await;
    }

    /// Closes the connection; everybody who waits for a response is told.
    pub async fn close(&self) {
        self.handle.shared.request_close(Close::Orderly);
        self.ended().await;
    }

    /// Closes with a reset: whatever the kernel has not sent yet is thrown away. Returns when the
    /// socket is closed, so nothing of ours can reach the broker any later than what is already on
    /// the way.
    pub async fn close_with_reset(&self) {
        self.handle.shared.request_close(Close::Reset);
        self.ended().await;
    }
}

async fn establish(
    broker: &BrokerName,
    options: &ConnectionOptions,
    stage: &mut &'static str,
) -> Result<Connection, ConnectionFailure> {
    let stream = socket::connect(&broker.address, &options.socket)
        .await
        .map_err(ConnectionFailure::Unreachable)?;
    match &options.security.tls {
        None => {
            *stage = "negotiating";
            Connection::over(stream, broker, options).await
        }
        Some(tls) => {
            *stage = "TLS handshake";
            let stream = Box::new(wrap_in_tls(tls, stream, &broker.address.host).await?);
            *stage = "negotiating";
            Connection::over(stream, broker, options).await
        }
    }
}

async fn wrap_in_tls(
    tls: &TlsClient,
    stream: TcpStream,
    host: &str,
) -> Result<TlsStream<TcpStream>, ConnectionFailure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectionFailure::TlsServerName { host: host.to_owned() })?;
    tls.connector().connect(name, stream).await.map_err(ConnectionFailure::Tls)
}

// === impl Handle ===

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.request_close(Close::Orderly);
    }
}

// === impl Stream ===

impl Stream for TcpStream {
    fn reset_on_close(&self) -> io::Result<()> {
        socket::reset_on_close(self)
    }
}

impl Stream for Box<TlsStream<TcpStream>> {
    fn reset_on_close(&self) -> io::Result<()> {
        socket::reset_on_close(self.get_ref().0)
    }
}

#[cfg(test)]
mod tests;
