//! A topic as the catalog knows it; a change makes a new one.

use std::sync::Arc;

use farlog_wire::{ErrorCode, Uuid};

use crate::partition::Partition;
use crate::topic_configs::TopicConfigs;

/// A topic at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) configs: Arc<TopicConfigs>,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// Whether it is one of the cluster's own.
    pub(crate) fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    /// A partition by its number.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn partition(&self, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
        let index = usize::try_from(index).ok();
        let partition = index.and_then(|index| self.partitions.get(index));
        partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}

/// Kafka's internal topics (`org.apache.kafka.common.internals.Topic`).
pub(crate) fn is_internal(name: &str) -> bool {
    ["__consumer_offsets", "__transaction_state", "__share_group_state"].contains(&name)
}
