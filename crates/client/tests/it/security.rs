//! TLS and SASL as brokers demand them, and what is said when we come with the wrong ones.

use std::time::{Duration, Instant};

use farlog_client::options::{Security, SecurityProtocol};
use farlog_client::sasl::{SaslCredentials, SaslMechanism};
use farlog_client::tls::{TlsIdentity, TlsOptions};
use farlog_client::{Cluster, ClusterOptions, ConnectError, ServerAddress, TopicSelection};
use farlog_testkit::kafka::{KafkaVersion, Listener, SharedKafkaGuard};
use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;

use crate::fixture::{PASSWORD, REAUTHENTICATE_MS, USER, kafka};

const MECHANISMS: [SaslMechanism; 3] =
    [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

fn credentials(mechanism: SaslMechanism, password: &str) -> SaslCredentials {
    SaslCredentials { mechanism, username: USER.into(), password: password.into() }
}

fn trusting(kafka: &SharedKafkaGuard<'_>) -> TlsOptions {
    let authority = std::fs::read(kafka.tls().authority).unwrap();
    TlsOptions { authorities_pem: Some(authority), ..TlsOptions::default() }
}

fn options(
    kafka: &SharedKafkaGuard<'_>,
    listener: Listener,
    tls: &TlsOptions,
    sasl: Option<SaslCredentials>,
) -> ClusterOptions {
    let protocol: SecurityProtocol = listener.security_protocol().parse().unwrap();
    let bootstrap = ServerAddress::parse_list(&kafka.bootstrap_of(listener)).unwrap();
    let mut options = ClusterOptions::new(bootstrap);
    options.connection.security = Security::new(protocol, tls, sasl).unwrap();
    options.connection.connect_timeout = Duration::from_secs(5);
    // A wrong setting must be told at once; what may pass is not tried again here.
    options.retry.give_up_after = Duration::from_secs(20);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mechanism_logs_in_with_and_without_tls() {
    for version in KafkaVersion::ALL {
        let kafka = kafka(version);
        let tls = trusting(&kafka);
        for listener in [Listener::Sasl, Listener::SaslTls] {
            for mechanism in MECHANISMS {
                let sasl = Some(credentials(mechanism, PASSWORD));
                let cluster =
                    Cluster::connect(options(&kafka, listener, &tls, sasl)).await.unwrap();
                cluster.metadata(&TopicSelection::All).await.unwrap();
                assert_eq!(cluster.cluster_id(), kafka.cluster_id());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_at_once_and_never_shown() {
    for version in KafkaVersion::ALL {
        let kafka = kafka(version);
        for mechanism in MECHANISMS {
            let sasl = Some(credentials(mechanism, "mistaken"));
            let options = options(&kafka, Listener::Sasl, &TlsOptions::default(), sasl);
            let started = Instant::now();
            let error = Cluster::connect(options).await.unwrap_err();
            assert!(!error.is_retriable() && started.elapsed() < Duration::from_secs(10));
            let text = error.to_string();
            let expected = format!("authentication of `{USER}` with {mechanism} failed");
            assert!(text.contains(&expected), "{text}");
            assert!(text.contains("SASL_AUTHENTICATION_FAILED"), "{text}");
            assert!(!format!("{text}{error:?}").contains("mistaken"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_before_the_broker_ends_it() {
    let kafka = kafka(KafkaVersion::V4_3);
    let sasl = Some(credentials(SaslMechanism::ScramSha256, PASSWORD));
    let options = options(&kafka, Listener::Sasl, &TlsOptions::default(), sasl);
    let cluster = Cluster::connect(options).await.unwrap();
    let connection = cluster.connection(1).await.unwrap();
    let started = Instant::now();
    // A broker closes a connection that sends anything else after its session has run out.
    while started.elapsed() < Duration::from_millis(2 * REAUTHENTICATE_MS + 500) {
        connection.send(&DescribeClusterRequest::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_and_shown() {
    let kafka = kafka(KafkaVersion::V4_3);
    let known = trusting(&kafka);
    let files = kafka.tls();
    let identity = TlsIdentity {
        certificates_pem: std::fs::read(files.client_certificate).unwrap(),
        key_pem: std::fs::read(files.client_key).unwrap(),
    };
    let with_identity = TlsOptions { identity: Some(identity), ..known.clone() };
    let any_host = TlsOptions { any_host_name: true, ..known.clone() };
    for tls in [known, with_identity, any_host] {
        let cluster = Cluster::connect(options(&kafka, Listener::Tls, &tls, None)).await.unwrap();
        cluster.metadata(&TopicSelection::All).await.unwrap();
    }
    let strangers = TlsOptions::default();
    let error = Cluster::connect(options(&kafka, Listener::Tls, &strangers, None)).await;
    let error = error.unwrap_err();
    assert!(!error.is_retriable(), "{error}");
    assert!(
        error.to_string().contains("TLS handshake failed: invalid peer certificate"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_protocol_is_guessed_right() {
    let kafka = kafka(KafkaVersion::V4_3);
    let connect = async |bootstrap: String, security: Security| {
        let mut options = ClusterOptions::new(ServerAddress::parse_list(&bootstrap).unwrap());
        options.connection.security = security;
        options.retry.give_up_after = Duration::ZERO;
        match Cluster::connect(options).await.unwrap_err() {
            error @ ConnectError::NoneUsable { .. } => error.to_string(),
            other => panic!("{other}"),
        }
    };
    let text = connect(kafka.bootstrap_of(Listener::Tls), Security::default()).await;
    assert!(text.contains("answers with TLS") || text.contains("protocol right?"), "{text}");
    let text = connect(kafka.bootstrap_of(Listener::Sasl), Security::default()).await;
    assert!(text.contains("is the security protocol right?"), "{text}");
    let tls = Security::new(SecurityProtocol::Ssl, &trusting(&kafka), None).unwrap();
    let text = connect(kafka.bootstrap(), tls).await;
    assert!(text.contains("TLS handshake failed"), "{text}");
}
