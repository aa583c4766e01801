//! TLS and SASL, as clients meet them: ours, and other people's.

mod hostile;
mod tokens;
mod tools;
mod world;

use std::time::Duration;

use farlog_broker::{AuthorizerOptions, BrokerOptions, SecurityProtocol};
use farlog_client::admin::{IsolationLevel, NewTopic, OffsetSpec};
use farlog_client::sasl::SaslMechanism;
use farlog_client::{Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_store::{Store, StoreOptions};
use farlog_wire::messages::list_groups_request::ListGroupsRequest;

use crate::fixture::{loopback, start_with};
use crate::peer::Peer;
use world::{Login, Secured, listener};

fn new_topic() -> NewTopic {
    NewTopic {
        name: "t".to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mechanism_lets_in_who_knows_the_password() {
    let broker = Secured::start().await;
    for protocol in [SecurityProtocol::SaslPlaintext, SecurityProtocol::SaslSsl] {
        for mechanism in
            [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512]
        {
            let login = |user, password| Login { protocol, mechanism, user, password };
            broker.connect(login("alice", "alice's secret")).await.expect("let in");
            for (user, password) in [("alice", "wrong"), ("nobody", "x"), ("alice", "")] {
                let refused = broker.connect(login(user, password)).await.expect_err("refused");
                let refused = refused.to_string();
                assert!(refused.contains("refused the credentials"), "{mechanism}: {refused}");
            }
        }
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_tells_clients_of_itself() {
    let broker = Secured::start().await;
    let login = Login::alice(SecurityProtocol::SaslSsl, SaslMechanism::Plain);
    let cluster = broker.connect(login).await.expect("let in");
    // Routed by what metadata say: had they named another listener, this would fail.
    let made = cluster.create_topics(&[new_topic()], false).await.expect("an answer");
    made["t"].as_ref().expect("the topic is made");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_asked_for_where_there_is_no_sasl() {
    let broker = Secured::start().await;
    broker.connect_tls(true).await.expect("let in");
    broker.connect_tls(false).await.expect_err("no certificate");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mechanisms_that_are_not_offered_are_refused_by_name() {
    let mut options = world::options();
    options.security.mechanisms = [farlog_broker::SaslMechanism::ScramSha256].into();
    let broker = Secured::start_with(options).await;
    let login = Login::alice(SecurityProtocol::SaslPlaintext, SaslMechanism::Plain);
    let refused = broker.connect(login).await.expect_err("refused").to_string();
    assert!(refused.contains("PLAIN is not offered"), "{refused}");
    assert!(refused.contains("offers: SCRAM-SHA-256"), "{refused}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_renewed_before_they_are_over() {
    let mut options = world::options();
    options.settings.set("connections.max.reauth.ms", "3000").expect("a setting");
    let broker = Secured::start_with(options).await;
    let login = Login::alice(SecurityProtocol::SaslPlaintext, SaslMechanism::ScramSha512);
    let cluster = broker.connect(login).await.expect("let in");
    let begun = std::time::Instant::now();
    // Longer than a session: a connection that did not renew it would be closed.
    let connection = cluster.connection(1).await.expect("a connection");
    while begun.elapsed() < Duration::from_millis(4_500) {
        let listed = connection.send(&ListGroupsRequest::default()).await;
        listed.expect("a session that is renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_may_do_what_they_are_allowed_to_and_no_more_than_their_quota() {
    let mut options = world::options();
    options.security.authorizer = Some(AuthorizerOptions {
        super_users: ["User:ANONYMOUS".to_owned()].into(),
        allow_without_acl: false,
    });
    let broker = Secured::start_with(options).await;
    let plain = broker.address(SecurityProtocol::Plaintext);
    let made = new_topic();
    let servers = ServerAddress::parse_list(&plain.to_string()).expect("an address");
    let admin = Cluster::connect(ClusterOptions::new(servers)).await.expect("let in");
    admin.create_topics(&[made], false).await.expect("an answer")["t"].as_ref().expect("made");
    let login = Login::alice(SecurityProtocol::SaslSsl, SaslMechanism::ScramSha256);
    let alice = broker.connect(login).await.expect("let in");
    let end = [(TopicPartition::new("t", 0), OffsetSpec::Latest)];
    let isolation = IsolationLevel::ReadUncommitted;
    let refused = alice.list_offsets(isolation, end.clone()).await;
    assert!(refused.values().all(Result::is_err), "{refused:?}");
    broker.allow_reading("alice", "t").await;
    let allowed = alice.list_offsets(isolation, end.clone()).await;
    assert!(allowed.values().all(Result::is_ok), "{allowed:?}");
    // A client that takes more than its quota is told how long it is not listened to.
    broker.limit_fetching("alice", 1).await;
    let mut peer =
        Peer::user(broker.address(SecurityProtocol::SaslPlaintext), "alice", "alice's secret");
    broker.produce(100).await;
    let throttled = broker.fetch(&mut peer).await;
    assert!(throttled > 0, "{throttled}");
    let heard = tokio::time::timeout(Duration::from_millis(300), broker.fetch(&mut peer)).await;
    assert!(heard.is_err(), "{heard:?}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || async {
        let options = StoreOptions::new(directory.path());
        let (store, found) = Store::open(options).await.expect("a store");
        BrokerOptions { store, recovered: found.logs, ..world::options() }
    };
    let broker = Secured::start_with(open().await).await;
    broker.set_password("carol", "first").await;
    broker.set_password("carol", "second").await;
    broker.set_password("dave", "gone").await;
    broker.remove_password("dave").await;
    broker.stop().await;
    let broker = Secured::start_with(open().await).await;
    let login = |user, password| {
        let mechanism = SaslMechanism::ScramSha256;
        Login { protocol: SecurityProtocol::SaslPlaintext, mechanism, user, password }
    };
    broker.connect(login("carol", "second")).await.expect("let in");
    broker.connect(login("carol", "first")).await.expect_err("an old password");
    broker.connect(login("dave", "gone")).await.expect_err("a user who was removed");
    broker.stop().await;
}

#[tokio::test]
async fn tls_without_a_certificate_does_not_start() {
    let mut options = BrokerOptions::in_memory(loopback());
    options.listeners.push(listener(SecurityProtocol::SaslSsl));
    let refused = farlog_broker::Broker::open(options).await.expect_err("no certificate");
    assert!(refused.to_string().contains("needs a certificate"), "{refused}");
    start_with(BrokerOptions::in_memory(loopback())).await.stop().await;
}
