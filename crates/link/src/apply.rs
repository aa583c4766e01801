//! Doing on the target what a plan says.

use std::collections::BTreeMap;

use farlog_client::admin::{ConfigChange, ConfigResource, NewTopic};
use farlog_client::{BrokerError, Cluster, RequestError};
use farlog_wire::error_code::ErrorCode;

use crate::plan::LinkPlan;
use crate::topics::ConfigOp;

/// Something of a plan that could not be done; the next look at the topics tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub(crate) struct ApplyFailure {
    /// "create mirror topic payments".
    pub what: String,
    /// What Kafka said.
    pub why: String,
}

/// Creates, expands and alters; says what could not be done.
pub(crate) async fn apply(cluster: &Cluster, plan: &LinkPlan) -> Vec<ApplyFailure> {
    let mut failures = Vec::new();
    create(cluster, plan, &mut failures).await;
    expand(cluster, plan, &mut failures).await;
    alter(cluster, plan, &mut failures).await;
    failures
}

async fn create(cluster: &Cluster, plan: &LinkPlan, failures: &mut Vec<ApplyFailure>) {
    if plan.creates.is_empty() {
        return;
    }
    let topics: Vec<NewTopic> = plan
        .creates
        .iter()
        .map(|create| NewTopic {
            name: create.target_topic.clone(),
            partitions: Some(create.partitions),
            replication_factor: Some(create.replication_factor).filter(|&factor| factor > 0),
            configs: create.configs.clone(),
        })
        .collect();
    let what = |name: &str| format!("create mirror topic {name}");
    match cluster.create_topics(&topics, false).await {
        Ok(results) => {
            for (name, result) in results {
                match result {
                    Ok(_) => tracing::info!(topic = name, "created mirror topic"),
                    Err(error) if error.code == ErrorCode::TOPIC_ALREADY_EXISTS => {}
                    Err(error) => failures.push(failure(what(&name), &error)),
                }
            }
        }
        Err(error) => failures.push(failure("create mirror topics".to_owned(), &error)),
    }
}

async fn expand(cluster: &Cluster, plan: &LinkPlan, failures: &mut Vec<ApplyFailure>) {
    if plan.expands.is_empty() {
        return;
    }
    let counts: Vec<(String, i32)> = plan
        .expands
        .iter()
        .map(|expand| (expand.target_topic.clone(), expand.partitions))
        .collect();
    match cluster.create_partitions(&counts, false).await {
        Ok(results) => {
            for (name, result) in results {
                match result {
                    Ok(()) => tracing::info!(topic = name, "added partitions to mirror topic"),
                    Err(error) => {
                        failures.push(failure(format!("add partitions to {name}"), &error));
                    }
                }
            }
        }
        Err(error) => failures.push(failure("add partitions".to_owned(), &error)),
    }
}

async fn alter(cluster: &Cluster, plan: &LinkPlan, failures: &mut Vec<ApplyFailure>) {
    // One topic to a request: a config that one topic's broker refuses must not hold up others.
    for change in &plan.config_changes {
        let ops = change.ops.iter().map(|op| match op {
            ConfigOp::Set { name, value } => ConfigChange::set(name, value),
            ConfigOp::Delete { name } => ConfigChange::delete(name),
        });
        let resource = ConfigResource::topic(&change.target_topic);
        let changes = BTreeMap::from([(resource.clone(), ops.collect())]);
        let what = || format!("alter configs of {}", change.target_topic);
        match cluster.incremental_alter_configs(&changes, false).await {
            Ok(results) => match results.get(&resource) {
                Some(Err(error)) => failures.push(failure(what(), error)),
                _ => tracing::info!(topic = change.target_topic, "altered configs of mirror topic"),
            },
            Err(error) => failures.push(failure(what(), &error)),
        }
    }
}

fn failure(what: String, why: &dyn std::fmt::Display) -> ApplyFailure {
    ApplyFailure { what, why: why.to_string() }
}

/// Why an internal topic is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InternalTopicError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("cannot create internal topic {topic} on the target: {refused}{}", hint(.refused.code))]
    Refused { topic: String, refused: Box<BrokerError> },
}

/// What helps, where the code does not say it.
fn hint(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::INVALID_REPLICATION_FACTOR => {
            "; lower the link's replication factor, or wait until the target has that many brokers"
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "; the link's principal needs CREATE on topics that start with __farlog_"
        }
        _ => "",
    }
}

/// Creates a compacted internal topic, unless it exists.
pub(crate) async fn ensure_internal_topic(
    cluster: &Cluster,
    name: &str,
    partitions: i32,
    replication_factor: i16,
) -> Result<(), InternalTopicError> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("message.timestamp.type", "CreateTime"),
    ];
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(replication_factor).filter(|&factor| factor > 0),
        configs: configs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    let mut results = cluster.create_topics(std::slice::from_ref(&topic), false).await?;
    match results.remove(name) {
        Some(Err(refused)) if refused.code != ErrorCode::TOPIC_ALREADY_EXISTS => {
            let (topic, refused) = (name.to_owned(), Box::new(refused));
            Err(InternalTopicError::Refused { topic, refused })
        }
        _ => Ok(()),
    }
}

impl InternalTopicError {
    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Refused { refused, .. } => refused.code.is_retriable(),
        }
    }
}
