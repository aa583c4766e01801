//! What running links published on their target, read by anybody with credentials: this is how
//! `farlog status` and `farlog lag` work from any laptop.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use farlog_client::{
    Cluster, FetchOptions, ReadError, RequestError, TopicPartition, TopicSelection,
};
use farlog_link::STATUS_TOPIC;
use farlog_link::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use farlog_link::status::{LinkState, LinkStatus};
use farlog_wire::records::{BatchError, RawBatch, records};

use crate::render::view::{LinkView, STALE_AFTER_MS};

/// The rate is taken over the latest samples of an instance, one every two seconds.
const SAMPLES_MAX: usize = 8;
/// Samples further apart than this say nothing about the rate now.
const PACE_WINDOW_MS: i64 = 30_000;

/// Why the published status cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The topic cannot be found or read.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The topic cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch of the topic is damaged.
    #[error("topic {STATUS_TOPIC}: {0}")]
    Batch(#[from] BatchError),
}

/// What the instances of all links of one target said.
#[derive(Debug, Default)]
pub struct Published {
    by_key: BTreeMap<String, VecDeque<Vec<u8>>>,
}

/// What one instance said.
#[derive(Clone, Debug)]
struct Instance {
    latest: LinkStatus,
    /// An earlier status to know the pace by.
    earlier: Option<LinkStatus>,
}

// === impl Published ===

impl Published {
    /// Reads the status topic of a cluster; a cluster without one has no links.
    pub async fn read(target: &Cluster) -> Result<Self, PublishedError> {
        let mut published = Self::default();
        let metadata = target.metadata(&TopicSelection::one(STATUS_TOPIC)).await?;
        let Some(topic) = metadata.topic(STATUS_TOPIC) else {
            return Ok(published);
        };
        for partition in topic.partitions.keys() {
            let partition = TopicPartition::new(STATUS_TOPIC, *partition);
            let mut damaged = None;
            let take = |batch| match published.take_batch(&batch) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    damaged = Some(error);
                    ControlFlow::Break(())
                }
            };
            target.read_to_end(&partition, &FetchOptions::default(), take).await?;
            if let Some(error) = damaged {
                return Err(error.into());
            }
        }
        Ok(published)
    }

    fn take_batch(&mut self, batch: &RawBatch) -> Result<(), BatchError> {
        if batch.header.attributes.is_control() {
            return Ok(());
        }
        let batch = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX)?;
        for record in records(&batch)? {
            let key = String::from_utf8_lossy(record.key.unwrap_or_default());
            self.take(&key, record.value);
        }
        Ok(())
    }

    /// Takes a record; one without a value says that the instance is forgotten.
    fn take(&mut self, key: &str, value: Option<&[u8]>) {
        let Some(value) = value else {
            self.by_key.remove(key);
            return;
        };
        let samples = self.by_key.entry(key.to_owned()).or_default();
        samples.push_back(value.to_owned());
        if samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// Everything that is worth showing of a link: every instance that runs, and if there is none,
    /// the one that ran last.
    pub fn views(&self, link: &str, source: &str, target: &str, now_ms: i64) -> Vec<LinkView> {
        let begin = format!("{link}|");
        let mut instances: Vec<Instance> = self
            .by_key
            .range(begin.clone()..)
            .take_while(|(key, _)| key.starts_with(&begin))
            .filter_map(|(key, samples)| Instance::read(key, samples))
            .collect();
        let is_running = |instance: &Instance| {
            instance.latest.state != LinkState::Stopped
                && now_ms - instance.latest.at_ms <= STALE_AFTER_MS
        };
        if instances.iter().any(is_running) {
            instances.retain(is_running);
        } else {
            instances.sort_by_key(|instance| -instance.latest.at_ms);
            instances.truncate(1);
        }
        if instances.is_empty() {
            return vec![LinkView::never_ran(link, source, target)];
        }
        // Who mirrors comes before who waits.
        instances.sort_by_key(|instance| instance.latest.state != LinkState::Active);
        let view = |each: &Instance| LinkView::of(&each.latest, each.earlier.as_ref(), now_ms);
        instances.iter().map(view).collect()
    }
}

// === impl Instance ===

impl Instance {
    /// The latest of some samples, and the oldest that is good for a rate. What cannot be read was
    /// written by a version to come, and is said.
    fn read(key: &str, samples: &VecDeque<Vec<u8>>) -> Option<Self> {
        let parse = |json: &Vec<u8>| match serde_json::from_slice::<LinkStatus>(json) {
            Ok(status) => Some(status),
            Err(error) => {
                tracing::warn!(key, %error, "a published status cannot be understood");
                None
            }
        };
        let latest = parse(samples.back()?)?;
        let earlier = samples
            .iter()
            .take(samples.len() - 1)
            .filter_map(parse)
            .find(|earlier| latest.at_ms - earlier.at_ms <= PACE_WINDOW_MS);
        Some(Self { latest, earlier })
    }
}

#[cfg(test)]
mod tests;
