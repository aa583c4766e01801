//! Admin requests: what they answer, and what they say when they cannot.

use std::collections::BTreeMap;

use farlog_client::TopicPartition;
use farlog_client::admin::{
    ConfigChange, ConfigResource, EpochEnd, IsolationLevel, NewTopic, OffsetSpec,
};
use farlog_testkit::kafka::KafkaVersion;
use farlog_wire::ErrorCode;
use farlog_wire::records::ProducerStamp;

use crate::fixture::{NOW_MS, batch, connect, create_topic, topic_name};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_grown_configured_and_deleted() {
    for version in KafkaVersion::ALL {
        let cluster = connect(version).await;
        let name = topic_name("admin");
        let topic = NewTopic {
            name: name.clone(),
            partitions: Some(2),
            replication_factor: None,
            configs: BTreeMap::from([("retention.ms".to_owned(), "1234".to_owned())]),
        };
        let tried = cluster.create_topics(std::slice::from_ref(&topic), true).await.unwrap();
        assert!(tried[&name].is_ok());
        let created = cluster.create_topics(std::slice::from_ref(&topic), false).await.unwrap();
        let created = created[&name].as_ref().unwrap();
        assert!(created.topic_id.is_some() && created.partitions == Some(2));
        let again = cluster.create_topics(&[topic], false).await.unwrap();
        let error = again[&name].as_ref().unwrap_err();
        assert_eq!(error.code, ErrorCode::TOPIC_ALREADY_EXISTS);
        let text = error.to_string();
        assert!(text.contains(&format!("answered CreateTopics for {name} with")), "{text}");

        let grown = cluster.create_partitions(&[(name.clone(), 5)], false).await.unwrap();
        assert_eq!(grown[&name], Ok(()));
        let shrunk = cluster.create_partitions(&[(name.clone(), 1)], false).await.unwrap();
        assert_eq!(shrunk[&name].as_ref().unwrap_err().code, ErrorCode::INVALID_PARTITIONS);

        let resource = ConfigResource::topic(name.clone());
        let changes = vec![
            ConfigChange::set("max.message.bytes", "2000000"),
            ConfigChange::delete("retention.ms"),
        ];
        let changes = BTreeMap::from([(resource.clone(), changes)]);
        let changed = cluster.incremental_alter_configs(&changes, false).await.unwrap();
        assert_eq!(changed[&resource], Ok(()));
        let broker = ConfigResource::broker(1);
        // The broker learns of the change a little later than the controller answers.
        let described = loop {
            let asked = [resource.clone(), broker.clone()];
            let described = cluster.describe_configs(&asked).await.unwrap();
            let configs = described[&resource].as_ref().unwrap();
            if configs["max.message.bytes"].value.as_deref() == Some("2000000") {
                break described;
            }
        };
        let configs = described[&resource].as_ref().unwrap();
        assert!(configs["max.message.bytes"].is_own() && !configs["retention.ms"].is_own());
        assert_eq!(described[&broker].as_ref().unwrap()["node.id"].value.as_deref(), Some("1"));

        let deleted = cluster.delete_topics(std::slice::from_ref(&name)).await.unwrap();
        assert_eq!(deleted[&name], Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_producers_and_epochs_are_found_at_the_leaders() {
    for version in KafkaVersion::ALL {
        let cluster = connect(version).await;
        let topic = create_topic(&cluster, "offsets", 2).await;
        let partition = TopicPartition::new(topic.as_str(), 0);
        let allocated = cluster.init_producer_id().await.unwrap();
        let stamp = ProducerStamp {
            producer_id: allocated.producer_id,
            producer_epoch: allocated.producer_epoch,
            base_sequence: 0,
        };
        cluster.produce_batch(&partition, &batch(0, 10, stamp)).await.unwrap();

        let missing = TopicPartition::new(topic.as_str(), 7);
        let wanted = [
            (partition.clone(), OffsetSpec::Latest),
            (TopicPartition::new(topic.as_str(), 1), OffsetSpec::Latest),
            (missing.clone(), OffsetSpec::Latest),
        ];
        let listed = cluster.list_offsets(IsolationLevel::ReadCommitted, wanted).await;
        assert_eq!(listed.len(), 3);
        assert_eq!(listed[&partition].as_ref().unwrap().offset, Some(10));
        let text = listed[&missing].as_ref().unwrap_err().to_string();
        assert!(text.contains(&format!("{missing} does not exist")), "{text}");
        for (spec, offset) in [
            (OffsetSpec::Earliest, Some(0)),
            (OffsetSpec::AtOrAfter(NOW_MS), Some(0)),
            (OffsetSpec::AtOrAfter(NOW_MS + 1), None),
        ] {
            let wanted = [(partition.clone(), spec)];
            let listed = cluster.list_offsets(IsolationLevel::ReadUncommitted, wanted).await;
            assert_eq!(listed[&partition].as_ref().unwrap().offset, offset, "{spec:?}");
        }

        let producers = cluster.describe_producers([partition.clone()]).await;
        let producer = &producers[&partition].as_ref().unwrap()[0];
        assert_eq!((producer.producer_id, producer.last_sequence), (allocated.producer_id, 9));
        assert_eq!((producer.last_timestamp, producer.open_transaction_start), (NOW_MS, None));

        let ends = cluster.offsets_for_leader_epoch([(partition.clone(), 0)]).await;
        let expected = EpochEnd { leader_epoch: Some(0), end_offset: Some(10) };
        assert_eq!(*ends[&partition].as_ref().unwrap(), expected);

        let deleted = cluster.delete_records([(partition.clone(), 4)]).await;
        assert_eq!(*deleted[&partition].as_ref().unwrap(), 4);
    }
}
