//! The demo's world: a shop's topics on one cluster, and the link that mirrors them to another.

use std::sync::Arc;

use farlog_client::Cluster;
use farlog_client::admin::NewTopic;

use super::DemoError;

/// Mirrored by their names, and one by its prefix.
pub(super) const TOPICS: [&str; 3] = ["orders", "payments", "shop.clicks"];

pub(super) const PARTITIONS: i32 = 2;

/// Every partition of the shop.
pub(super) fn partitions() -> impl Iterator<Item = (Arc<str>, i32)> {
    TOPICS.into_iter().flat_map(|topic| (0..PARTITIONS).map(move |index| (topic.into(), index)))
}

/// Whether a topic is one of the shop's.
pub(super) fn has(topic: &str) -> bool {
    TOPICS.contains(&topic)
}

/// The `farlog.yaml`.
pub(super) fn settings(source: &str, target: &str) -> String {
    format!(
        "version: 1\n\
         clusters:\n\
         \x20 us-east: {{ bootstrap-servers: [\"{source}\"] }}\n\
         \x20 eu-west: {{ bootstrap-servers: [\"{target}\"] }}\n\
         links:\n\
         \x20 shop-to-eu:\n\
         \x20   source: us-east\n\
         \x20   target: eu-west\n\
         \x20   topics: [orders, payments]\n\
         \x20   topic-prefixes: [shop.]\n\
         \x20   replication-factor: 1\n"
    )
}

/// Creates the topics.
pub(super) async fn open(cluster: &Cluster) -> Result<(), DemoError> {
    let topic = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: Default::default(),
    };
    let created = cluster
        .create_topics(&TOPICS.map(topic), false)
        .await
        .map_err(DemoError::doing("cannot create topics"))?;
    for (name, outcome) in created {
        outcome.map_err(DemoError::doing(format!("cannot create topic {name}")))?;
    }
    Ok(())
}
