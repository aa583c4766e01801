//! A client that says what it is told to say: any request, in any version, right or wrong.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farlog_wire::Request;
use farlog_wire::frame::{SIZE_BYTES, decode_response, encode_request, size_of_frame};
use farlog_wire::limits::FRAME_BYTES_MAX;
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything that a scenario waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// No answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the connection was closed")]
    Closed,
    #[error("no answer in {PATIENCE:?}")]
    Silence,
    #[error("the request cannot be written in this version: {0}")]
    Encode(String),
    #[error("the answer cannot be read: {0}")]
    Decode(String),
}

/// A connection, made when it is first used and again when it was lost.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    /// Who to be, if anybody: a user and a password for PLAIN.
    login: Option<(String, String)>,
    stream: Option<TcpStream>,
    correlation_id: i32,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, login: None, stream: None, correlation_id: 0 }
    }

    /// Another one to the same broker.
    pub(crate) fn another(&self) -> Self {
        Self { login: self.login.clone(), ..Self::new(self.address) }
    }

    /// One that authenticates with PLAIN whenever it connects.
    pub(crate) fn user(address: SocketAddr, name: &str, password: &str) -> Self {
        Self { login: Some((name.to_owned(), password.to_owned())), ..Self::new(address) }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, NoAnswer> {
        self.send(request, version).await?;
        let frame = self.receive().await?;
        let (correlation_id, response) = decode_response::<R>(frame, version)
            .map_err(|error| NoAnswer::Decode(error.to_string()))?;
        assert_eq!(correlation_id, self.correlation_id, "answers come in the order of requests");
        Ok(response)
    }

    /// Sends a request.
    pub(crate) async fn send<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<(), NoAnswer> {
        self.correlation_id += 1;
        let frame = encode_request(request, version, self.correlation_id, Some("scenario"))
            .map_err(|error| NoAnswer::Encode(error.to_string()))?;
        self.send_bytes(&frame).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), NoAnswer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.expect("the broker listens");
            stream.set_nodelay(true).expect("a socket option");
            self.stream = Some(stream);
            self.log_in().await?;
        }
        let stream = self.stream.as_mut().expect("just made");
        if stream.write_all(bytes).await.is_err() {
            self.stream = None;
            return Err(NoAnswer::Closed);
        }
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), NoAnswer> {
        let Some((name, password)) = self.login.clone() else { return Ok(()) };
        let stream = self.stream.as_mut().ok_or(NoAnswer::Closed)?;
        let token = Bytes::from(format!("\0{name}\0{password}"));
        let handshake = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
        let handshake = encode_request(&handshake, 1, -2, None).expect("a frame");
        let authenticate = SaslAuthenticateRequest { auth_bytes: token };
        let authenticate = encode_request(&authenticate, 1, -1, None).expect("a frame");
        for frame in [handshake, authenticate] {
            stream.write_all(&frame).await.map_err(|_| NoAnswer::Closed)?;
            let answer = read_frame(stream).await.map_err(|_| NoAnswer::Closed)?;
            // Both answers begin with the correlation id and the error code.
            assert_eq!(answer[4..6], [0, 0], "the user is known");
        }
        Ok(())
    }

    /// Says that nothing more will be said.
    pub(crate) async fn leave(&mut self) {
        let stream = self.stream.as_mut().expect("a connection");
        stream.shutdown().await.expect("the broker listens");
    }

    /// The next frame, without its size.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, NoAnswer> {
        let stream = self.stream.as_mut().ok_or(NoAnswer::Closed)?;
        let frame = match timeout(PATIENCE, read_frame(stream)).await {
            Ok(Ok(frame)) => return Ok(frame),
            Ok(Err(_)) => NoAnswer::Closed,
            Err(_) => NoAnswer::Silence,
        };
        self.stream = None;
        Err(frame)
    }
}

async fn read_frame(stream: &mut TcpStream) -> std::io::Result<Bytes> {
    let mut prefix = [0; SIZE_BYTES];
    stream.read_exact(&mut prefix).await?;
    let size = size_of_frame(prefix, FRAME_BYTES_MAX).expect("a size that a broker may send");
    let mut frame = BytesMut::zeroed(size);
    stream.read_exact(&mut frame).await?;
    Ok(frame.freeze())
}
