//! What time does to logs: retention, checkpoints, and producers that are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::broker::Shared;
use crate::catalog::Topic;
use crate::limits::CHECKPOINT_INTERVAL;
use crate::partition::Partition;
use crate::topic_configs::list;

/// Looks until `stop` turns true.
pub(crate) async fn run(broker: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let interval = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    let retention_interval = interval(broker.settings.log_retention_check_interval_ms);
    let producers_interval = interval(broker.settings.producer_id_expiration_check_interval_ms);
    let mut retention_due = Instant::now() + retention_interval;
    let mut producers_due = Instant::now() + producers_interval;
    let mut checkpoints_due = Instant::now() + CHECKPOINT_INTERVAL;
    loop {
        tokio::select! {
            () = sleep_until(retention_due.min(producers_due).min(checkpoints_due)) => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
        if Instant::now() >= retention_due {
            retain(&broker).await;
            retention_due = Instant::now() + retention_interval;
        }
        if Instant::now() >= checkpoints_due {
            let now_ms = broker.clock.now_ms();
            partitions(&broker, |partition| partition.checkpoint_if_due(now_ms));
            checkpoints_due = Instant::now() + CHECKPOINT_INTERVAL;
        }
        if Instant::now() >= producers_due {
            expire_producers(&broker);
            producers_due = Instant::now() + producers_interval;
        }
    }
}

fn expire_producers(broker: &Shared) {
    let before_ms = broker.clock.now_ms() - broker.settings.producer_id_expiration_ms;
    partitions(broker, |partition| partition.expire_producers(before_ms));
}

/// At the end: keeps what the next start would otherwise find out from the logs.
pub(crate) fn checkpoint_all(broker: &Shared) {
    let now_ms = broker.clock.now_ms();
    partitions(broker, |partition| partition.checkpoint(now_ms));
}

fn partitions(broker: &Shared, act: impl Fn(&Partition)) {
    for topic in broker.catalog.topics() {
        topic.partitions.iter().for_each(|partition| act(partition));
    }
}

async fn retain(broker: &Shared) {
    let now_ms = broker.clock.now_ms();
    for topic in broker.catalog.topics() {
        let Some(rule) = retention(&topic) else { continue };
        for partition in &topic.partitions {
            partition.retain(rule, now_ms).await;
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
