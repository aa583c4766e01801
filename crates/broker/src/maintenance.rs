//! What time does to logs: retention, and producers that are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::broker::Shared;
use crate::catalog::Topic;
use crate::limits::PRODUCER_EXPIRATION_MS;
use crate::topic_configs::list;

/// Between two looks at all partitions (`log.retention.check.interval.ms` of Kafka, shorter).
const INTERVAL: Duration = Duration::from_secs(30);

/// Looks until `stop` turns true.
pub(crate) async fn run(broker: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
        let now_ms = broker.clock.now_ms();
        for topic in broker.catalog.topics() {
            for partition in &topic.partitions {
                partition.expire_producers(now_ms - PRODUCER_EXPIRATION_MS);
                if let Some(rule) = retention(&topic) {
                    partition.retain(rule, now_ms).await;
                }
            }
        }
    }
}

/// What a topic keeps; -1 for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) age_ms: i64,
    pub(crate) bytes: i64,
}

fn retention(topic: &Topic) -> Option<Retention> {
    let deletes = list(topic.configs.value("cleanup.policy")).any(|word| word == "delete");
    let number = |name: &str| topic.configs.value(name).parse().unwrap_or(-1);
    deletes.then(|| Retention { age_ms: number("retention.ms"), bytes: number("retention.bytes") })
}
