//! Publishing a link's status on the target, where any laptop with credentials finds it.

use std::time::Duration;

use farlog_client::{Cluster, TopicPartition, TopicSelection};
use farlog_wire::records::{BatchWriter, Compression, ProducerStamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::apply::ensure_internal_topic;
use crate::limits::STATUS_INTERVAL;
use crate::link::LinkHandle;
use crate::options::LinkOptions;

/// The compacted topic of a target cluster that tells how its links are.
///
/// Keys are `<link>|<instance>`, values [`LinkStatus`](crate::status::LinkStatus) as JSON.
pub const STATUS_TOPIC: &str = "__farlog_status";

/// How long the last status may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// The task that publishes.
pub(crate) struct Publishing {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Begins to publish.
pub(crate) fn start(handle: LinkHandle, target: Cluster, options: &LinkOptions) -> Publishing {
    let (stop, mut stopping) = watch::channel(false);
    let factor = options.replication_factor;
    let task = tokio::spawn(async move {
        let mut made = false;
        loop {
            let last = *stopping.borrow();
            if !made {
                made = ensure(&target, factor).await;
            }
            if made && let Err(why) = publish(&handle, &target).await {
                tracing::debug!(why, "status was not published");
            }
            if last {
                return;
            }
            tokio::select! {
                () = sleep(STATUS_INTERVAL) => {}
                _ = stopping.wait_for(|&stop| stop) => {}
            }
        }
    });
    Publishing { stop, task }
}

impl Publishing {
    /// Publishes once more and ends.
    pub(crate) async fn last(self) {
        self.stop.send_replace(true);
        // That nobody learns of the end now is no reason to hold it up.
        let _ = timeout(LAST_TIMEOUT, self.task).await;
    }
}

async fn ensure(target: &Cluster, replication_factor: i16) -> bool {
    match target.metadata(&TopicSelection::one(STATUS_TOPIC)).await {
        Ok(metadata) if metadata.topic(STATUS_TOPIC).is_some() => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    match ensure_internal_topic(target, STATUS_TOPIC, 1, replication_factor).await {
        Ok(None) => true,
        Ok(Some(code)) => {
            tracing::warn!(%code, "topic {STATUS_TOPIC} cannot be created on the target");
            false
        }
        Err(_) => false,
    }
}

async fn publish(handle: &LinkHandle, target: &Cluster) -> Result<(), String> {
    let status = handle.status();
    let key = format!("{}|{}", status.link, status.instance);
    let value = serde_json::to_vec(&status).map_err(|error| error.to_string())?;
    let mut batch = BatchWriter::new().compression(Compression::Lz4);
    batch.push(status.at_ms, Some(key.as_bytes()), Some(&value), &[]);
    let batch = batch.finish(ProducerStamp::NONE).map_err(|error| error.to_string())?;
    target
        .produce_batch(&TopicPartition::new(STATUS_TOPIC, 0), &batch)
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
}
