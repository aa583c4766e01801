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
    let link = options.name.clone();
    let task = tokio::spawn(async move {
        let mut made = false;
        let mut outage = Outage::default();
        loop {
            let last = *stopping.borrow();
            let published = async {
                if !made {
                    ensure(&target, factor).await?;
                    made = true;
                }
                publish(&handle, &target).await
            };
            let published = published.await;
            // Somebody may have deleted the topic.
            made &= published.is_ok();
            match outage.news(published) {
                Some(News::Begun(why)) => tracing::warn!(
                    link,
                    why,
                    "status is not published: `farlog status` and `farlog lag` show old figures"
                ),
                Some(News::Over) => tracing::info!(link, "status is published again"),
                None => {}
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

/// Whether publishing fails, so that only changes are told.
#[derive(Debug, Default)]
struct Outage {
    failing: bool,
}

/// What is worth telling.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Publishing has begun to fail, and why.
    Begun(String),
    /// It works again.
    Over,
}

impl Outage {
    fn news(&mut self, published: Result<(), String>) -> Option<News> {
        let was_failing = std::mem::replace(&mut self.failing, published.is_err());
        match published {
            Err(why) if !was_failing => Some(News::Begun(why)),
            Ok(()) if was_failing => Some(News::Over),
            Err(why) => {
                tracing::debug!(why, "status is still not published");
                None
            }
            Ok(()) => None,
        }
    }
}

async fn ensure(target: &Cluster, replication_factor: i16) -> Result<(), String> {
    let found = target.metadata(&TopicSelection::one(STATUS_TOPIC)).await;
    if found.map_err(|error| error.to_string())?.topic(STATUS_TOPIC).is_some() {
        return Ok(());
    }
    let ensured = ensure_internal_topic(target, STATUS_TOPIC, 1, replication_factor).await;
    ensured.map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_when_it_begins_and_when_it_ends() {
        let mut outage = Outage::default();
        let failed = |why: &str| Err(why.to_owned());
        assert_eq!(outage.news(Ok(())), None);
        assert_eq!(outage.news(failed("no leader")), Some(News::Begun("no leader".to_owned())));
        assert_eq!(outage.news(failed("no leader")), None);
        assert_eq!(outage.news(failed("not authorized")), None);
        assert_eq!(outage.news(Ok(())), Some(News::Over));
        assert_eq!(outage.news(Ok(())), None);
        assert_eq!(outage.news(failed("gone")), Some(News::Begun("gone".to_owned())));
    }
}
