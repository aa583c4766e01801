//! Compacts logs, the dirtiest first, one at a time.
//!
//! As Kafka's log cleaner: when nothing is due it waits for `log.cleaner.backoff.ms`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Shared;
use crate::catalog::Topic;
use crate::partition::{Cleanable, Partition};

/// A log that is due.
struct Due {
    topic: Arc<Topic>,
    partition: Arc<Partition>,
    cleanable: Cleanable,
}

/// Looks until `stop` turns true.
pub(crate) async fn run(broker: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    if broker.settings.log_cleaner_enable == 0 {
        return;
    }
    let backoff_ms = u64::try_from(broker.settings.log_cleaner_backoff_ms).unwrap_or(0);
    let backoff = Duration::from_millis(backoff_ms.max(1));
    loop {
        let round = async {
            // What fails is left until the next round, so that it does not keep others waiting.
            for due in due(&broker) {
                compact(&broker, due).await;
            }
            tokio::time::sleep(backoff).await;
        };
        tokio::select! {
            () = round => {}
            // A rewrite that is not finished never was.
            _ = stop.wait_for(|&stop| stop) => return,
        }
    }
}

/// All logs that are due, the dirtiest first.
fn due(broker: &Shared) -> Vec<Due> {
    let now_ms = broker.clock.now_ms();
    let mut all = Vec::new();
    for topic in broker.catalog.topics().into_iter().filter(|topic| topic.configs.is_compacted) {
        for partition in &topic.partitions {
            let cleanable = partition.cleanable(&topic.configs.compaction_rules, now_ms);
            if let Some(cleanable) = cleanable.filter(|cleanable| cleanable.is_due) {
                let (topic, partition) = (Arc::clone(&topic), Arc::clone(partition));
                all.push(Due { topic, partition, cleanable });
            }
        }
    }
    all.sort_by(|one, other| other.cleanable.dirty_ratio.total_cmp(&one.cleanable.dirty_ratio));
    all
}

async fn compact(broker: &Shared, Due { topic, partition, cleanable }: Due) {
    let key_bytes_max = broker.settings.log_cleaner_dedupe_buffer_bytes;
    let key_bytes_max = usize::try_from(key_bytes_max).unwrap_or(usize::MAX);
    let (rules, now_ms) = (&topic.configs.compaction_rules, broker.clock.now_ms());
    let compacted = partition.compact(cleanable, rules, key_bytes_max, now_ms).await;
    let (name, index) = (&topic.name, partition.log_id().partition);
    match compacted {
        Ok(done) => tracing::info!(
            topic = name,
            partition = index,
            end_offset = done.end_offset,
            bytes_before = done.bytes_before,
            bytes_after = done.bytes_after,
            "compacted"
        ),
        Err(error) => tracing::warn!(topic = name, partition = index, %error, "not compacted"),
    }
}
