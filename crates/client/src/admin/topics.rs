//! Topics: creating, growing, deleting.

use std::collections::BTreeMap;

use farlog_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use farlog_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::{ApiKey, ErrorCode, Request, Uuid};

use crate::broker_name::BrokerName;
use crate::cluster::{Cluster, RequestError, TopicSelection};
use crate::connection::ClientRequest;
use crate::error::BrokerError;

/// Lets the broker's default decide.
const BROKER_DEFAULT: i32 = -1;

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Partitions; `None` takes the broker's `num.partitions` (KIP-464).
    pub partitions: Option<i32>,
    /// Replicas of each partition; `None` takes the broker's `default.replication.factor`.
    pub replication_factor: Option<i16>,
    /// Settings other than the broker's defaults.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; `None` from brokers older than 2.8.
    pub topic_id: Option<Uuid>,
    /// Its partitions; `None` from brokers that do not tell, or may not tell us.
    pub partitions: Option<i32>,
}

/// A result for each name.
pub(super) type Named<T> = BTreeMap<String, Result<T, BrokerError>>;

// === impl Cluster ===

impl Cluster {
    /// Creates topics, or with `validate_only` finds out whether they could be created. A topic
    /// that exists already is an error of its own (`TOPIC_ALREADY_EXISTS`), also when a first
    /// attempt whose answer was lost has created it.
    ///
    /// Brokers learn of a new topic a little later than the controller answers. This waits until
    /// one of them knows the leaders of all new partitions, so that what comes next finds them.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Named<CreatedTopic>, RequestError> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(NewTopic::request).collect(),
            timeout_ms: self.broker_timeout_ms(),
            validate_only,
        };
        let (broker, response) = self
            .ask_controller(&request, |response| {
                response.topics.iter().any(|topic| topic.error_code == ErrorCode::NOT_CONTROLLER)
            })
            .await?;
        let results = response.topics.into_iter().map(|topic| {
            let created = CreatedTopic {
                topic_id: Some(topic.topic_id).filter(|id| !id.is_zero()),
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
            };
            let (code, message) = (topic.error_code, topic.error_message);
            let result = outcome(&broker, ApiKey::CreateTopics, &topic.name, code, message);
            (topic.name, result.map(|()| created))
        });
        let results: Named<CreatedTopic> = results.collect();
        if !validate_only {
            self.wait_for_topics(&results).await?;
        }
        Ok(results)
    }

    async fn wait_for_topics(&self, created: &Named<CreatedTopic>) -> Result<(), RequestError> {
        let created = created.iter().filter(|(_, result)| result.is_ok());
        let names: Vec<String> = created.map(|(name, _)| name.clone()).collect();
        let mut retry = self.retry();
        while !names.is_empty() {
            let metadata = self.metadata(&TopicSelection::Names(names.clone())).await?;
            let is_known = |name: &String| {
                metadata.topic(name).is_some_and(|topic| {
                    topic.partitions.values().all(|partition| partition.leader.is_some())
                })
            };
            // A topic that stays unknown was deleted meanwhile, or may not be seen by us.
            if names.iter().all(is_known) || !retry.wait().await {
                break;
            }
        }
        Ok(())
    }

    /// Grows topics to so many partitions.
    pub async fn create_partitions(
        &self,
        topics: &[(String, i32)],
        validate_only: bool,
    ) -> Result<Named<()>, RequestError> {
        let grown = |(name, count): &(String, i32)| CreatePartitionsTopic {
            name: name.clone(),
            count: *count,
            assignments: None,
        };
        let request = CreatePartitionsRequest {
            topics: topics.iter().map(grown).collect(),
            timeout_ms: self.broker_timeout_ms(),
            validate_only,
        };
        let (broker, response) = self
            .ask_controller(&request, |response| {
                response.results.iter().any(|topic| topic.error_code == ErrorCode::NOT_CONTROLLER)
            })
            .await?;
        let results = response.results.into_iter().map(|topic| {
            let (code, message) = (topic.error_code, topic.error_message);
            let api = ApiKey::CreatePartitions;
            let result = outcome(&broker, api, &topic.name, code, message);
            (topic.name, result)
        });
        Ok(results.collect())
    }

    /// Deletes topics by name.
    pub async fn delete_topics(&self, names: &[String]) -> Result<Named<()>, RequestError> {
        // Version 6 (KIP-516) moved the names; each version leaves out what it has no place for.
        let by_state = self.controller_version::<DeleteTopicsRequest>().await? >= 6;
        let state = |name: &String| DeleteTopicState {
            name: Some(name.clone()),
            ..DeleteTopicState::default()
        };
        let request = DeleteTopicsRequest {
            topics: if by_state { names.iter().map(state).collect() } else { Vec::new() },
            topic_names: if by_state { Vec::new() } else { names.to_vec() },
            timeout_ms: self.broker_timeout_ms(),
        };
        let (broker, response) = self
            .ask_controller(&request, |response| {
                response.responses.iter().any(|topic| topic.error_code == ErrorCode::NOT_CONTROLLER)
            })
            .await?;
        let results = response.responses.into_iter().map(|topic| {
            let name = topic.name.unwrap_or_default();
            let (code, message) = (topic.error_code, topic.error_message);
            let result = outcome(&broker, ApiKey::DeleteTopics, &name, code, message);
            (name, result)
        });
        Ok(results.collect())
    }

    /// Sends to the controller, and again while it moves.
    async fn ask_controller<R: ClientRequest>(
        &self,
        request: &R,
        has_moved: impl Fn(&R::Response) -> bool,
    ) -> Result<(BrokerName, R::Response), RequestError> {
        let mut retry = self.retry();
        loop {
            let (connection, response) = self.send_controller_from(request).await?;
            if !has_moved(&response) {
                return Ok((connection.broker().clone(), response));
            }
            self.forget_controller();
            if !retry.wait().await {
                return Ok((connection.broker().clone(), response));
            }
        }
    }

    async fn controller_version<R: Request>(&self) -> Result<i16, RequestError> {
        let connection = self.controller().await?;
        connection.version_of::<R>().map_err(|source| {
            let broker = connection.broker().clone();
            crate::error::SendError::Unsupported { broker, source }.into()
        })
    }
}

// === impl NewTopic ===

impl NewTopic {
    fn request(&self) -> CreatableTopic {
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        CreatableTopic {
            name: self.name.clone(),
            num_partitions: self.partitions.unwrap_or(BROKER_DEFAULT),
            replication_factor: self.replication_factor.unwrap_or(BROKER_DEFAULT as i16),
            assignments: Vec::new(),
            configs: self.configs.iter().map(config).collect(),
        }
    }
}

/// A code as a result, with the nouns of its sentence.
pub(super) fn outcome(
    broker: &BrokerName,
    api: ApiKey,
    subject: &str,
    code: ErrorCode,
    message: Option<String>,
) -> Result<(), BrokerError> {
    if code == ErrorCode::NONE {
        return Ok(());
    }
    Err(BrokerError { broker: broker.clone(), api, subject: subject.to_owned(), code, message })
}
