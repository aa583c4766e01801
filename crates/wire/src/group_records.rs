//! Committed offsets as Kafka keeps them in `__consumer_offsets`.
//!
//! Source: `OffsetCommitKey.json` and `OffsetCommitValue.json` in
//! `group-coordinator/src/main/resources/common/message` of Apache Kafka 4.3.1. A key begins with
//! its kind, a value with its version.

use bytes::Bytes;

use crate::primitives::{DecodeError, EncodeError, Reader, TaggedFields, Uuid, Writer};

/// The topic in which groups keep their offsets.
pub const CONSUMER_OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The kind that offsets are written with; 0 was for an older form of the value.
const OFFSET_KIND: i16 = 1;

/// Where a group is in a partition: kinds 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetKey {
    /// The group.
    pub group: String,
    /// The topic, by name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

/// The value of an offset: versions 0 to 4, written in version 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    /// The offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 if it was not committed.
    pub leader_epoch: i32,
    /// What the group wrote beside it.
    pub metadata: String,
    /// When it was committed, in milliseconds since the epoch.
    pub commit_timestamp_ms: i64,
    /// -1 for none: only clients of 2018 set it.
    pub expire_timestamp_ms: i64,
    /// All zeros if it is not known.
    pub topic_id: Uuid,
}

/// The value does not hold what its key says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A version that is not known here.
    #[error("{what} of version {version}, which a later release wrote")]
    Version {
        /// The structure.
        what: &'static str,
        /// Its version.
        version: i16,
    },
}

// === impl OffsetKey ===

impl OffsetKey {
    /// The key's bytes.
    ///
    /// # Errors
    /// When a name is too long.
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        out.i16(OFFSET_KIND);
        out.string("OffsetCommitKey.group", &self.group, false)?;
        out.string("OffsetCommitKey.topic", &self.topic, false)?;
        out.i32(self.partition);
        Ok(out.into_bytes().freeze())
    }

    /// Reads a key of the topic; `None` if it is not an offset's.
    ///
    /// # Errors
    /// When the bytes are not a key.
    pub fn from_bytes(bytes: Bytes) -> Result<Option<Self>, RecordError> {
        let mut input = Reader::new(bytes);
        if !matches!(input.i16("OffsetCommitKey.kind")?, 0 | OFFSET_KIND) {
            return Ok(None);
        }
        let key = Self {
            group: input.string("OffsetCommitKey.group", false)?,
            topic: input.string("OffsetCommitKey.topic", false)?,
            partition: input.i32("OffsetCommitKey.partition")?,
        };
        input.finish("OffsetCommitKey")?;
        Ok(Some(key))
    }
}

// === impl OffsetValue ===

impl OffsetValue {
    /// The value's bytes.
    ///
    /// # Errors
    /// When the metadata is too long.
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = Writer::new();
        // What Kafka writes for the rare offset with an expiry of its own.
        let expires = self.expire_timestamp_ms >= 0;
        out.i16(if expires { 1 } else { 4 });
        out.i64(self.offset);
        if expires {
            out.string("OffsetCommitValue.metadata", &self.metadata, false)?;
            out.i64(self.commit_timestamp_ms);
            out.i64(self.expire_timestamp_ms);
            return Ok(out.into_bytes().freeze());
        }
        out.i32(self.leader_epoch);
        out.string("OffsetCommitValue.metadata", &self.metadata, true)?;
        out.i64(self.commit_timestamp_ms);
        let mut tagged = TaggedFields::new();
        if self.topic_id != Uuid::default() {
            tagged.field(0, |out| {
                out.uuid(self.topic_id);
                Ok(())
            })?;
        }
        out.tagged_fields(&tagged);
        Ok(out.into_bytes().freeze())
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are not a value, or one of a later release.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        let version = read_version(&mut input, "OffsetCommitValue", 4)?;
        let flexible = version >= 4;
        let offset = input.i64("OffsetCommitValue.offset")?;
        let leader_epoch =
            if version >= 3 { input.i32("OffsetCommitValue.leader_epoch")? } else { -1 };
        let metadata = input.string("OffsetCommitValue.metadata", flexible)?;
        let commit_timestamp_ms = input.i64("OffsetCommitValue.commit_timestamp")?;
        let expire_timestamp_ms =
            if version == 1 { input.i64("OffsetCommitValue.expire_timestamp")? } else { -1 };
        let mut topic_id = Uuid::default();
        if flexible {
            input.tagged_fields("OffsetCommitValue", |tag, input| {
                if tag == 0 {
                    topic_id = input.uuid("OffsetCommitValue.topic_id")?;
                }
                Ok(tag == 0)
            })?;
        }
        input.finish("OffsetCommitValue")?;
        Ok(Self {
            offset,
            leader_epoch,
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms,
            topic_id,
        })
    }
}

/// The version at the start of a value.
///
/// # Errors
/// When it is a later one than `known_max`.
pub fn read_version(
    input: &mut Reader,
    what: &'static str,
    known_max: i16,
) -> Result<i16, RecordError> {
    let version = input.i16(what)?;
    if (0..=known_max).contains(&version) {
        return Ok(version);
    }
    Err(RecordError::Version { what, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_offsets_are_told_from_others() {
        let key = OffsetKey { group: "g".to_owned(), topic: "orders".to_owned(), partition: 3 };
        let bytes = key.to_bytes().unwrap();
        assert_eq!(bytes.as_ref(), b"\0\x01\0\x01g\0\x06orders\0\0\0\x03");
        assert_eq!(OffsetKey::from_bytes(bytes.clone()), Ok(Some(key.clone())));
        let mut before = bytes.to_vec();
        before[1] = 0;
        assert_eq!(OffsetKey::from_bytes(before.into()), Ok(Some(key)));
        let group = Bytes::from_static(b"\0\x02\0\x01g");
        assert_eq!(OffsetKey::from_bytes(group), Ok(None));
        for length in 0..bytes.len() {
            assert!(OffsetKey::from_bytes(bytes.slice(..length)).is_err(), "{length}");
        }
    }

    #[test]
    fn values_of_all_versions_are_read() {
        let at = 1_700_000_000_000_i64;
        let mut value = OffsetValue {
            offset: 42,
            leader_epoch: -1,
            metadata: "m".to_owned(),
            commit_timestamp_ms: at,
            expire_timestamp_ms: -1,
            topic_id: Uuid::default(),
        };
        let [offset, time, expire] = [42_i64, at, at + 1].map(i64::to_be_bytes);
        let plain = [&offset[..], b"\0\x01m", &time].concat();
        let of = |version: i16, body: &[u8]| {
            OffsetValue::from_bytes([&version.to_be_bytes()[..], body].concat().into())
        };
        assert_eq!(of(0, &plain), Ok(value.clone()));
        assert_eq!(of(2, &plain), Ok(value.clone()));
        value.expire_timestamp_ms = at + 1;
        assert_eq!(of(1, &[&plain[..], &expire].concat()), Ok(value.clone()));
        value.expire_timestamp_ms = -1;
        value.leader_epoch = 7;
        let three = [&offset[..], &7_i32.to_be_bytes(), b"\0\x01m", &time].concat();
        assert_eq!(of(3, &three), Ok(value.clone()));
        value.topic_id = Uuid([5; 16]);
        let four = value.to_bytes().unwrap();
        assert_eq!(OffsetValue::from_bytes(four), Ok(value));
        let what = "OffsetCommitValue";
        assert_eq!(of(5, &plain), Err(RecordError::Version { what, version: 5 }));
    }
}
