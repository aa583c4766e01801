//! What a history does to topics as a whole.

use farlog_client::TopicSelection;
use farlog_wire::ErrorCode;
use farlog_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use farlog_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use farlog_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::{HistoryError, Session, TIMEOUT_MS, asked, wait_until};

/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

impl Session {
    /// Creates a topic of one replica, and waits until each partition has a leader.
    ///
    /// # Errors
    /// When it exists, or Kafka refuses a config.
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), HistoryError> {
        self.create_replicated_topic(topic, partitions, 1, configs).await
    }

    /// Creates a topic of several replicas, and waits until each partition has a leader.
    ///
    /// # Errors
    /// When it exists, or Kafka refuses a config or the number of replicas.
    pub async fn create_replicated_topic(
        &self,
        topic: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(&str, &str)],
    ) -> Result<(), HistoryError> {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.to_owned(),
                num_partitions: partitions,
                replication_factor: replicas,
                configs: configs.collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..CreateTopicsRequest::default()
        };
        let what = || format!("creating topic {topic}");
        let response = self.cluster.send_controller(&request).await.map_err(asked(what()))?;
        let codes = response.topics.iter().map(|one| one.error_code);
        all_well(codes, what)?;
        self.wait_for_partitions(topic, partitions).await
    }

    /// Raises the number of partitions.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn create_partitions(&self, topic: &str, count: i32) -> Result<(), HistoryError> {
        let topics =
            vec![CreatePartitionsTopic { name: topic.to_owned(), count, assignments: None }];
        let request =
            CreatePartitionsRequest { topics, timeout_ms: TIMEOUT_MS, validate_only: false };
        let what = || format!("raising {topic} to {count} partitions");
        let response = self.cluster.send_controller(&request).await.map_err(asked(what()))?;
        all_well(response.results.iter().map(|one| one.error_code), what)?;
        self.wait_for_partitions(topic, count).await
    }

    /// Deletes a topic, and waits until nobody knows it any more.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), HistoryError> {
        let named = DeleteTopicState { name: Some(topic.to_owned()), ..Default::default() };
        // Version 6 names topics in another field than those before it.
        let request = DeleteTopicsRequest {
            topics: vec![named],
            topic_names: Vec::new(),
            timeout_ms: TIMEOUT_MS,
        };
        let what = || format!("deleting topic {topic}");
        let response = self.cluster.send_controller(&request).await.map_err(asked(what()))?;
        all_well(response.responses.iter().map(|one| one.error_code), what)?;
        wait_until(what, || async { Ok(self.partitions(topic).await? == 0) }).await
    }

    /// Deletes the records before an offset; -1 deletes all up to the high watermark.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        before_offset: i64,
    ) -> Result<(), HistoryError> {
        let partitions =
            vec![DeleteRecordsPartition { partition_index: partition, offset: before_offset }];
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic { name: topic.to_owned(), partitions }],
            timeout_ms: TIMEOUT_MS,
        };
        let what = || format!("deleting records of {topic}-{partition} before {before_offset}");
        let sent = self.cluster.send_leader(topic, partition, &request).await;
        let response = sent.map_err(asked(what()))?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        all_well(partitions.map(|one| one.error_code), what)
    }

    /// Sets configs of a topic; `None` removes one.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn alter_topic(
        &self,
        topic: &str,
        configs: &[(&str, Option<&str>)],
    ) -> Result<(), HistoryError> {
        let configs = configs.iter().map(|(name, value)| AlterableConfig {
            name: (*name).to_owned(),
            config_operation: i8::from(value.is_none()),
            value: value.map(str::to_owned),
        });
        let resource = AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: topic.to_owned(),
            configs: configs.collect(),
        };
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let what = || format!("altering configs of topic {topic}");
        let response = self.cluster.send_controller(&request).await.map_err(asked(what()))?;
        all_well(response.responses.iter().map(|one| one.error_code), what)
    }

    /// How many partitions a topic has; 0 if it does not exist.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn partitions(&self, topic: &str) -> Result<i32, HistoryError> {
        let selection = TopicSelection::one(topic);
        let what = format!("looking for topic {topic}");
        let metadata = self.cluster.metadata(&selection).await.map_err(asked(what))?;
        let partitions = metadata.topic(topic).map_or(0, |topic| topic.partitions.len());
        Ok(i32::try_from(partitions).unwrap_or(i32::MAX))
    }

    async fn wait_for_partitions(&self, topic: &str, count: i32) -> Result<(), HistoryError> {
        let what = || format!("{topic} having {count} partitions with leaders");
        wait_until(what, || async {
            let selection = TopicSelection::one(topic);
            let metadata = self.cluster.metadata(&selection).await.map_err(asked(what()))?;
            let led = metadata.topic(topic).map_or(0, |topic| {
                topic.partitions.values().filter(|partition| partition.leader.is_some()).count()
            });
            Ok(i32::try_from(led).is_ok_and(|led| led >= count))
        })
        .await
    }
}

fn all_well(
    codes: impl IntoIterator<Item = ErrorCode>,
    what: impl Fn() -> String,
) -> Result<(), HistoryError> {
    match codes.into_iter().find(|code| code.is_error()) {
        Some(code) => Err(HistoryError::Kafka { what: what(), code }),
        None => Ok(()),
    }
}
