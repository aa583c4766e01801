//! Finding a cluster, its brokers and its topics.

use std::time::Duration;

use farlog_client::{Cluster, ClusterOptions, ConnectError, ServerAddress, TopicSelection};
use farlog_testkit::kafka::KafkaVersion;
use farlog_wire::ErrorCode;
use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;

use crate::fixture::{connect, create_topic, kafka, options};

#[tokio::test(flavor = "multi_thread")]
async fn every_version_describes_itself_and_its_topics() {
    for version in KafkaVersion::ALL {
        let cluster = connect(version).await;
        assert_eq!(cluster.cluster_id(), kafka(version).cluster_id());
        let topic = create_topic(&cluster, "described", 3).await;
        let names = TopicSelection::Names(vec![topic.clone(), "missing".to_owned()]);
        let metadata = cluster.metadata(&names).await.unwrap();
        assert_eq!(metadata.brokers.len(), 1);
        let described = metadata.topic(&topic).unwrap();
        assert_eq!(described.partitions.len(), 3);
        assert!(described.topic_id.is_some());
        assert_eq!(described.partitions[&2].leader, metadata.controller_id);
        assert_eq!(metadata.topics["missing"].error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let all = cluster.metadata(&TopicSelection::All).await.unwrap();
        assert!(all.topic(&topic).is_some() && !all.topics.contains_key("missing"));
        let leader = cluster.leader(&topic, 1).await.unwrap();
        let request = DescribeClusterRequest::default();
        let id = leader.name.id.unwrap();
        let answer = cluster.send_to(id, &request).await.unwrap();
        assert_eq!(answer.cluster_id, cluster.cluster_id());
        let error = cluster.leader(&topic, 9).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{topic}-9 does not exist")), "{error}");
        let error = cluster.connection(77).await.unwrap_err();
        assert!(error.to_string().contains("broker 77 is not among"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_bootstrap_server_is_passed_over() {
    let kafka = kafka(KafkaVersion::V4_3);
    let mut options = options(&kafka);
    options.bootstrap_servers.insert(0, unused_address());
    let cluster = Cluster::connect(options).await.unwrap();
    assert_eq!(cluster.cluster_id(), kafka.cluster_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_be_reached_are_all_named() {
    let servers = vec![unused_address(), unused_address()];
    let mut options = ClusterOptions::new(servers.clone());
    options.retry.give_up_after = Duration::ZERO;
    let text = Cluster::connect(options).await.unwrap_err().to_string();
    for server in servers {
        assert!(text.contains(&format!("server {server}: cannot connect")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_than_expected_is_refused() {
    let kafka = kafka(KafkaVersion::V4_3);
    let mut options = options(&kafka);
    options.cluster_id_expected = Some("somebody-else".to_owned());
    let error = Cluster::connect(options).await.unwrap_err();
    assert!(matches!(error, ConnectError::OtherCluster { .. }), "{error}");
}

fn unused_address() -> ServerAddress {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    ServerAddress::new("127.0.0.1", listener.local_addr().unwrap().port())
}
