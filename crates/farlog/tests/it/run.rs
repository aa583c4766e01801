//! Published MirrorMaker 2 files, as they stand, between real clusters: only hosts are substituted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use farlog_client::admin::NewTopic;
use farlog_client::{
    Cluster, ClusterOptions, FetchOptions, ServerAddress, TopicPartition, TopicSelection,
};
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, SharedKafka};
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::Signal;
use farlog_wire::records::{BatchWriter, ProducerStamp, RawBatch};
use serde_json::Value;

use crate::binary::{PATIENCE, Place, farlog, get, json};

const PRIMARY_DR: &str = include_str!("../../../../docs/examples/mm2-primary-dr.properties");
const US_EU: &str = include_str!("../../../../docs/examples/mm2-us-east-eu-west.properties");
/// Mirrors have two replicas by MirrorMaker 2's default, and three where the file says so.
pub(crate) static TARGET: SharedKafka =
    SharedKafka::new(|| KafkaOptions::new(KafkaVersion::V4_3).brokers(3));
/// Records of one batch.
pub(crate) const RECORDS: i64 = 1_000;

pub(crate) async fn connect(kafka: &KafkaCluster) -> Cluster {
    let servers = ServerAddress::parse_list(&kafka.bootstrap()).unwrap();
    Cluster::connect(ClusterOptions::new(servers)).await.unwrap()
}

/// Creates a topic of one partition and appends a batch to it.
pub(crate) async fn fill(cluster: &Cluster, topic: &str) {
    let new = NewTopic {
        name: topic.to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: BTreeMap::new(),
    };
    cluster.create_topics(&[new], false).await.unwrap()[topic].as_ref().unwrap();
    append(cluster, topic).await;
}

pub(crate) async fn append(cluster: &Cluster, topic: &str) {
    let now_ms = farlog_link::Clock::system().now_ms();
    let mut batch = BatchWriter::new();
    for number in 0..RECORDS {
        batch.push(now_ms, None, Some(number.to_string().as_bytes()), &[]);
    }
    let batch = batch.finish(ProducerStamp::NONE).unwrap();
    cluster.produce_batch(&TopicPartition::new(topic, 0), &batch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_file_mirrors_tells_how_it_goes_and_drains() {
    let source = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let target = TARGET.get();
    fill(&connect(&source).await, "orders").await;
    let settings = PRIMARY_DR
        .replace("primary-kafka:9092", &source.bootstrap())
        .replace("dr-kafka:9092", &target.bootstrap());
    let place = Place::new("mm2.properties", &settings);

    let before = plan(&place);
    let create = "create  primary.orders from orders: 1 partition, replication factor 2\n";
    assert!(before.contains(create), "{before}");

    let mut first = place.run("first", &[]);
    let address = first.address();
    first.until("the mirror", |_| orders(&json(&get(address, "/status")))["state"] == "caught-up");
    assert!(get(address, "/health/ready").starts_with("HTTP/1.1 200"));
    let metrics = get(address, "/metrics");
    let counted = format!("partition=\"0\"}} {RECORDS}\n");
    let is_counted = |line: &str| {
        line.starts_with("farlog_partition_mirrored_records_total{")
            && format!("{line}\n").ends_with(&counted)
    };
    assert!(metrics.lines().any(is_counted), "{metrics}");

    // From any laptop with credentials.
    let file = place.file();
    first.until("the published status", |_| {
        let output = farlog(&["status", file, "--output", "json", "--check"]);
        let status = json(&String::from_utf8(output.stdout).unwrap());
        let partition = orders(&status);
        output.status.code() == Some(0)
            && partition["state"] == "caught-up"
            && partition["lag"]["known"] == true
    });
    let after = plan(&place);
    assert!(after.ends_with("every mirror topic is as it should be\n"), "{after}");
    // What the file's owner reads with Java's clients.
    exists(&connect(&target).await, "primary.checkpoints.internal").await;
    let lag = String::from_utf8(farlog(&["lag", file]).stdout).unwrap();
    assert!(lag.contains("primary->dr") && lag.contains("caught-up"), "{lag}");

    let taken = address.to_string();
    let output = farlog(&["run", file, "--listen", &taken]);
    assert_eq!(output.status.code(), Some(71));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process listens there"));

    // A second instance by mistake: it stands by, and takes over when the first one drains.
    let mut second = place.run("second", &[]);
    let second_address = second.address();
    let state = || json(&get(second_address, "/status"))["links"][0]["state"].clone();
    second.until("standing by", |_| state() == "standby");
    first.process.signal(Signal::Terminate).unwrap();
    assert_eq!(first.exit_code(), Some(0), "{}", first.log());
    assert!(first.log().contains("drained: everything that was sent"), "{}", first.log());
    second.until("taking over", |_| state() == "active");
    second.process.signal(Signal::Terminate).unwrap();
    assert_eq!(second.exit_code(), Some(0), "{}", second.log());

    let output = farlog(&["status", file, "--check"]);
    assert_eq!(output.status.code(), Some(2), "nobody runs the link any more");
    assert_eq!(count(&connect(&target).await, "primary.orders").await, RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_file_with_two_servers_and_three_replicas_runs() {
    const TOPICS: [&str; 3] = ["inventory", "orders", "user-events"];
    let source = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let target = TARGET.get();
    let (east, west) = (connect(&source).await, connect(&target).await);
    for topic in TOPICS.iter().chain(&["unasked"]) {
        fill(&east, topic).await;
    }
    // One of the servers that the file names is down.
    let down = PortLease::take().unwrap();
    let target_servers = target.bootstrap();
    let servers: Vec<&str> = target_servers.split(',').collect();
    let settings = US_EU
        .replace("kafka-us-1:9092", &down.address().to_string())
        .replace("kafka-us-2:9092", &source.bootstrap())
        .replace("kafka-eu-1:9092", servers[0])
        .replace("kafka-eu-2:9092", servers[1]);
    let place = Place::new("mm2.properties", &settings);
    let mut instance = place.run("published", &[]);
    let address = instance.address();
    instance.until("the mirrors", |_| {
        let status = json(&get(address, "/status"));
        let partitions = status["links"][0]["partitions"].as_array().unwrap();
        let caught_up = |topic: &&str| {
            let is = |each: &Value| each["topic"] == *topic && each["state"] == "caught-up";
            partitions.iter().any(is)
        };
        TOPICS.iter().all(caught_up)
    });
    instance.process.signal(Signal::Terminate).unwrap();
    assert_eq!(instance.exit_code(), Some(0), "{}", instance.log());
    let metadata = west.metadata(&TopicSelection::All).await.unwrap();
    for topic in TOPICS {
        let mirror = format!("us-east.{topic}");
        assert_eq!(count(&west, &mirror).await, RECORDS, "{mirror}");
        assert_eq!(metadata.topics[&mirror].partitions[&0].replicas.len(), 3, "{mirror}");
    }
    assert!(!metadata.topics.contains_key("us-east.unasked"));
    assert!(instance.log().contains("not yet"), "{}", instance.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replicas_than_brokers_are_named_by_plan_and_run() {
    let target = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let source = TARGET.get();
    let source_servers = source.bootstrap();
    let mut settings = US_EU.to_owned();
    for (host, server) in ["us-1", "us-2"].iter().zip(source_servers.split(',')) {
        settings = settings.replace(&format!("kafka-{host}:9092"), server);
    }
    let down = PortLease::take().unwrap();
    let settings = settings
        .replace("kafka-eu-1:9092", &target.bootstrap())
        .replace("kafka-eu-2:9092", &down.address().to_string());
    let place = Place::new("mm2.properties", &settings);
    let planned = plan(&place);
    assert!(planned.contains("replication factor 3, but target eu-west has 1 broker"), "{planned}");
    let mut instance = place.run("refused", &[]);
    let address = instance.address();
    let why = || json(&get(address, "/status"))["links"][0]["why"].to_string();
    instance.until("the reason", |_| why().contains("cannot create internal topic"));
    let why = why();
    assert!(why.contains("INVALID_REPLICATION_FACTOR"), "{why}");
    assert!(why.contains("lower the link's replication factor"), "{why}");
    assert_eq!(json(&get(address, "/status"))["links"][0]["state"], "starting");
    let ready = get(address, "/health/ready");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("starting: cannot create internal topic __farlog_state"), "{ready}");
}

/// Waits for a topic.
async fn exists(cluster: &Cluster, topic: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = cluster.metadata(&TopicSelection::All).await.unwrap();
        if all.topics.contains_key(topic) {
            return;
        }
        assert!(Instant::now() < deadline, "no {topic} in {:?}", all.topics.keys());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The one partition of `orders` in a status.
fn orders(status: &Value) -> Value {
    let partitions = status["links"][0]["partitions"].as_array();
    let found = partitions.into_iter().flatten().find(|one| one["topic"] == "orders");
    found.cloned().unwrap_or_default()
}

fn plan(place: &Place) -> String {
    let output = farlog(&["plan", place.file()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) async fn count(cluster: &Cluster, topic: &str) -> i64 {
    let mut records = 0;
    let add = |batch: RawBatch| {
        records += i64::from(batch.header.record_count);
        ControlFlow::Continue(())
    };
    let partition = TopicPartition::new(topic, 0);
    cluster.read_to_end(&partition, &FetchOptions::default(), add).await.unwrap();
    records
}
