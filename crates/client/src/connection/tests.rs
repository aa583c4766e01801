//! Connections against a scripted broker in memory: pipelining, limits, deaths, hostile answers.

use std::time::Duration;

use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::heartbeat_response::HeartbeatResponse;
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::messages::sasl_handshake_response::SaslHandshakeResponse;
use farlog_wire::{ErrorCode, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;
use crate::broker_name::ServerAddress;
use crate::options::Security;
use crate::sasl::{SaslCredentials, SaslMechanism};

impl Stream for DuplexStream {
    fn reset_on_close(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The broker's end.
struct Broker(DuplexStream);

/// A request as it arrived.
struct Arrived {
    api: i16,
    version: i16,
    correlation_id: i32,
}

impl Broker {
    async fn request(&mut self) -> Arrived {
        let size = self.0.read_u32().await.unwrap();
        let mut body = vec![0; size as usize];
        self.0.read_exact(&mut body).await.unwrap();
        Arrived {
            api: i16::from_be_bytes([body[0], body[1]]),
            version: i16::from_be_bytes([body[2], body[3]]),
            correlation_id: i32::from_be_bytes([body[4], body[5], body[6], body[7]]),
        }
    }

    async fn expect(&mut self, api: ApiKey) -> Arrived {
        let arrived = self.request().await;
        assert_eq!(arrived.api, i16::from(api));
        arrived
    }

    async fn answer<R: Request>(&mut self, to: &Arrived, response: &R::Response) {
        let id = to.correlation_id;
        let frame = farlog_wire::frame::encode_response::<R>(response, to.version, id).unwrap();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn heartbeat(&mut self, code: i16, throttle_time_ms: i32) {
        let arrived = self.expect(ApiKey::Heartbeat).await;
        self.answer::<HeartbeatRequest>(&arrived, &beat(code, throttle_time_ms)).await;
    }

    async fn handshake(&mut self) {
        let arrived = self.expect(ApiKey::ApiVersions).await;
        self.answer::<ApiVersionsRequest>(&arrived, &versions()).await;
    }
}

fn beat(code: i16, throttle_time_ms: i32) -> HeartbeatResponse {
    HeartbeatResponse { error_code: ErrorCode(code), throttle_time_ms }
}

fn versions() -> ApiVersionsResponse {
    let api = |key: ApiKey, range: VersionRange| ApiVersion {
        api_key: key.into(),
        min_version: range.min,
        max_version: range.max,
    };
    ApiVersionsResponse {
        api_keys: vec![
            api(ApiKey::Heartbeat, HeartbeatRequest::VERSIONS),
            api(ApiKey::SaslHandshake, SaslHandshakeRequest::VERSIONS),
            api(ApiKey::SaslAuthenticate, SaslAuthenticateRequest::VERSIONS),
        ],
        ..ApiVersionsResponse::default()
    }
}

fn name() -> BrokerName {
    BrokerName::node(3, ServerAddress::new("broker.example", 9092))
}

fn request() -> HeartbeatRequest {
    HeartbeatRequest { group_id: "g".to_owned(), ..HeartbeatRequest::default() }
}

async fn connect(options: &ConnectionOptions) -> (Connection, Broker) {
    let (near, far) = duplex(1 << 20);
    let mut broker = Broker(far);
    let name = name();
    let (connection, ()) = tokio::join!(Connection::over(near, &name, options), broker.handshake());
    (connection.unwrap(), broker)
}

async fn failure_of(pending: PendingResponse<HeartbeatRequest>) -> ConnectionError {
    match pending.await {
        Err(SendError::Connection { source, .. }) => source,
        other => panic!("expected a dead connection, got {other:?}"),
    }
}

#[tokio::test]
async fn requests_are_pipelined_in_order() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    let pending: Vec<_> = (0..20).map(|_| connection.send(&request())).collect();
    let mut arrived = Vec::new();
    for _ in 0..20 {
        arrived.push(broker.expect(ApiKey::Heartbeat).await);
    }
    for (code, request) in (0..).zip(&arrived) {
        broker.answer::<HeartbeatRequest>(request, &beat(code, 0)).await;
    }
    for (code, pending) in (0..).zip(pending) {
        assert_eq!(pending.await.unwrap().error_code.0, code);
    }
}

#[tokio::test]
async fn a_dead_connection_gives_everybody_the_same_cause() {
    let options = ConnectionOptions { in_flight_requests_max: 2, ..Default::default() };
    let (connection, mut broker) = connect(&options).await;
    let pending: Vec<_> = (0..3).map(|_| connection.send(&request())).collect();
    broker.request().await;
    drop(broker);
    let mut causes = Vec::new();
    for pending in pending {
        causes.push(failure_of(pending).await);
    }
    causes.push(failure_of(connection.send(&request())).await);
    assert!(causes.iter().all(|cause| Arc::ptr_eq(&cause.failure, &causes[0].failure)));
    let text = causes[0].to_string();
    assert_eq!(text, "broker 3 (broker.example:9092): the broker closed the connection");
    connection.ended().await;
}

#[tokio::test]
async fn hostile_answers_end_the_connection_by_name() {
    let hostile: [(&[u8], &str); 5] = [
        (&[0, 0, 0, 6, 0, 0, 0, 99, 0, 0], "with correlation id 99"),
        (&[0x7f, 0xff, 0xff, 0xff], "announced a response of 2147483647 bytes"),
        (&[0xff, 0xff, 0xff, 0xff], "announced a response of -1 bytes"),
        (&[0, 0, 0, 2, 0, 0], "announced a response of 2 bytes"),
        (&[0, 0, 0, 9, 0, 0], "in the middle of a response"),
    ];
    for (bytes, expected) in hostile {
        let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
        let pending = connection.send(&request());
        broker.request().await;
        broker.0.write_all(bytes).await.unwrap();
        broker.0.shutdown().await.unwrap();
        let text = failure_of(pending).await.to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn an_answer_to_nothing_ends_the_connection() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    broker.0.write_all(&[0, 0, 0, 4, 0, 0, 0, 7]).await.unwrap();
    connection.ended().await;
    let text = connection.failure().unwrap().to_string();
    assert!(text.contains("correlation id 7 to no request"), "{text}");
}

#[tokio::test]
async fn an_unreadable_answer_costs_one_request() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    let pending = connection.send(&request());
    let arrived = broker.request().await;
    let mut frame = vec![0, 0, 0, 5];
    frame.extend_from_slice(&arrived.correlation_id.to_be_bytes());
    frame.push(0);
    broker.0.write_all(&frame).await.unwrap();
    let error = pending.await.unwrap_err();
    assert!(matches!(error, SendError::Decode { .. }), "{error}");
    let again = connection.send(&request());
    broker.heartbeat(0, 0).await;
    again.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_request_ends_the_connection() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    for _ in 0..3 {
        let pending = connection.send(&request());
        broker.heartbeat(0, 0).await;
        pending.await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let started = Instant::now();
    let text = failure_of(connection.send(&request())).await.to_string();
    assert_eq!(started.elapsed().as_secs(), 30);
    assert!(text.ends_with("Heartbeat was not answered within 30000 ms"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_mutes_the_connection_and_extends_patience() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    let pending = connection.send(&request());
    broker.heartbeat(0, 60_000).await;
    assert_eq!(pending.await.unwrap().throttle_time_ms, 60_000);
    let muted = connection.send(&request());
    let early = timeout(Duration::from_secs(59), broker.request()).await;
    assert!(early.is_err(), "written although muted");
    broker.heartbeat(5, 0).await;
    assert_eq!(muted.await.unwrap().error_code.0, 5);
}

#[tokio::test]
async fn requests_beyond_the_cap_wait_for_answers() {
    let options = ConnectionOptions { in_flight_requests_max: 2, ..Default::default() };
    let (connection, mut broker) = connect(&options).await;
    let pending: Vec<_> = (0..3).map(|_| connection.send(&request())).collect();
    let first = broker.request().await;
    let second = broker.request().await;
    let third = timeout(Duration::from_millis(50), broker.request()).await;
    assert!(third.is_err(), "written beyond the cap");
    broker.answer::<HeartbeatRequest>(&first, &beat(0, 0)).await;
    let third = broker.request().await;
    for request in [second, third] {
        broker.answer::<HeartbeatRequest>(&request, &beat(0, 0)).await;
    }
    for pending in pending {
        pending.await.unwrap();
    }
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let options = ConnectionOptions {
        in_flight_requests_max: 0,
        queued_requests_max: 2,
        ..ConnectionOptions::default()
    };
    let (connection, _broker) = connect(&options).await;
    let _waiting = [connection.send(&request()), connection.send(&request())];
    let error = connection.send(&request()).await.unwrap_err();
    assert!(error.was_not_sent() && error.is_retriable());
    assert!(error.to_string().contains("2 requests ("), "{error}");
}

#[tokio::test]
async fn an_old_broker_is_asked_in_version_0() {
    let (near, far) = duplex(1 << 16);
    let mut broker = Broker(far);
    let script = async {
        let newest = broker.expect(ApiKey::ApiVersions).await;
        assert_eq!(newest.version, ApiVersionsRequest::VERSIONS.max);
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..ApiVersionsResponse::default()
        };
        let as_v0 = Arrived { version: 0, ..newest };
        broker.answer::<ApiVersionsRequest>(&as_v0, &refusal).await;
        let oldest = broker.expect(ApiKey::ApiVersions).await;
        assert_eq!(oldest.version, 0);
        broker.answer::<ApiVersionsRequest>(&oldest, &versions()).await;
    };
    let (name, options) = (name(), ConnectionOptions::default());
    let (connection, ()) = tokio::join!(Connection::over(near, &name, &options), script);
    let connection = connection.unwrap();
    assert_eq!(connection.version_of::<HeartbeatRequest>().unwrap(), 4);
}

#[tokio::test]
async fn a_missing_api_is_named() {
    let (connection, _broker) = connect(&ConnectionOptions::default()).await;
    let error = connection.send(&ApiVersionsRequest::default()).await.unwrap_err();
    assert!(error.was_not_sent());
    let text = error.to_string();
    assert!(text.contains("broker 3 (broker.example:9092): ApiVersions"), "{text}");
    assert!(text.contains("does not know it"), "{text}");
}

#[tokio::test]
async fn frames_are_small_until_the_handshake_is_over() {
    for (size, expected) in [(65_537_u32, "65537 bytes; the limit is 65536"), (0x15030300, "TLS")] {
        let (near, far) = duplex(1 << 16);
        let mut broker = Broker(far);
        let script = async {
            broker.request().await;
            broker.0.write_all(&size.to_be_bytes()).await.unwrap();
        };
        let (name, options) = (name(), ConnectionOptions::default());
        let (failure, ()) = tokio::join!(Connection::over(near, &name, &options), script);
        let text = failure.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

fn plain() -> ConnectionOptions {
    let credentials = SaslCredentials {
        mechanism: SaslMechanism::Plain,
        username: "farlog".into(),
        password: "secret".into(),
    };
    ConnectionOptions {
        security: Security { tls: None, sasl: Some(credentials) },
        ..ConnectionOptions::default()
    }
}

impl Broker {
    async fn authenticate(&mut self, code: ErrorCode, session_lifetime_ms: i64) {
        let arrived = self.expect(ApiKey::SaslHandshake).await;
        let offered = SaslHandshakeResponse {
            mechanisms: vec!["PLAIN".to_owned()],
            ..SaslHandshakeResponse::default()
        };
        self.answer::<SaslHandshakeRequest>(&arrived, &offered).await;
        let arrived = self.expect(ApiKey::SaslAuthenticate).await;
        let verdict = SaslAuthenticateResponse {
            error_code: code,
            error_message: (code != ErrorCode::NONE).then(|| "no such user".to_owned()),
            session_lifetime_ms,
            ..SaslAuthenticateResponse::default()
        };
        self.answer::<SaslAuthenticateRequest>(&arrived, &verdict).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sasl_session_is_renewed_in_time_and_requests_wait_for_it() {
    let (near, far) = duplex(1 << 16);
    let mut broker = Broker(far);
    let script = async {
        broker.handshake().await;
        broker.authenticate(ErrorCode::NONE, 10_000).await;
    };
    let (name, options) = (name(), plain());
    let (connection, ()) = tokio::join!(Connection::over(near, &name, &options), script);
    let connection = connection.unwrap();
    let started = Instant::now();
    let handshake = broker.expect(ApiKey::SaslHandshake).await;
    assert_eq!(started.elapsed().as_millis(), 8_500);
    let waiting = connection.send(&request());
    let offered = SaslHandshakeResponse::default();
    broker.answer::<SaslHandshakeRequest>(&handshake, &offered).await;
    let token = broker.expect(ApiKey::SaslAuthenticate).await;
    let verdict = SaslAuthenticateResponse { session_lifetime_ms: 20_000, ..Default::default() };
    broker.answer::<SaslAuthenticateRequest>(&token, &verdict).await;
    broker.heartbeat(0, 0).await;
    waiting.await.unwrap();
    broker.authenticate(ErrorCode::SASL_AUTHENTICATION_FAILED, 0).await;
    assert_eq!(started.elapsed().as_millis(), 8_500 + 17_000);
    connection.ended().await;
    let text = connection.failure().unwrap().to_string();
    assert!(text.contains("SASL_AUTHENTICATION_FAILED"), "{text}");
}

#[tokio::test]
async fn a_refused_login_says_who_and_why() {
    let (near, far) = duplex(1 << 16);
    let mut broker = Broker(far);
    let script = async {
        broker.handshake().await;
        broker.authenticate(ErrorCode::SASL_AUTHENTICATION_FAILED, 0).await;
    };
    let (name, options) = (name(), plain());
    let (failure, ()) = tokio::join!(Connection::over(near, &name, &options), script);
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("authentication of `farlog` with PLAIN failed"), "{text}");
    assert!(text.contains("no such user") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let (connection, mut broker) = connect(&ConnectionOptions::default()).await;
    let pending = connection.send(&request());
    drop(connection);
    broker.heartbeat(0, 0).await;
    pending.await.unwrap();
    assert_eq!(broker.0.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn closing_with_a_reset_reaches_the_peer_as_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ServerAddress::new("127.0.0.1", listener.local_addr().unwrap().port());
    let accept = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let size = stream.read_u32().await.unwrap();
        let mut body = vec![0; size as usize];
        stream.read_exact(&mut body).await.unwrap();
        let id = i32::from_be_bytes([body[4], body[5], body[6], body[7]]);
        let frame = farlog_wire::frame::encode_response::<ApiVersionsRequest>(
            &versions(),
            ApiVersionsRequest::VERSIONS.max,
            id,
        );
        stream.write_all(&frame.unwrap()).await.unwrap();
        stream
    };
    let options = ConnectionOptions::default();
    let dial = Connection::dial(BrokerName::bootstrap(address), &options);
    let (connection, mut stream) = tokio::join!(dial, accept);
    let connection = connection.unwrap();
    let pending = connection.send(&request());
    connection.close_with_reset().await;
    let failure = failure_of(pending).await;
    assert!(matches!(*failure.failure, ConnectionFailure::ClosedLocally));
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_unreachable_broker_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let broker = BrokerName::node(7, ServerAddress::new("127.0.0.1", port));
    let error = Connection::dial(broker, &ConnectionOptions::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("broker 7 (127.0.0.1:{port}): cannot connect")), "{text}");
    assert!(error.is_retriable());
}
