//! The group as the log has it: what changed is found by comparing it with what was written.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::EncodeError;

use super::{
    Assignor, ConsumerGroup, ConsumerMember, ConsumerRules, MemberState, Now, Partitions, Resolved,
};
use crate::groups::record::{
    ConsumerGroupValue, CurrentAssignmentValue, Key, MemberMetadataValue, PatternValue,
    RecordError, TargetEpochValue, TargetMemberValue, TopicPartitions,
};

impl ConsumerGroup {
    /// What has to be written now: tombstones have no value.
    pub(in crate::groups) fn changes(
        &self,
        id: &str,
    ) -> Result<BTreeMap<Key, Option<Bytes>>, EncodeError> {
        let now = self.records(id)?;
        let gone = self.written.keys().filter(|key| !now.contains_key(key));
        let mut changes: BTreeMap<Key, Option<Bytes>> =
            gone.map(|key| (key.clone(), None)).collect();
        for (key, value) in now {
            if self.written.get(&key) != Some(&value) {
                changes.insert(key, Some(value));
            }
        }
        Ok(changes)
    }

    /// They are written.
    pub(in crate::groups) fn have_written(&mut self, changes: BTreeMap<Key, Option<Bytes>>) {
        for (key, value) in changes {
            match value {
                Some(value) => self.written.insert(key, value),
                None => self.written.remove(&key),
            };
        }
    }

    /// What has to be taken back for the group to be gone.
    pub(in crate::groups) fn tombstones(&self) -> Vec<Key> {
        self.written.keys().cloned().collect()
    }

    fn records(&self, id: &str) -> Result<BTreeMap<Key, Bytes>, EncodeError> {
        let group = || id.to_owned();
        let mut records = BTreeMap::new();
        let value = ConsumerGroupValue { epoch: self.epoch, metadata_hash: self.metadata_hash };
        records.insert(Key::Consumer { group: group() }, value.to_bytes()?);
        let value = TargetEpochValue {
            assignment_epoch: self.target_epoch,
            assignment_timestamp_ms: self.target_since_wall_ms,
        };
        records.insert(Key::TargetEpoch { group: group() }, value.to_bytes()?);
        for (member_id, member) in &self.members {
            let named = || (group(), member_id.clone());
            let (group, member_id) = named();
            let key = Key::Member { group, member: member_id };
            records.insert(key, member.metadata().to_bytes()?);
            let (group, member_id) = named();
            let key = Key::CurrentMember { group, member: member_id };
            records.insert(key, member.current().to_bytes()?);
        }
        for (member_id, target) in &self.target {
            let key = Key::TargetMember { group: group(), member: member_id.clone() };
            let value = TargetMemberValue { topic_partitions: by_topic(target) };
            records.insert(key, value.to_bytes()?);
        }
        for (pattern, resolved) in &self.patterns {
            let key = Key::Pattern { group: group(), pattern: pattern.clone() };
            let value = PatternValue {
                topics: resolved.topics.iter().cloned().collect(),
                // Kafka's is the offset of its metadata log, which there is none of here.
                version: 0,
                timestamp_ms: resolved.at_wall_ms,
            };
            records.insert(key, value.to_bytes()?);
        }
        Ok(records)
    }

    /// A group as it was written; its members' sessions begin anew. `None` if the record that makes
    /// it a group is missing.
    pub(in crate::groups) fn from_records(
        written: BTreeMap<Key, Bytes>,
        rules: ConsumerRules,
        now: Now,
    ) -> Result<Option<Self>, RecordError> {
        let mut group = Self::new(rules, now);
        let mut is_group = false;
        // Members come before their assignments in the order of keys.
        for (key, value) in &written {
            let value = value.clone();
            match key {
                Key::Consumer { .. } => {
                    let value = ConsumerGroupValue::from_bytes(value)?;
                    (group.epoch, group.metadata_hash) = (value.epoch, value.metadata_hash);
                    is_group = true;
                }
                Key::TargetEpoch { .. } => {
                    let value = TargetEpochValue::from_bytes(value)?;
                    group.target_epoch = value.assignment_epoch;
                    group.target_since_wall_ms = value.assignment_timestamp_ms;
                }
                Key::Member { member, .. } => {
                    let value = MemberMetadataValue::from_bytes(value)?;
                    let restored = ConsumerMember::from_metadata(value, rules, now);
                    group.members.insert(member.clone(), restored);
                }
                Key::TargetMember { member, .. } => {
                    let value = TargetMemberValue::from_bytes(value)?;
                    group.target.insert(member.clone(), flat(&value.topic_partitions));
                }
                Key::CurrentMember { member, .. } => {
                    let value = CurrentAssignmentValue::from_bytes(value)?;
                    if let Some(member) = group.members.get_mut(member) {
                        member.restore(&value, now);
                    }
                }
                Key::Pattern { pattern, .. } => {
                    let PatternValue { topics, timestamp_ms, .. } =
                        PatternValue::from_bytes(value)?;
                    let resolved = Resolved::restored(topics, timestamp_ms, now);
                    group.patterns.insert(pattern.clone(), resolved);
                }
                Key::Offset(_) | Key::Classic { .. } | Key::Other(_) => {}
            }
        }
        group.written = written;
        Ok(is_group.then_some(group))
    }
}

impl ConsumerMember {
    fn metadata(&self) -> MemberMetadataValue {
        MemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            // Kafka writes no null here.
            subscribed_topic_regex: Some(self.pattern.clone().unwrap_or_default()),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.map(|assignor| assignor.name().to_owned()),
        }
    }

    fn current(&self) -> CurrentAssignmentValue {
        CurrentAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned: by_topic(&self.assigned),
            pending_revocation: by_topic(&self.pending_revocation),
        }
    }

    fn from_metadata(value: MemberMetadataValue, rules: ConsumerRules, now: Now) -> Self {
        Self {
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            client_id: value.client_id,
            client_host: value.client_host,
            topics: value.subscribed_topic_names.into_iter().collect(),
            pattern: value.subscribed_topic_regex.filter(|pattern| !pattern.is_empty()),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            assignor: value.server_assignor.as_deref().and_then(Assignor::from_name),
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Partitions::new(),
            pending_revocation: Partitions::new(),
            deadline_ms: now.elapsed_ms + rules.session_timeout_ms,
            revocation_deadline_ms: None,
        }
    }

    fn restore(&mut self, value: &CurrentAssignmentValue, now: Now) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = flat(&value.assigned);
        self.pending_revocation = flat(&value.pending_revocation);
        if self.state == MemberState::Unrevoked {
            let timeout_ms = i64::from(self.rebalance_timeout_ms.max(0));
            self.revocation_deadline_ms = Some(now.elapsed_ms + timeout_ms);
        }
    }
}

fn by_topic(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for &(topic_id, partition) in partitions {
        match topics.last_mut() {
            Some(last) if last.topic_id == topic_id => last.partitions.push(partition),
            _ => topics.push(TopicPartitions { topic_id, partitions: vec![partition] }),
        }
    }
    topics
}

fn flat(topics: &[TopicPartitions]) -> Partitions {
    let topics = topics.iter();
    let pairs = topics
        .flat_map(|topic| topic.partitions.iter().map(|&partition| (topic.topic_id, partition)));
    pairs.collect()
}
