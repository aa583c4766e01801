//! Values about consumer groups (KIP-848), all of version 0.

use bytes::Bytes;
use farlog_wire::primitives::TaggedFields;
use farlog_wire::{DecodeError, EncodeError, Reader, Uuid, Writer};

use super::{RecordError, version};

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct TopicPartitions {
    pub(in crate::groups) topic_id: Uuid,
    pub(in crate::groups) partitions: Vec<i32>,
}

/// Kind 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::groups) struct ConsumerGroupValue {
    pub(in crate::groups) epoch: i32,
    /// A hash of the topics that are subscribed to; 0 asks for it to be made again.
    pub(in crate::groups) metadata_hash: i64,
}

/// Kind 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct MemberMetadataValue {
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) rack_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    pub(in crate::groups) subscribed_topic_names: Vec<String>,
    pub(in crate::groups) subscribed_topic_regex: Option<String>,
    pub(in crate::groups) rebalance_timeout_ms: i32,
    pub(in crate::groups) server_assignor: Option<String>,
}

/// Kind 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::groups) struct TargetEpochValue {
    pub(in crate::groups) assignment_epoch: i32,
    pub(in crate::groups) assignment_timestamp_ms: i64,
}

/// Kind 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct TargetMemberValue {
    pub(in crate::groups) topic_partitions: Vec<TopicPartitions>,
}

/// Kind 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct CurrentAssignmentValue {
    pub(in crate::groups) member_epoch: i32,
    pub(in crate::groups) previous_member_epoch: i32,
    pub(in crate::groups) state: i8,
    pub(in crate::groups) assigned: Vec<TopicPartitions>,
    pub(in crate::groups) pending_revocation: Vec<TopicPartitions>,
}

/// Kind 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct PatternValue {
    pub(in crate::groups) topics: Vec<String>,
    /// Of the cluster's metadata when they were looked up.
    pub(in crate::groups) version: i64,
    pub(in crate::groups) timestamp_ms: i64,
}

impl ConsumerGroupValue {
    pub(in crate::groups) fn to_bytes(self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(0);
        out.i32(self.epoch);
        tagged_i64(&mut out, self.metadata_hash)?;
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        version(&mut input, "ConsumerGroupMetadataValue", 0)?;
        let epoch = input.i32("ConsumerGroupMetadataValue.epoch")?;
        let metadata_hash = read_tagged_i64(&mut input, "ConsumerGroupMetadataValue")?;
        Ok(Self { epoch, metadata_hash })
    }
}

impl TargetEpochValue {
    pub(in crate::groups) fn to_bytes(self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(0);
        out.i32(self.assignment_epoch);
        tagged_i64(&mut out, self.assignment_timestamp_ms)?;
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        const WHAT: &str = "ConsumerGroupTargetAssignmentMetadataValue";
        let mut input = Reader::new(bytes);
        version(&mut input, WHAT, 0)?;
        let assignment_epoch = input.i32(WHAT)?;
        let assignment_timestamp_ms = read_tagged_i64(&mut input, WHAT)?;
        Ok(Self { assignment_epoch, assignment_timestamp_ms })
    }
}

impl MemberMetadataValue {
    pub(in crate::groups) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(0);
        let nullable = |out: &mut Writer, field, value: &Option<String>| {
            out.nullable_string(field, value.as_deref(), true, true)
        };
        nullable(&mut out, "ConsumerGroupMember.instance_id", &self.instance_id)?;
        nullable(&mut out, "ConsumerGroupMember.rack_id", &self.rack_id)?;
        out.string("ConsumerGroupMember.client_id", &self.client_id, true)?;
        out.string("ConsumerGroupMember.client_host", &self.client_host, true)?;
        let names = &self.subscribed_topic_names;
        out.array("ConsumerGroupMember.subscribed_topic_names", names, true, |out, name| {
            out.string("ConsumerGroupMember.subscribed_topic_names", name, true)
        })?;
        let regex = &self.subscribed_topic_regex;
        nullable(&mut out, "ConsumerGroupMember.subscribed_topic_regex", regex)?;
        out.i32(self.rebalance_timeout_ms);
        nullable(&mut out, "ConsumerGroupMember.server_assignor", &self.server_assignor)?;
        out.tagged_fields(&TaggedFields::new());
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        version(&mut input, "ConsumerGroupMember", 0)?;
        let nullable = |input: &mut Reader, field| input.nullable_string(field, true, true);
        let value = Self {
            instance_id: nullable(&mut input, "ConsumerGroupMember.instance_id")?,
            rack_id: nullable(&mut input, "ConsumerGroupMember.rack_id")?,
            client_id: input.string("ConsumerGroupMember.client_id", true)?,
            client_host: input.string("ConsumerGroupMember.client_host", true)?,
            subscribed_topic_names: input.array(
                "ConsumerGroupMember.subscribed_topic_names",
                true,
                1,
                |input| input.string("ConsumerGroupMember.subscribed_topic_names", true),
            )?,
            subscribed_topic_regex: nullable(
                &mut input,
                "ConsumerGroupMember.subscribed_topic_regex",
            )?,
            rebalance_timeout_ms: input.i32("ConsumerGroupMember.rebalance_timeout_ms")?,
            server_assignor: nullable(&mut input, "ConsumerGroupMember.server_assignor")?,
        };
        // Tag 0 is what a classic member in a consumer group wants: none is ever let in.
        input.tagged_fields("ConsumerGroupMember", |_, _| Ok(false))?;
        input.finish("ConsumerGroupMember")?;
        Ok(value)
    }
}

impl TargetMemberValue {
    pub(in crate::groups) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(0);
        write_partitions(&mut out, &self.topic_partitions)?;
        out.tagged_fields(&TaggedFields::new());
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        const WHAT: &str = "ConsumerGroupTargetAssignmentMemberValue";
        let mut input = Reader::new(bytes);
        version(&mut input, WHAT, 0)?;
        let topic_partitions = read_partitions(&mut input)?;
        input.tagged_fields(WHAT, |_, _| Ok(false))?;
        input.finish(WHAT)?;
        Ok(Self { topic_partitions })
    }
}

impl CurrentAssignmentValue {
    pub(in crate::groups) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(0);
        out.i32(self.member_epoch);
        out.i32(self.previous_member_epoch);
        out.i8(self.state);
        write_partitions(&mut out, &self.assigned)?;
        write_partitions(&mut out, &self.pending_revocation)?;
        out.tagged_fields(&TaggedFields::new());
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        const WHAT: &str = "ConsumerGroupCurrentMemberAssignmentValue";
        let mut input = Reader::new(bytes);
        version(&mut input, WHAT, 0)?;
        let value = Self {
            member_epoch: input.i32(WHAT)?,
            previous_member_epoch: input.i32(WHAT)?,
            state: input.i8(WHAT)?,
            assigned: read_partitions(&mut input)?,
            pending_revocation: read_partitions(&mut input)?,
        };
        input.tagged_fields(WHAT, |_, _| Ok(false))?;
        input.finish(WHAT)?;
        Ok(value)
    }
}

impl PatternValue {
    pub(in crate::groups) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        const TOPICS: &str = "ConsumerGroupRegularExpressionValue.topics";
        let mut out = Writer::new();
        out.i16(0);
        out.array(TOPICS, &self.topics, true, |out, name| out.string(TOPICS, name, true))?;
        out.i64(self.version);
        out.i64(self.timestamp_ms);
        out.tagged_fields(&TaggedFields::new());
        Ok(out.into_bytes().freeze())
    }

    pub(in crate::groups) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        const WHAT: &str = "ConsumerGroupRegularExpressionValue";
        let mut input = Reader::new(bytes);
        version(&mut input, WHAT, 0)?;
        let value = Self {
            topics: input.array(WHAT, true, 1, |input| input.string(WHAT, true))?,
            version: input.i64(WHAT)?,
            timestamp_ms: input.i64(WHAT)?,
        };
        input.tagged_fields(WHAT, |_, _| Ok(false))?;
        input.finish(WHAT)?;
        Ok(value)
    }
}

fn write_partitions(out: &mut Writer, topics: &[TopicPartitions]) -> Result<(), EncodeError> {
    out.array("TopicPartitions", topics, true, |out, topic| {
        out.uuid(topic.topic_id);
        out.array("TopicPartitions.partitions", &topic.partitions, true, |out, &partition| {
            out.i32(partition);
            Ok(())
        })?;
        out.tagged_fields(&TaggedFields::new());
        Ok(())
    })
}

fn read_partitions(input: &mut Reader) -> Result<Vec<TopicPartitions>, DecodeError> {
    input.array("TopicPartitions", true, 18, |input| {
        let topic_id = input.uuid("TopicPartitions.topic_id")?;
        let partitions = input.array("TopicPartitions.partitions", true, 4, |input| {
            input.i32("TopicPartitions.partitions")
        })?;
        input.tagged_fields("TopicPartitions", |_, _| Ok(false))?;
        Ok(TopicPartitions { topic_id, partitions })
    })
}

/// A tagged field 0 that is left out when it is 0.
fn tagged_i64(out: &mut Writer, value: i64) -> Result<(), EncodeError> {
    let mut tagged = TaggedFields::new();
    if value != 0 {
        tagged.field(0, |out| {
            out.i64(value);
            Ok(())
        })?;
    }
    out.tagged_fields(&tagged);
    Ok(())
}

fn read_tagged_i64(input: &mut Reader, what: &'static str) -> Result<i64, DecodeError> {
    let mut value = 0;
    input.tagged_fields(what, |tag, input| {
        if tag == 0 {
            value = input.i64(what)?;
        }
        Ok(tag == 0)
    })?;
    input.finish(what)?;
    Ok(value)
}
