//! The brokers that all tests of this binary share, and topics of a test's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, SharedKafka, SharedKafkaGuard};
use farlog_wire::ErrorCode;
use farlog_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};

static OLD: SharedKafka = SharedKafka::new(|| KafkaOptions::new(KafkaVersion::V3_9));
static NEW: SharedKafka = SharedKafka::new(|| KafkaOptions::new(KafkaVersion::V4_3));

/// A running broker of a version.
pub(crate) fn kafka(version: KafkaVersion) -> SharedKafkaGuard<'static> {
    match version {
        KafkaVersion::V3_9 => OLD.get(),
        KafkaVersion::V4_3 => NEW.get(),
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

/// A new topic.
pub(crate) async fn create_topic(cluster: &Cluster, purpose: &str, partitions: i32) -> String {
    let name = topic_name(purpose);
    let topic = CreatableTopic {
        name: name.clone(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    let response = cluster.send_controller(&request).await.unwrap();
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    name
}
