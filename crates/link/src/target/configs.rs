//! Raising the limit of a mirror topic.

use std::collections::BTreeMap;

use farlog_client::Cluster;
use farlog_client::admin::{ConfigChange, ConfigResource};

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
