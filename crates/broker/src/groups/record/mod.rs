//! What is written to `__consumer_offsets`, byte for byte as Kafka 4.3 writes it.
//!
//! Source: `group-coordinator/src/main/resources/common/message` of Kafka; the bytes of the tests
//! were made by Kafka 4.3.1's own classes. A key begins with its kind, a value with its version.

mod consumer;

use bytes::Bytes;
use farlog_wire::group_records::read_version as version;
pub(super) use farlog_wire::group_records::{OffsetKey, OffsetValue, RecordError};
use farlog_wire::{DecodeError, EncodeError, Reader, Writer};

pub(super) use consumer::{
    ConsumerGroupValue, CurrentAssignmentValue, MemberMetadataValue, PatternValue,
    TargetEpochValue, TargetMemberValue, TopicPartitions,
};

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Kinds 0 and 1: where a group is in a partition.
    Offset(OffsetKey),
    /// Kind 2: a classic group.
    Classic { group: String },
    /// Kind 3: the epoch of a consumer group (KIP-848).
    Consumer { group: String },
    /// Kind 5: what a member of a consumer group wants.
    Member { group: String, member: String },
    /// Kind 6: for which epoch the target assignment was made.
    TargetEpoch { group: String },
    /// Kind 7: what a member shall have.
    TargetMember { group: String, member: String },
    /// Kind 8: what a member has.
    CurrentMember { group: String, member: String },
    /// Kind 16: which topics a pattern stands for.
    Pattern { group: String, pattern: String },
    /// Kinds of share and streams groups, and what may come.
    Other(i16),
}

/// The value of a classic group: versions 0 to 3, written in version 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassicValue {
    pub(super) protocol_type: String,
    pub(super) generation: i32,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) state_timestamp_ms: i64,
    pub(super) members: Vec<ClassicMemberValue>,
}

/// A member in the value of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassicMemberValue {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) subscription: Bytes,
    pub(super) assignment: Bytes,
}

// === impl Key ===

impl Key {
    pub(super) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        let (kind, group, member) = match self {
            Self::Offset(key) => return key.to_bytes(),
            Self::Classic { group } => (2, group, None),
            Self::Consumer { group } => (3, group, None),
            Self::Member { group, member } => (5, group, Some(member)),
            Self::TargetEpoch { group } => (6, group, None),
            Self::TargetMember { group, member } => (7, group, Some(member)),
            Self::CurrentMember { group, member } => (8, group, Some(member)),
            Self::Pattern { group, pattern } => (16, group, Some(pattern)),
            Self::Other(kind) => {
                out.i16(*kind);
                return Ok(out.into_bytes().freeze());
            }
        };
        out.i16(kind);
        out.string("Key.group", group, false)?;
        if let Some(member) = member {
            out.string("Key.member", member, false)?;
        }
        Ok(out.into_bytes().freeze())
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        if let Some(key) = OffsetKey::from_bytes(bytes.clone())? {
            return Ok(Self::Offset(key));
        }
        let mut input = Reader::new(bytes);
        let kind = input.i16("Key.kind")?;
        if !matches!(kind, 2..=3 | 5..=8 | 16) {
            return Ok(Self::Other(kind));
        }
        let group = input.string("Key.group", false)?;
        let key = match kind {
            2 => Self::Classic { group },
            3 => Self::Consumer { group },
            6 => Self::TargetEpoch { group },
            _ => {
                let member = input.string("Key.member", false)?;
                match kind {
                    5 => Self::Member { group, member },
                    7 => Self::TargetMember { group, member },
                    16 => Self::Pattern { group, pattern: member },
                    _ => Self::CurrentMember { group, member },
                }
            }
        };
        input.finish("Key")?;
        Ok(key)
    }
}

// === impl ClassicValue ===

impl ClassicValue {
    pub(super) fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(3);
        out.string("GroupMetadataValue.protocol_type", &self.protocol_type, false)?;
        out.i32(self.generation);
        let protocol = self.protocol.as_deref();
        out.nullable_string("GroupMetadataValue.protocol", protocol, false, true)?;
        out.nullable_string("GroupMetadataValue.leader", self.leader.as_deref(), false, true)?;
        out.i64(self.state_timestamp_ms);
        out.array("GroupMetadataValue.members", &self.members, false, |out, member| {
            out.string("MemberMetadata.member_id", &member.member_id, false)?;
            let instance_id = member.instance_id.as_deref();
            out.nullable_string("MemberMetadata.group_instance_id", instance_id, false, true)?;
            out.string("MemberMetadata.client_id", &member.client_id, false)?;
            out.string("MemberMetadata.client_host", &member.client_host, false)?;
            out.i32(member.rebalance_timeout_ms);
            out.i32(member.session_timeout_ms);
            out.bytes("MemberMetadata.subscription", &member.subscription, false)?;
            out.bytes("MemberMetadata.assignment", &member.assignment, false)
        })?;
        Ok(out.into_bytes().freeze())
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        let version = version(&mut input, "GroupMetadataValue", 4)?;
        let flexible = version >= 4;
        let protocol_type = input.string("GroupMetadataValue.protocol_type", flexible)?;
        let generation = input.i32("GroupMetadataValue.generation")?;
        let protocol = input.nullable_string("GroupMetadataValue.protocol", flexible, true)?;
        let leader = input.nullable_string("GroupMetadataValue.leader", flexible, true)?;
        let state_timestamp_ms = match version {
            2.. => input.i64("GroupMetadataValue.current_state_timestamp")?,
            _ => -1,
        };
        let members = input.array("GroupMetadataValue.members", flexible, 15, |input| {
            ClassicMemberValue::read(input, version)
        })?;
        if flexible {
            input.tagged_fields("GroupMetadataValue", |_, _| Ok(false))?;
        }
        input.finish("GroupMetadataValue")?;
        Ok(Self { protocol_type, generation, protocol, leader, state_timestamp_ms, members })
    }
}

impl ClassicMemberValue {
    fn read(input: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let member_id = input.string("MemberMetadata.member_id", flexible)?;
        let instance_id = match version {
            3.. => input.nullable_string("MemberMetadata.group_instance_id", flexible, true)?,
            _ => None,
        };
        let client_id = input.string("MemberMetadata.client_id", flexible)?;
        let client_host = input.string("MemberMetadata.client_host", flexible)?;
        let rebalance = match version {
            1.. => Some(input.i32("MemberMetadata.rebalance_timeout")?),
            _ => None,
        };
        let session_timeout_ms = input.i32("MemberMetadata.session_timeout")?;
        let member = Self {
            member_id,
            instance_id,
            client_id,
            client_host,
            // Before there were two timeouts one served for both.
            rebalance_timeout_ms: rebalance.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription: input.bytes("MemberMetadata.subscription", flexible)?,
            assignment: input.bytes("MemberMetadata.assignment", flexible)?,
        };
        if flexible {
            input.tagged_fields("MemberMetadata", |_, _| Ok(false))?;
        }
        Ok(member)
    }
}

#[cfg(test)]
mod tests;
