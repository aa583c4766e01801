//! Altering configs of a mirror topic: its limit for good, others for a moment.

use std::collections::BTreeMap;

use farlog_client::Cluster;
use farlog_client::admin::{ConfigChange, ConfigResource, ConfigSource};

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// Why a mirror topic's limit was not raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RaiseError {
    /// It is large enough: something else refuses the batch.
    AlreadyEnough {
        max_message_bytes: u64,
    },
    Failed(String),
}

/// Raises `max.message.bytes` of a topic so that a batch fits.
pub(crate) async fn raise_max_message_bytes(
    cluster: &Cluster,
    topic: &str,
    batch_bytes: usize,
) -> Result<(), RaiseError> {
    let failed = |error: &dyn std::fmt::Display| RaiseError::Failed(error.to_string());
    let resource = ConfigResource::topic(topic);
    let described = cluster
        .describe_configs(std::slice::from_ref(&resource))
        .await
        .map_err(|error| failed(&error))?;
    let entries = match described.get(&resource) {
        Some(Ok(entries)) => entries,
        Some(Err(error)) => return Err(failed(error)),
        None => return Err(failed(&"the answer does not name the topic")),
    };
    let present = entries.get(MAX_MESSAGE_BYTES).and_then(|entry| entry.value.as_deref());
    let max_message_bytes: u64 = present.and_then(|value| value.parse().ok()).unwrap_or(0);
    if max_message_bytes >= batch_bytes as u64 {
        return Err(RaiseError::AlreadyEnough { max_message_bytes });
    }
    let changes = vec![ConfigChange::set(MAX_MESSAGE_BYTES, batch_bytes.to_string())];
    let changes = BTreeMap::from([(resource.clone(), changes)]);
    let altered =
        cluster.incremental_alter_configs(&changes, false).await.map_err(|error| failed(&error))?;
    match altered.get(&resource) {
        Some(Err(error)) => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Configs that were set for a moment, and what they were before.
#[derive(Debug)]
pub(crate) struct Overrides {
    topic: ConfigResource,
    before: Vec<ConfigChange>,
}

/// Sets configs of a topic until they are restored.
pub(crate) async fn override_configs(
    cluster: &Cluster,
    topic: &str,
    configs: &[(&str, &str)],
) -> Result<Overrides, String> {
    let topic = ConfigResource::topic(topic);
    let described = cluster.describe_configs(std::slice::from_ref(&topic)).await;
    let described = described.map_err(|error| error.to_string())?;
    let entries = match described.get(&topic) {
        Some(Ok(entries)) => entries,
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("the answer does not name the topic".to_owned()),
    };
    let before = configs.iter().map(|(name, _)| {
        let set = entries.get(*name).filter(|entry| entry.source == ConfigSource::Topic);
        match set.and_then(|entry| entry.value.as_deref()) {
            Some(value) => ConfigChange::set(*name, value),
            None => ConfigChange::delete(*name),
        }
    });
    let before = before.collect();
    let changes = configs.iter().map(|(name, value)| ConfigChange::set(*name, *value)).collect();
    alter(cluster, &topic, changes).await?;
    Ok(Overrides { topic, before })
}

impl Overrides {
    /// Sets the configs to what they were.
    pub(crate) async fn restore(self, cluster: &Cluster) -> Result<(), String> {
        alter(cluster, &self.topic, self.before).await
    }
}

async fn alter(
    cluster: &Cluster,
    topic: &ConfigResource,
    changes: Vec<ConfigChange>,
) -> Result<(), String> {
    let changes = BTreeMap::from([(topic.clone(), changes)]);
    let altered = cluster.incremental_alter_configs(&changes, false).await;
    match altered.map_err(|error| error.to_string())?.get(topic) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(()),
    }
}
