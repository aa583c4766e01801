//! Whether a target allows mirrors to keep the offsets of their source (ADR 0011).

use farlog_client::admin::{ConfigResource, ResourceType};
use farlog_client::{Cluster, RequestError, TopicSelection};

use farlog_wire::records::Holes;

use super::setup::is_apache_kafka;
use crate::topics::config_sync::GIVEN_OFFSETS;

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
}

impl PreserveError {
    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

/// How the target takes offsets without records. Apache Kafka takes phantoms: it never looks at the
/// offsets inside uncompressed batches. An embedded cluster takes offsets as they are given. Of
/// others nothing is known.
pub(crate) async fn check_preservable(target: &Cluster) -> Result<Holes, PreserveError> {
    if !is_apache_kafka(target).await? {
        return Err(PreserveError::NotKafka);
    }
    // Any topic tells which configs its brokers know.
    let metadata = target.metadata(&TopicSelection::All).await?;
    let Some(topic) = metadata.topics.keys().next() else { return Ok(Holes::Phantoms) };
    let resource = ConfigResource { resource_type: ResourceType::Topic, name: topic.clone() };
    let described = target.describe_configs(std::slice::from_ref(&resource)).await?;
    let configs = described.get(&resource).and_then(|entries| entries.as_ref().ok());
    let is_embedded = configs.is_some_and(|configs| configs.contains_key(GIVEN_OFFSETS));
    Ok(if is_embedded { Holes::Kept } else { Holes::Phantoms })
}
