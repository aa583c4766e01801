//! Secrets through the binary: TLS at the source, SASL at the target, and a password that changes
//! while a link runs.

use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener};
use farlog_testkit::process::Signal;
use farlog_testkit::tools::Tool;

use crate::binary::{Instance, Place, get, json};
use crate::run::{RECORDS, append, connect, count, fill};

const VERSION: KafkaVersion = KafkaVersion::V4_3;
const FIRST: &str = "first-secret";
const SECOND: &str = "second-secret";

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_picked_up_live() {
    let source = KafkaCluster::start(KafkaOptions::new(VERSION).listener(Listener::Tls)).unwrap();
    let options = KafkaOptions::new(VERSION).listener(Listener::Sasl).user("farlog", FIRST);
    let target = KafkaCluster::start(options).unwrap();
    let (east, west) = (connect(&source).await, connect(&target).await);
    fill(&east, "orders").await;
    let place = settings(&source, &target);
    let mut instance = place.run("rotating", &[]);
    mirrored(&mut instance, RECORDS);

    // Connections that are there already stay: nothing is mirrored with the new password yet.
    change_password(&target);
    place.write("login", &format!("farlog:{SECOND}\n"));
    instance.until("the new password", |instance| instance.log().contains("new credentials"));
    target.restart().unwrap();
    append(&east, "orders").await;
    mirrored(&mut instance, 2 * RECORDS);
    assert_eq!(count(&west, "orders").await, 2 * RECORDS);

    instance.process.signal(Signal::Terminate).unwrap();
    assert_eq!(instance.exit_code(), Some(0), "{}", instance.log());
    let log = instance.log();
    assert!(!log.contains(FIRST) && !log.contains(SECOND), "a password is in the log: {log}");
    assert!(!log.contains("authentication of"), "the old password was tried: {log}");
}

fn settings(source: &KafkaCluster, target: &KafkaCluster) -> Place {
    let (east, west) = (source.bootstrap_of(Listener::Tls), target.bootstrap_of(Listener::Sasl));
    let settings = format!(
        "version: 1\n\
         clusters:\n  \
           east: {{ bootstrap-servers: ['{east}'], client-properties: east.properties }}\n  \
           west:\n    \
             bootstrap-servers: ['{west}']\n    \
             client-properties: west.properties\n    \
             credentials: '${{file:login}}'\n\
         links:\n  \
           east-west: {{ source: east, target: west, topics: [orders], replication-factor: 1 }}\n"
    );
    let place = Place::new("farlog.yaml", &settings);
    let authority = source.tls().authority;
    let trust = format!(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        authority.display()
    );
    place.write("east.properties", &trust);
    place.write("west.properties", "security.protocol=SASL_PLAINTEXT\n");
    place.write("login", &format!("farlog:{FIRST}\n"));
    place
}

/// Waits until this many records were acknowledged since the instance began to mirror the link.
fn mirrored(instance: &mut Instance, records: i64) {
    let address = instance.address();
    instance.until("the records", |_| {
        let status = json(&get(address, "/status"));
        status["links"][0]["partitions"][0]["source_offset"] == records
    });
}

fn change_password(kafka: &KafkaCluster) {
    let scram = format!("SCRAM-SHA-512=[password={SECOND}]");
    Tool::kafka(VERSION, "kafka.admin.ConfigCommand")
        .args(["--bootstrap-server", &kafka.bootstrap(), "--alter"])
        .args(["--entity-type", "users", "--entity-name", "farlog", "--add-config", &scram])
        .run()
        .unwrap();
}
