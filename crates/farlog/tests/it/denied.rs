//! A link whose principal may do no more than it must: what it may not do is said, with the way
//! out, and nothing is left out.

use std::collections::BTreeMap;

use farlog_client::admin::{CommittedOffset, ConfigChange, ConfigResource};
use farlog_client::{Cluster, TopicPartition};
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener};
use farlog_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use farlog_wire::records::{BatchWriter, ProducerStamp};

use crate::binary::{Place, get, json};
use crate::run::{RECORDS, append, connect, count, fill};

const VERSION: KafkaVersion = KafkaVersion::V4_3;
const LARGE_BYTES: usize = 2_000_000;

/// Codes of `ResourceType` and `AclOperation` in Kafka's `CreateAcls`.
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DESCRIBE: i8 = 8;
const DESCRIBE_CONFIGS: i8 = 10;
const IDEMPOTENT_WRITE: i8 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_that_may_not_be_made_room_for_stops_the_partition() {
    let source = KafkaCluster::start(KafkaOptions::new(VERSION)).unwrap();
    let options = KafkaOptions::new(VERSION).listener(Listener::Sasl).user("farlog", "secret");
    let target = KafkaCluster::start(options.authorizer()).unwrap();
    let (east, west) = (connect(&source).await, connect(&target).await);
    allow(&west).await;
    fill(&east, "orders").await;
    let place = settings(&plain(&source), &secured(&target));
    let mut instance = place.run("denied", &[]);
    let address = instance.address();
    let partition = || json(&get(address, "/status"))["links"][0]["partitions"][0].clone();
    instance.until("the mirror", |_| partition()["state"] == "caught-up");

    alter(&east, "max.message.bytes", "4000000").await;
    let mut batch = BatchWriter::new();
    batch.push(farlog_link::Clock::system().now_ms(), None, Some(&vec![7; LARGE_BYTES]), &[]);
    let batch = batch.finish(ProducerStamp::NONE).unwrap();
    east.produce_batch(&TopicPartition::new("orders", 0), &batch).await.unwrap();
    append(&east, "orders").await;
    instance.until("the stop", |_| partition()["state"] == "stopped-too-large");
    let why = partition()["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("a batch of 2000"), "{why}");
    for words in [
        "bytes is larger than target topic orders accepts; ",
        "raising it failed, which needs ALTER_CONFIGS on the topic: ",
        "TOPIC_AUTHORIZATION_FAILED",
        "; raise max.message.bytes there to at least 2000",
    ] {
        assert!(why.contains(words), "{why}");
    }
    assert_eq!(count(&west, "orders").await, RECORDS, "nothing may be left out");

    // An operator follows the advice: it goes on by itself.
    alter(&west, "max.message.bytes", "4000000").await;
    instance.until("the rest", |_| partition()["state"] == "caught-up");
    assert_eq!(count(&west, "orders").await, 2 * RECORDS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_asked_where_their_commits_may_not_be_read() {
    let options = KafkaOptions::new(VERSION).listener(Listener::Sasl).user("farlog", "secret");
    let source = KafkaCluster::start(options.authorizer()).unwrap();
    let target = KafkaCluster::start(KafkaOptions::new(VERSION)).unwrap();
    let (east, west) = (connect(&source).await, connect(&target).await);
    let rights = [
        (TOPIC, "orders", READ),
        (TOPIC, "orders", DESCRIBE_CONFIGS),
        (GROUP, "*", DESCRIBE),
        (CLUSTER, "kafka-cluster", DESCRIBE),
    ];
    grant(&east, &rights).await;
    fill(&east, "orders").await;
    let place = TopicPartition::new("orders", 0);
    let committed = |offset| {
        let offset = CommittedOffset { offset, leader_epoch: None, metadata: String::new() };
        BTreeMap::from([(place.clone(), offset)])
    };
    let results = east.commit_group_offsets("billing", &committed(2)).await.unwrap();
    results[&place].as_ref().unwrap();
    let files = settings(&secured(&source), &plain(&target));
    let mut instance = files.run("asking", &[]);
    let address = instance.address();
    let groups = || json(&get(address, "/status"))["links"][0]["groups"].clone();
    instance.until("the offset", |_| groups()["offsets_committed_total"] == 1);
    assert_eq!(groups()["mode"], "asking");
    let why = groups()["why"].as_str().unwrap().to_owned();
    assert_eq!(why, "__consumer_offsets: the link's principal needs READ and DESCRIBE");
    let arrived = west.group_offsets("billing").await.unwrap();
    assert_eq!(arrived, committed(2));
}

async fn alter(cluster: &Cluster, name: &str, value: &str) {
    let resource = ConfigResource::topic("orders");
    let changes = BTreeMap::from([(resource.clone(), vec![ConfigChange::set(name, value)])]);
    let altered = cluster.incremental_alter_configs(&changes, false).await.unwrap();
    altered[&resource].as_ref().unwrap();
}

/// What a link needs of its target, but for the right to alter its mirrors.
async fn allow(cluster: &Cluster) {
    let rights = [
        (TOPIC, "*", READ),
        (TOPIC, "*", WRITE),
        (TOPIC, "*", CREATE),
        (TOPIC, "*", DESCRIBE_CONFIGS),
        (GROUP, "*", READ),
        (CLUSTER, "kafka-cluster", DESCRIBE),
        (CLUSTER, "kafka-cluster", DESCRIBE_CONFIGS),
        (CLUSTER, "kafka-cluster", IDEMPOTENT_WRITE),
    ];
    grant(cluster, &rights).await;
}

async fn grant(cluster: &Cluster, rights: &[(i8, &str, i8)]) {
    let creations = rights.iter().map(|&(resource_type, name, operation)| AclCreation {
        resource_type,
        resource_name: name.to_owned(),
        // Literal, where `*` is every name.
        resource_pattern_type: 3,
        principal: "User:farlog".to_owned(),
        host: "*".to_owned(),
        operation,
        // Allow.
        permission_type: 3,
    });
    let request = CreateAclsRequest { creations: creations.collect() };
    let answer = cluster.send_controller(&request).await.unwrap();
    assert!(answer.results.iter().all(|one| !one.error_code.is_error()), "{answer:?}");
}

fn plain(cluster: &KafkaCluster) -> String {
    format!("{{ bootstrap-servers: ['{}'] }}", cluster.bootstrap())
}

fn secured(cluster: &KafkaCluster) -> String {
    let bootstrap = cluster.bootstrap_of(Listener::Sasl);
    format!(
        "{{ bootstrap-servers: ['{bootstrap}'], client-properties: login.properties, credentials: \
         '${{file:login}}' }}"
    )
}

fn settings(east: &str, west: &str) -> Place {
    let settings = format!(
        "version: 1\n\
         clusters:\n  \
           east: {east}\n  \
           west: {west}\n\
         links:\n  \
           east-west:\n    \
             source: east\n    \
             target: west\n    \
             topics: [orders]\n    \
             replication-factor: 1\n    \
             config-sync: {{ interval: 1s }}\n"
    );
    let place = Place::new("farlog.yaml", &settings);
    place.write("login.properties", "security.protocol=SASL_PLAINTEXT\n");
    place.write("login", "farlog:secret\n");
    place
}
