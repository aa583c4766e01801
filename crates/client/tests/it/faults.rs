//! Brokers that stop, move their leaders, stall and throttle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farlog_client::admin::NewTopic;
use farlog_client::{
    Cluster, ClusterOptions, ConnectionFailure, ProduceRequestBuilder, ProduceTopic, SendError,
    ServerAddress, TopicPartition,
};
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion};
use farlog_wire::ErrorCode;
use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;
use farlog_wire::records::ProducerStamp;

use crate::fixture::{NOW_MS, batch, create_topic, kafka, options};

/// Options for a broker that may take its time to come back on a busy machine.
fn patient(kafka: &KafkaCluster) -> ClusterOptions {
    let mut options = ClusterOptions::new(ServerAddress::parse_list(&kafka.bootstrap()).unwrap());
    options.retry.give_up_after = Duration::from_secs(180);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_is_found_again_and_a_stalled_one_is_named() {
    let kafka = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let cluster = Cluster::connect(patient(&kafka)).await.unwrap();
    let partition = TopicPartition::new(create_topic(&cluster, "restart", 1).await, 0);
    let lane = cluster.dial(1, &cluster.connection_options()).await.unwrap();
    let stamp = |base_sequence| ProducerStamp { producer_id: 9, producer_epoch: 0, base_sequence };
    cluster.produce_batch(&partition, &batch(0, 5, stamp(0))).await.unwrap();

    kafka.kill().unwrap();
    lane.ended().await;
    let failure = lane.failure().unwrap();
    assert!(failure.is_retriable(), "{failure}");
    assert!(failure.to_string().starts_with("broker 1 (127.0.0.1:"), "{failure}");
    let producing = {
        let (cluster, partition) = (cluster.clone(), partition.clone());
        tokio::spawn(async move { cluster.produce_batch(&partition, &batch(5, 5, stamp(5))).await })
    };
    kafka.restart().unwrap();
    assert_eq!(producing.await.unwrap().unwrap().base_offset, 5);

    let mut options = cluster.connection_options();
    options.request_timeout = Duration::from_millis(500);
    let hasty = cluster.dial(1, &options).await.unwrap();
    kafka.pause().unwrap();
    let error = hasty.send(&DescribeClusterRequest::default()).await.unwrap_err();
    kafka.resume().unwrap();
    let SendError::Connection { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(*source.failure, ConnectionFailure::RequestTimedOut { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_moves_is_followed() {
    let kafka = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3).brokers(2)).unwrap();
    let cluster = Cluster::connect(patient(&kafka)).await.unwrap();
    let name = "moves".to_owned();
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(1),
        replication_factor: Some(2),
        configs: BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]),
    };
    cluster.create_topics(&[topic], false).await.unwrap()[&name].as_ref().unwrap();
    let partition = TopicPartition::new(name.as_str(), 0);
    cluster.produce_batch(&partition, &batch(0, 5, ProducerStamp::NONE)).await.unwrap();
    let before = cluster.leader(&name, 0).await.unwrap().name;
    kafka.broker(before.id.unwrap()).stop().unwrap();
    let appended = cluster.produce_batch(&partition, &batch(5, 5, ProducerStamp::NONE)).await;
    assert_eq!(appended.unwrap().base_offset, 5);
    let after = cluster.leader(&name, 0).await.unwrap().name;
    assert_ne!(after, before);
    let error = cluster.dial(before.id.unwrap(), &cluster.connection_options()).await.unwrap_err();
    let text = format!("broker {} is not among the brokers", before.id.unwrap());
    assert!(error.to_string().starts_with(&text), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_waited_out() {
    const BYTES_PER_SECOND: f64 = 100_000.0;
    let mut options = options(&kafka(KafkaVersion::V4_3));
    options.connection.client_id = "throttled".to_owned();
    let cluster = Cluster::connect(options).await.unwrap();
    let topic = create_topic(&cluster, "throttled", 1).await;
    let entity = EntityData {
        entity_type: "client-id".to_owned(),
        entity_name: Some("throttled".to_owned()),
    };
    let limit =
        OpData { key: "producer_byte_rate".to_owned(), value: BYTES_PER_SECOND, remove: false };
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData { entity: vec![entity], ops: vec![limit] }],
        validate_only: false,
    };
    let response = cluster.send_controller(&request).await.unwrap();
    assert_eq!(response.entries[0].error_code, ErrorCode::NONE);

    let mut options = cluster.connection_options();
    options.request_timeout = Duration::from_millis(900);
    let lane = cluster.dial(1, &options).await.unwrap();
    let topic = ProduceTopic { name: topic.into(), id: None };
    let produce = async || {
        let mut request = ProduceRequestBuilder::new(Duration::from_millis(800));
        let mut writer = farlog_wire::records::BatchWriter::new();
        writer.push(NOW_MS, None, Some(&[7; 300_000]), &[]);
        request.insert(&topic, 0, writer.finish(ProducerStamp::NONE).unwrap()).unwrap();
        lane.produce(request).await.unwrap()
    };
    // The broker counts over ten seconds, so the first megabyte passes.
    let mut throttle_ms = 0;
    for _ in 0..20 {
        throttle_ms = produce().await.throttle_time_ms;
        if throttle_ms > 0 {
            break;
        }
    }
    assert!(throttle_ms > 1_000, "throttled for {throttle_ms} ms");
    let started = Instant::now();
    let response = produce().await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    assert!(started.elapsed() >= Duration::from_millis(throttle_ms.unsigned_abs().into()));
}
