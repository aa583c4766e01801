//! Looking at the topics of a cluster for a link's plan.

use std::collections::{BTreeMap, HashMap};

use farlog_client::admin::{ConfigEntry as Described, ConfigResource, ConfigSource as Origin};
use farlog_client::{Cluster, RequestError, TopicSelection as Asked};
use farlog_wire::error_code::ErrorCode;

use crate::plan::ObservedTopic;
use crate::topics::{ConfigEntry, ConfigSource};

/// Topics asked about in one DescribeConfigs request.
const TOPICS_PER_REQUEST_MAX: usize = 500;

/// The topics of a cluster by name, without their configs.
pub(crate) async fn topics(
    cluster: &Cluster,
) -> Result<BTreeMap<String, ObservedTopic>, RequestError> {
    let metadata = cluster.metadata(&Asked::All).await?;
    let topics = metadata.topics.into_iter().filter(|(_, topic)| topic.error == ErrorCode::NONE);
    Ok(topics
        .map(|(name, topic)| {
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let topic_id = topic.topic_id.unwrap_or_default();
            (name.clone(), ObservedTopic { name, topic_id, partitions, configs: None })
        })
        .collect())
}

/// The configs of some topics; those that may not be read are left out.
pub(crate) async fn configs(
    cluster: &Cluster,
    topics: &[String],
) -> Result<HashMap<String, Vec<ConfigEntry>>, RequestError> {
    let mut found = HashMap::new();
    for some in topics.chunks(TOPICS_PER_REQUEST_MAX) {
        let resources: Vec<ConfigResource> = some.iter().map(ConfigResource::topic).collect();
        let described = cluster.describe_configs(&resources).await?;
        for (resource, entries) in described {
            match entries {
                Ok(entries) => {
                    let entries = entries.into_iter().map(config_entry).collect();
                    found.insert(resource.name, entries);
                }
                Err(error) => {
                    tracing::debug!(topic = resource.name, %error, "configs cannot be read");
                }
            }
        }
    }
    Ok(found)
}

fn config_entry((name, entry): (String, Described)) -> ConfigEntry {
    let source = match entry.source {
        Origin::Topic => ConfigSource::Topic,
        Origin::DynamicBroker | Origin::DynamicDefaultBroker => ConfigSource::DynamicBroker,
        Origin::StaticBroker => ConfigSource::StaticBroker,
        Origin::Default => ConfigSource::Default,
        _ => ConfigSource::Other,
    };
    ConfigEntry {
        name,
        is_sensitive: entry.is_sensitive,
        is_read_only: entry.read_only,
        value: entry.value,
        source,
    }
}
