//! Tokens (OAUTHBEARER): what a client is told, step by step, and clients of other people.

use std::time::Duration;

use bytes::Bytes;
use farlog_broker::{
    BrokerOptions, Clock, SaslMechanism, SecurityProtocol, TokenKeys, TokenOptions, TokenTrust,
};
use farlog_testkit::clients::{Language, NoClient};
use farlog_testkit::tokens::{Issuer, key_set};
use farlog_testkit::tools::Tool;
use farlog_wire::ErrorCode;
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use serde_json::json;

use super::tools::Files;
use super::world::{self, Secured};
use crate::clients::run;
use crate::peer::Peer;

/// What a client is told whose token is refused.
const INVALID: &[u8] = br#"{"status":"invalid_token"}"#;

/// The time of brokers whose clock stands still.
const NOW_MS: i64 = 1_800_000_000_000;

/// A broker that takes tokens, too; its clock stands still.
async fn start(trust: TokenTrust, settings: &[(&str, &str)]) -> Secured {
    start_at(Clock::from_fn(|| NOW_MS), trust, settings).await
}

async fn start_at(clock: Clock, trust: TokenTrust, settings: &[(&str, &str)]) -> Secured {
    let mut options = BrokerOptions { clock, ..world::options() };
    options.security.mechanisms.insert(SaslMechanism::OauthBearer);
    options.security.tokens = Some(TokenOptions {
        trust,
        issuer: Some("issuer".to_owned()),
        audiences: vec!["farlog".to_owned()],
        principal_claim: "sub".to_owned(),
    });
    for (name, value) in settings {
        options.settings.set(name, value).expect("a setting");
    }
    Secured::start_with(options).await
}

fn signed(issuers: &[&Issuer]) -> TokenTrust {
    let keys = key_set(issuers.iter().copied());
    TokenTrust::Signed(TokenKeys::parse(&keys).expect("a key set"))
}

/// A token that is valid for so many seconds.
fn token(issuer: &Issuer, name: &str, seconds: i64) -> String {
    token_at(NOW_MS, issuer, name, seconds)
}

fn token_at(now_ms: i64, issuer: &Issuer, name: &str, seconds: i64) -> String {
    let now = now_ms / 1_000;
    issuer.token(&json!({
        "iss": "issuer", "aud": "farlog", "sub": name, "iat": now, "exp": now + seconds,
    }))
}

async fn authenticate(peer: &mut Peer, message: String) -> SaslAuthenticateResponse {
    let handshake = SaslHandshakeRequest { mechanism: "OAUTHBEARER".to_owned() };
    let offered = peer.call(&handshake, 1).await.expect("an answer");
    assert_eq!(offered.error_code, ErrorCode::NONE);
    say(peer, message.into()).await
}

async fn say(peer: &mut Peer, auth_bytes: Bytes) -> SaslAuthenticateResponse {
    peer.call(&SaslAuthenticateRequest { auth_bytes }, 2).await.expect("an answer")
}

fn first(token: &str) -> String {
    format!("n,,\x01traceId=1\x01auth=Bearer {token}\x01\x01")
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_let_in_whom_they_name() {
    let (rsa, ec, stranger) = (Issuer::rs256("r"), Issuer::es256("e"), Issuer::es256("e"));
    let broker = start(signed(&[&rsa, &ec]), &[]).await;
    let address = broker.address(SecurityProtocol::SaslPlaintext);
    for issuer in [&rsa, &ec] {
        let mut peer = Peer::new(address);
        let told = authenticate(&mut peer, first(&token(issuer, "alice", 600))).await;
        assert_eq!((told.error_code, told.auth_bytes), (ErrorCode::NONE, Bytes::new()));
        // As long as the token is valid.
        assert_eq!(told.session_lifetime_ms, 600_000);
        peer.call(&ListGroupsRequest::default(), 4).await.expect("let in");
    }
    for bad in [token(&stranger, "alice", 600), token(&rsa, "alice", -60), "a.b.c".to_owned()] {
        let mut peer = Peer::new(address);
        let told = authenticate(&mut peer, first(&bad)).await;
        assert_eq!((told.error_code, &told.auth_bytes[..]), (ErrorCode::NONE, INVALID));
        let told = say(&mut peer, Bytes::from_static(b"\x01")).await;
        assert_eq!(told.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
        assert_eq!(told.error_message.as_deref().map(str::as_bytes), Some(INVALID));
        peer.call(&ListGroupsRequest::default(), 4).await.expect_err("closed");
    }
    for (message, told) in [
        (
            format!("n,a=bob,\x01auth=Bearer {}\x01\x01", token(&ec, "alice", 60)),
            "authorization id",
        ),
        ("hello".to_owned(), "invalid credentials with SASL mechanism OAUTHBEARER"),
    ] {
        let answer = authenticate(&mut Peer::new(address), message).await;
        assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
        let message = answer.error_message.expect("a message");
        assert!(message.contains(told), "{message}");
    }
    // A second token after the first was refused is taken, as with Kafka.
    let mut peer = Peer::new(address);
    authenticate(&mut peer, first("a.b.c")).await;
    let told = say(&mut peer, first(&token(&ec, "alice", 60)).into()).await;
    assert_eq!((told.error_code, told.auth_bytes), (ErrorCode::NONE, Bytes::new()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_last_as_long_as_tokens_and_can_be_renewed() {
    let issuer = Issuer::es256("e");
    let settings =
        [("connections.max.reauth.ms", "3600000"), ("sasl.oauthbearer.clock.skew.seconds", "0")];
    let broker = start(signed(&[&issuer]), &settings).await;
    let address = broker.address(SecurityProtocol::SaslPlaintext);
    let mut peer = Peer::new(address);
    let told = authenticate(&mut peer, first(&token(&issuer, "alice", 86_400))).await;
    assert_eq!(told.session_lifetime_ms, 3_600_000);
    peer.call(&ListGroupsRequest::default(), 4).await.expect("let in");
    // Again, with a token that ends sooner…
    let told = authenticate(&mut peer, first(&token(&issuer, "alice", 2))).await;
    assert_eq!(told.error_code, ErrorCode::NONE);
    assert_eq!(told.session_lifetime_ms, 2_000);
    // … whose end is the session's.
    while peer.call(&ListGroupsRequest::default(), 4).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut peer = Peer::new(address);
    authenticate(&mut peer, first(&token(&issuer, "alice", 600))).await;
    let told = authenticate(&mut peer, first(&token(&issuer, "bob", 600))).await;
    assert_eq!(told.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    let message = told.error_message.expect("a message");
    assert!(message.starts_with("Cannot change principals during re-authentication"), "{message}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_taken_are_not_offered() {
    let broker = Secured::start().await;
    let handshake = SaslHandshakeRequest { mechanism: "OAUTHBEARER".to_owned() };
    let mut peer = Peer::new(broker.address(SecurityProtocol::SaslPlaintext));
    let told = peer.call(&handshake, 1).await.expect("an answer");
    assert_eq!(told.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(told.mechanisms, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    broker.stop().await;
    let mut options = world::options();
    options.security.mechanisms.insert(SaslMechanism::OauthBearer);
    let refused = farlog_broker::Broker::open(options).await.expect_err("no tokens");
    assert!(refused.to_string().contains("which tokens are taken"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tools_come_with_tokens_of_a_file() {
    let issuer = Issuer::rs256("r");
    let clock = Clock::system();
    let now_ms = clock.now_ms();
    let broker = start_at(clock, signed(&[&issuer]), &[]).await;
    let files = Files::new(&broker);
    broker.broker.topic("java", 1, &[]).await;
    let alice = files.java_with_token(&token_at(now_ms, &issuer, "alice", 3_600));
    let produce = files.tool("ConsoleProducer", &alice.config).args(["--topic", "java"]);
    run(alice.allow(produce).input("one\ntwo\n")).await;
    let consume = files.tool("consumer.ConsoleConsumer", &alice.config).args([
        "--topic",
        "java",
        "--from-beginning",
        "--max-messages",
        "2",
    ]);
    assert_eq!(run(alice.allow(consume)).await, "one\ntwo\n");
    let stranger = files.java_with_token(&token_at(now_ms, &Issuer::rs256("r"), "alice", 3_600));
    let list = files.tool("TopicCommand", &stranger.config).args(["--list"]);
    let list = stranger.allow(list);
    let refused = tokio::task::spawn_blocking(move || list.run()).await.expect("no panic");
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("invalid_token"), "{refused}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_comes_with_unsecured_tokens_where_they_are_taken() {
    let mut options = world::options();
    options.security.mechanisms = [SaslMechanism::OauthBearer].into();
    options.security.tokens = Some(TokenOptions {
        trust: TokenTrust::Unsecured,
        issuer: None,
        audiences: Vec::new(),
        principal_claim: "sub".to_owned(),
    });
    let broker = Secured::start_with(options).await;
    let files = Files::new(&broker);
    broker.broker.topic("kcat", 1, &[]).await;
    let kcat = || {
        files
            .kcat_over_tls()
            .args(["-X", "sasl.mechanisms=OAUTHBEARER"])
            .args(["-X", "enable.sasl.oauthbearer.unsecure.jwt=true"])
            .args(["-X", "sasl.oauthbearer.config=principal=bob extension_traceId=1"])
    };
    run(kcat().args(["-P", "-t", "kcat"]).input("of bob\n")).await;
    let read = run(kcat().args(["-C", "-t", "kcat", "-o", "-1", "-e", "-q"])).await;
    assert_eq!(read.trim(), "of bob");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafka_comes_with_tokens_of_its_application() {
    match Language::Python.tool("librdkafka.py") {
        Ok(_) => {}
        Err(NoClient::Absent { why }) => return println!("NOT RUN: {why}"),
        Err(not_fetched) => panic!("{not_fetched}"),
    }
    let (issuer, stranger) = (Issuer::es256("e"), Issuer::es256("e"));
    let clock = Clock::system();
    let now_ms = clock.now_ms();
    let broker = start_at(clock, signed(&[&issuer]), &[]).await;
    let files = Files::new(&broker);
    broker.broker.topic("python", 1, &[]).await;
    for (issuer, expected) in [(&issuer, "read: of a bearer"), (&stranger, "refused: ")] {
        let python = Language::Python.directory().join("venv/bin/python");
        let client = Tool::program(&python.display().to_string())
            .args(["-c", include_str!("token.py"), &files.bootstrap, &files.path("authority.pem")])
            .args(["python", &token_at(now_ms, issuer, "alice", 3_600)]);
        let said = run(client).await;
        assert!(said.starts_with(expected), "{said}");
        assert!(expected != "refused: " || said.contains("invalid_token"), "{said}");
    }
    broker.stop().await;
}
