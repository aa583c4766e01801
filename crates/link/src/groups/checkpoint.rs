//! What Farlog itself commits for groups at the target, written down before it does.
//!
//! Only by this is an offset that was committed by Farlog told from one that somebody else has
//! committed there, after a restart as well: it is the one that the checkpoint says, or, if the
//! instance died between the two, the one before.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use farlog_client::{
    Cluster, FetchOptions, ReadError, RequestError, TopicPartition, TopicSelection,
};
use farlog_wire::primitives::Uuid;
use farlog_wire::records::{BatchError, RawBatch, records};
use serde::{Deserialize, Serialize};

use crate::apply::{InternalTopicError, ensure_internal_topic};
use crate::limits::{CHECKPOINT_PARTITIONS, DECOMPRESSED_BATCH_BYTES_MAX};
use crate::options::LinkOptions;
use crate::state::StatePlace;

/// The compacted topic of a target cluster that holds the checkpoints of its links.
pub(crate) const CHECKPOINT_TOPIC: &str = "__farlog_checkpoints";

/// The version written into every value.
const VALUE_VERSION: u8 = 1;

/// A partition of a group at the target, the topic by its id: the offset of a topic that is gone
/// says nothing about another of its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CheckpointKey {
    pub(crate) group: Arc<str>,
    pub(crate) target_topic_id: Uuid,
    pub(crate) partition: i32,
}

/// What was committed, or was about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The topic at the target, for people.
    pub(crate) topic: String,
    /// What the group had committed at the source.
    pub(crate) source_offset: i64,
    /// What was committed for it at the target.
    pub(crate) target_offset: i64,
    /// What was committed there before; `None` if nothing was.
    pub(crate) before: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    v: u8,
    #[serde(flatten)]
    checkpoint: Checkpoint,
}

/// Why the checkpoints of a link cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Topic(#[from] InternalTopicError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("topic {CHECKPOINT_TOPIC}: {0}")]
    Batch(#[from] BatchError),
    #[error("topic {CHECKPOINT_TOPIC} is not there yet")]
    NotYet,
    #[error(
        "topic {CHECKPOINT_TOPIC}: {what} cannot be read; a later release of Farlog wrote it, or \
         another program"
    )]
    Unknown { what: String },
}

/// All checkpoints of a link.
pub(crate) type Checkpoints = HashMap<CheckpointKey, Checkpoint>;

impl Checkpoint {
    /// Whether an offset that a group has at the target was committed by Farlog.
    pub(crate) fn explains(&self, offset: i64) -> bool {
        offset == self.target_offset || Some(offset) == self.before
    }

    /// The value's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let versioned = Versioned { v: VALUE_VERSION, checkpoint: self.clone() };
        serde_json::to_vec(&versioned).expect("numbers and a name always serialize")
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let versioned: Versioned = serde_json::from_slice(bytes).ok()?;
        (versioned.v <= VALUE_VERSION).then_some(versioned.checkpoint)
    }
}

impl CheckpointKey {
    /// The key's bytes: text, the group last, since its name may hold anything.
    pub(crate) fn to_bytes(&self, link: &str) -> Vec<u8> {
        let Self { group, target_topic_id, partition } = self;
        format!("checkpoint|{link}|{target_topic_id}|{partition}|{group}").into_bytes()
    }

    /// The link and the key.
    fn from_bytes(bytes: &[u8]) -> Option<(&str, Self)> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(5, '|');
        if parts.next() != Some("checkpoint") {
            return None;
        }
        let link = parts.next()?;
        let target_topic_id = parts.next()?.parse().ok()?;
        let partition = parts.next()?.parse().ok()?;
        Some((link, Self { group: parts.next()?.into(), target_topic_id, partition }))
    }
}

/// Finds the partition of a link's checkpoints, creates the topic if need be, and reads it.
pub(crate) async fn read_checkpoints(
    options: &LinkOptions,
    target: &Cluster,
) -> Result<(TopicPartition, Checkpoints), CheckpointError> {
    let place = match find(options, target).await? {
        Some(place) => place,
        None => {
            let factor = options.replication_factor;
            ensure_internal_topic(target, CHECKPOINT_TOPIC, CHECKPOINT_PARTITIONS, factor).await?;
            find(options, target).await?.ok_or(CheckpointError::NotYet)?
        }
    };
    let mut checkpoints = Checkpoints::new();
    let mut outcome = Ok(());
    let take = |batch: RawBatch| match take_batch(&options.name, &batch, &mut checkpoints) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    };
    target.read_to_end(&place, &FetchOptions::default(), take).await?;
    outcome.map(|()| (place, checkpoints))
}

async fn find(
    options: &LinkOptions,
    target: &Cluster,
) -> Result<Option<TopicPartition>, RequestError> {
    let metadata = target.metadata(&TopicSelection::one(CHECKPOINT_TOPIC)).await?;
    Ok(metadata.topic(CHECKPOINT_TOPIC).map(|topic| {
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let topic_id = topic.topic_id.unwrap_or_default();
        let name = CHECKPOINT_TOPIC.to_owned();
        let place = StatePlace::of(&options.name, name, topic_id, partitions);
        TopicPartition::new(CHECKPOINT_TOPIC, place.partition)
    }))
}

fn take_batch(
    link: &str,
    batch: &RawBatch,
    checkpoints: &mut Checkpoints,
) -> Result<(), CheckpointError> {
    if batch.header.attributes.is_control() {
        return Ok(());
    }
    batch.verify_crc()?;
    let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX)?;
    for record in records(&plain)? {
        let key = record.key.unwrap_or_default();
        let unknown = || String::from_utf8_lossy(key).into_owned();
        let Some((of, key)) = CheckpointKey::from_bytes(key) else {
            return Err(CheckpointError::Unknown { what: format!("key {:?}", unknown()) });
        };
        if of != link {
            continue;
        }
        match record.value {
            Some(value) => {
                let value = Checkpoint::from_bytes(value).ok_or_else(|| {
                    CheckpointError::Unknown { what: format!("the value of {:?}", unknown()) }
                })?;
                checkpoints.insert(key, value);
            }
            None => {
                checkpoints.remove(&key);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_records_of_version_1() {
        let key =
            CheckpointKey { group: "a|b".into(), target_topic_id: Uuid([2; 16]), partition: 3 };
        let bytes = key.to_bytes("east-west");
        let text = "checkpoint|east-west|AgICAgICAgICAgICAgICAg|3|a|b";
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), text);
        assert_eq!(CheckpointKey::from_bytes(&bytes), Some(("east-west", key)));
        let value = Checkpoint {
            topic: "orders".to_owned(),
            source_offset: 640,
            target_offset: 607,
            before: Some(600),
        };
        let text =
            r#"{"v":1,"topic":"orders","source_offset":640,"target_offset":607,"before":600}"#;
        assert_eq!(String::from_utf8(value.to_bytes()).unwrap(), text);
        assert_eq!(Checkpoint::from_bytes(text.as_bytes()), Some(value.clone()));
        assert_eq!(Checkpoint::from_bytes(text.replace("1,", "2,").as_bytes()), None);
        assert!(value.explains(607) && value.explains(600) && !value.explains(601));
    }
}
