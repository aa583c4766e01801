//! Whether a target allows mirrors to keep the offsets of their source (ADR 0011).

use farlog_client::admin::{ConfigResource, ResourceType};
use farlog_client::{Cluster, RequestError, TopicSelection};

use super::setup::is_apache_kafka;

/// A config of topics that only an embedded cluster has.
const EMBEDDED_CONFIG: &str = "farlog.offsets";

/// Why offsets cannot be preserved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreserveError {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Nothing is known of what it takes.
    #[error(
        "it does not say that it is Apache Kafka in KRaft mode, and no other is known to take \
         what offsets: preserve needs; set offsets: translate"
    )]
    NotKafka,
    /// It checks the offsets inside batches.
    #[error(
        "offsets: preserve is not yet for embedded clusters, which check the offsets inside \
         batches; set offsets: translate"
    )]
    Embedded,
}

impl PreserveError {
    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

/// Refuses targets of which it is not known that they take phantoms. Apache Kafka does: it never
/// looks at the offsets inside uncompressed batches.
pub(crate) async fn check_preservable(target: &Cluster) -> Result<(), PreserveError> {
    if !is_apache_kafka(target).await? {
        return Err(PreserveError::NotKafka);
    }
    // Any topic tells which configs its brokers know.
    let metadata = target.metadata(&TopicSelection::All).await?;
    let Some(topic) = metadata.topics.keys().next() else { return Ok(()) };
    let resource = ConfigResource { resource_type: ResourceType::Topic, name: topic.clone() };
    let described = target.describe_configs(std::slice::from_ref(&resource)).await?;
    let configs = described.get(&resource).and_then(|entries| entries.as_ref().ok());
    if configs.is_some_and(|configs| configs.contains_key(EMBEDDED_CONFIG)) {
        return Err(PreserveError::Embedded);
    }
    Ok(())
}
