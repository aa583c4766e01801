//! Where a group is: what it committed, by topic and partition. Pure.

use std::collections::BTreeMap;

use farlog_wire::{ErrorCode, Uuid};

use super::record::{Key, OffsetKey, OffsetValue};

/// An offset to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewOffset {
    pub(crate) topic: String,
    /// All zeros if it is not known.
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// -1 if it is not known.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// An offset as it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchedOffset {
    pub(crate) partition: i32,
    /// -1 for none.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) error_code: ErrorCode,
}

/// The offsets of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<String, BTreeMap<i32, OffsetValue>>,
}

impl NewOffset {
    pub(super) fn to_value(&self, now_ms: i64) -> OffsetValue {
        OffsetValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.clone(),
            commit_timestamp_ms: now_ms,
            expire_timestamp_ms: -1,
            topic_id: self.topic_id,
        }
    }

    pub(super) fn key(&self, group: &str) -> Key {
        let (topic, partition) = (self.topic.clone(), self.partition);
        Key::Offset(OffsetKey { group: group.to_owned(), topic, partition })
    }
}

impl FetchedOffset {
    pub(crate) fn none(partition: i32) -> Self {
        Self {
            partition,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
            error_code: ErrorCode::NONE,
        }
    }
}

impl Offsets {
    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_empty()
    }

    pub(super) fn set(&mut self, topic: &str, partition: i32, value: OffsetValue) {
        match self.committed.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition, value);
            }
            None => {
                self.committed.insert(topic.to_owned(), BTreeMap::from([(partition, value)]));
            }
        }
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        let Some(partitions) = self.committed.get_mut(topic) else { return };
        partitions.remove(&partition);
        if partitions.is_empty() {
            self.committed.remove(topic);
        }
    }

    pub(super) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.committed.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> FetchedOffset {
        let found = self.committed.get(topic).and_then(|partitions| partitions.get(&partition));
        match found {
            None => FetchedOffset::none(partition),
            Some(value) => FetchedOffset {
                partition,
                offset: value.offset,
                leader_epoch: value.leader_epoch,
                metadata: value.metadata.clone(),
                error_code: ErrorCode::NONE,
            },
        }
    }

    /// All of them, by topic and partition.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        self.committed.iter().flat_map(|(topic, partitions)| {
            partitions.keys().map(move |&partition| (topic.as_str(), partition))
        })
    }

    /// What is kept no longer. An offset's time runs from its commit; that of a group of consumers
    /// runs from when the last of them left (KIP-211).
    pub(super) fn expired(
        &self,
        retention_ms: i64,
        vacant_since_ms: i64,
        now_ms: i64,
    ) -> Vec<(String, i32)> {
        let mut expired = Vec::new();
        for (topic, partitions) in &self.committed {
            for (&partition, value) in partitions {
                let since_ms = value.commit_timestamp_ms.max(vacant_since_ms);
                let until_ms = match value.expire_timestamp_ms {
                    ..0 => since_ms.saturating_add(retention_ms),
                    expires_ms => expires_ms,
                };
                if now_ms >= until_ms {
                    expired.push((topic.clone(), partition));
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed_at(commit_timestamp_ms: i64, expire_timestamp_ms: i64) -> OffsetValue {
        OffsetValue {
            offset: 7,
            leader_epoch: 2,
            metadata: "m".to_owned(),
            commit_timestamp_ms,
            expire_timestamp_ms,
            topic_id: Uuid::default(),
        }
    }

    #[test]
    fn what_was_set_is_got_until_it_is_removed() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.get("t", 1), FetchedOffset::none(1));
        offsets.set("t", 1, committed_at(0, -1));
        assert_eq!(offsets.get("t", 1).offset, 7);
        assert_eq!(offsets.partitions().collect::<Vec<_>>(), [("t", 1)]);
        offsets.remove("t", 1);
        assert!(offsets.is_empty());
    }

    #[test]
    fn time_runs_from_the_commit_or_from_when_the_group_was_left() {
        let mut offsets = Offsets::default();
        offsets.set("t", 0, committed_at(1_000, -1));
        offsets.set("t", 1, committed_at(1_000, 1_500));
        let partitions = |vacant_since_ms, now_ms| {
            let expired = offsets.expired(1_000, vacant_since_ms, now_ms);
            expired.into_iter().map(|(_, partition)| partition).collect::<Vec<_>>()
        };
        assert!(partitions(0, 1_499).is_empty());
        assert_eq!(partitions(0, 1_500), [1]);
        assert_eq!(partitions(0, 2_000), [0, 1]);
        assert_eq!(partitions(3_000, 3_999), [1]);
        assert_eq!(partitions(3_000, 4_000), [0, 1]);
    }
}
