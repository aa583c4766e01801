//! The brokers that all tests of this binary share, and topics of a test's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use farlog_client::admin::{IsolationLevel, NewTopic, OffsetSpec};
use farlog_client::{Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, Listener, SharedKafka, SharedKafkaGuard};
use farlog_wire::records::{BatchWriter, OutgoingBatch, ProducerStamp};

/// A timestamp that brokers do not mind.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

static OLD: SharedKafka = SharedKafka::new(|| secured(KafkaVersion::V3_9));
static NEW: SharedKafka = SharedKafka::new(|| secured(KafkaVersion::V4_3));

/// Who may log in.
pub(crate) const USER: &str = "farlog";
pub(crate) const PASSWORD: &str = "open-sesame";

/// How long a SASL session lasts (KIP-368).
pub(crate) const REAUTHENTICATE_MS: u64 = 2_000;

fn secured(version: KafkaVersion) -> KafkaOptions {
    KafkaOptions::new(version)
        .listener(Listener::Sasl)
        .listener(Listener::Tls)
        .listener(Listener::SaslTls)
        .user(USER, PASSWORD)
        .property("connections.max.reauth.ms", REAUTHENTICATE_MS)
}

/// A running broker of a version.
pub(crate) fn kafka(version: KafkaVersion) -> SharedKafkaGuard<'static> {
    match version {
        KafkaVersion::V4_3 => NEW.get(),
        KafkaVersion::V3_9 => OLD.get(),
        other => panic!("no test shares a broker of {other}"),
    }
}

/// Options for the plaintext listener.
pub(crate) fn options(kafka: &SharedKafkaGuard<'_>) -> ClusterOptions {
    ClusterOptions::new(ServerAddress::parse_list(&kafka.bootstrap()).unwrap())
}

/// A handle on a running broker of a version.
pub(crate) async fn connect(version: KafkaVersion) -> Cluster {
    Cluster::connect(options(&kafka(version))).await.unwrap()
}

/// A topic name that no other test has.
pub(crate) fn topic_name(purpose: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{purpose}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new topic whose leaders are at work.
pub(crate) async fn create_topic(cluster: &Cluster, purpose: &str, partitions: i32) -> String {
    let name = topic_name(purpose);
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        // The records of these tests have a fixed, old timestamp.
        configs: BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]),
    };
    let mut created = cluster.create_topics(&[topic], false).await.unwrap();
    created.remove(&name).unwrap().unwrap();
    // A broker knows that it leads a partition a little before it acts as its leader.
    let all = (0..partitions)
        .map(|partition| (TopicPartition::new(name.as_str(), partition), OffsetSpec::Latest));
    let ready = cluster.list_offsets(IsolationLevel::ReadUncommitted, all).await;
    assert!(ready.values().all(Result::is_ok), "{ready:?}");
    name
}

/// A batch of records `first..first + count`, each with its number as value.
pub(crate) fn batch(first: i32, count: i32, stamp: ProducerStamp) -> OutgoingBatch {
    let mut writer = BatchWriter::new();
    for number in first..first + count {
        writer.push(NOW_MS, None, Some(number.to_string().as_bytes()), &[]);
    }
    writer.finish(stamp).unwrap()
}
