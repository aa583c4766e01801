//! A record as it stands in a log, and what has to be equal in two copies of it.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::RecordId;

/// One record of a log, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it stands.
    pub offset: i64,
    /// The time that a consumer sees, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key, or null.
    pub key: Option<Bytes>,
    /// Value, or null.
    pub value: Option<Bytes>,
    /// Headers in their order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Who a record is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// It carries its id.
    Named(RecordId),
    /// Null key, null or empty value, no headers: known by its timestamp, which the generator uses
    /// once per partition.
    Bare {
        /// In milliseconds since the epoch.
        timestamp_ms: i64,
    },
    /// It carries content, but no id: not written by a generator.
    Unknown,
}

/// What of a record must not change on its way: digests, so that accounts of long runs stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fields {
    /// Digest of the key (null and empty differ).
    pub key: u64,
    value: u64,
    headers: u64,
    timestamp_ms: i64,
}

// === impl LogRecord ===

impl LogRecord {
    /// Who it says it is.
    pub fn identity(&self) -> Identity {
        let fields = [self.value.as_ref(), self.key.as_ref()];
        let header = self.headers.first().and_then(|(_, value)| value.as_ref());
        let mut ids = fields.into_iter().chain([header]).flatten();
        if let Some(id) = ids.find_map(|field| RecordId::parse(field)) {
            return Identity::Named(id);
        }
        let bare = self.key.is_none()
            && self.headers.is_empty()
            && self.value.as_ref().is_none_or(Bytes::is_empty);
        if bare {
            return Identity::Bare { timestamp_ms: self.timestamp_ms };
        }
        Identity::Unknown
    }

    /// Digests of what must not change.
    pub fn fields(&self) -> Fields {
        Fields {
            key: digest(&self.key),
            value: digest(&self.value),
            headers: digest(&self.headers),
            timestamp_ms: self.timestamp_ms,
        }
    }
}

// === impl Identity ===

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Named(id) => id.fmt(f),
            Identity::Bare { timestamp_ms } => write!(f, "the bare record of {timestamp_ms} ms"),
            Identity::Unknown => f.write_str("a record without an id"),
        }
    }
}

// === impl Fields ===

impl Fields {
    /// The names of the fields in which two records differ.
    pub fn differences(&self, other: &Fields) -> Vec<&'static str> {
        let pairs = [
            ("key", self.key == other.key),
            ("value", self.value == other.value),
            ("headers", self.headers == other.headers),
            ("timestamp", self.timestamp_ms == other.timestamp_ms),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }

    /// The time that a consumer sees, in milliseconds since the epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }
}

/// `DefaultHasher::new()` has fixed keys; digests are compared within one process only.
fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
