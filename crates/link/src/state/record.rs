//! The records of the state topic: text keys, JSON values with a version.
//!
//! Keys start with their kind, so that an operator can read the topic with a console consumer.
//! The formats are golden-tested: a record once written must be readable by every later release.

use std::fmt;
use std::sync::Arc;

use farlog_wire::primitives::Uuid;
use serde::{Deserialize, Serialize};

use super::sealed::Sealed;

/// The version written into every value.
const VALUE_VERSION: u8 = 1;

/// One mirror partition: a source partition and the target topic that holds its copy, by topic id,
/// so that a re-created topic on either side is another mirror.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MirrorId {
    /// The link's name.
    pub link: String,
    /// Topic id at the source.
    pub source_topic_id: Uuid,
    /// Topic id at the target.
    pub target_topic_id: Uuid,
    /// The partition, the same on both sides.
    pub partition: i32,
}

/// Who wrote an entry: the generation of the link's group at the target, and the instance's nonce.
///
/// It is part of an entry's key, so that a zombie cannot overwrite what the owner wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Generation of the link's group when the writer became its owner.
    pub generation: i32,
    /// Random, one per process.
    pub nonce: u32,
}

/// Consecutive source offsets that were mirrored next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64)", into = "(i64, i64)")]
pub struct Run {
    /// Source offset of the first record.
    pub source_offset: i64,
    /// Number of records.
    pub record_count: i64,
}

impl From<(i64, i64)> for Run {
    fn from((source_offset, record_count): (i64, i64)) -> Self {
        Self { source_offset, record_count }
    }
}

impl From<Run> for (i64, i64) {
    fn from(run: Run) -> Self {
        (run.source_offset, run.record_count)
    }
}

/// A batch about to be appended that does not simply continue the previous one: written ahead,
/// it is a hypothesis until the batch with its CRC is seen in the mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Source leader epoch of the records.
    #[serde(rename = "epoch")]
    pub source_leader_epoch: i32,
    /// CRC-32C of the batch as the target keeps it.
    pub crc: u32,
    /// The source offsets of the batch's records, in order.
    pub runs: Vec<Run>,
    /// The turn in which it was written; 0 before there were turns.
    #[serde(default)]
    pub turn: u32,
}

impl Entry {
    /// Number of records in the batch.
    pub fn record_count(&self) -> i64 {
        self.runs.iter().map(|run| run.record_count).sum()
    }

    /// The source offset after the last record.
    pub fn source_offset_next(&self) -> i64 {
        self.runs.last().map_or(0, |run| run.source_offset + run.record_count)
    }
}

/// Something known to be true: the record at `source_offset`, or the first one after it, belongs
/// at `target_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Offset in the mirror.
    pub target_offset: i64,
    /// Offset in the source.
    pub source_offset: i64,
    /// Leader epoch of the last record before it; -1 if none was mirrored yet.
    #[serde(rename = "epoch")]
    pub source_leader_epoch: i32,
    /// The turn in which it was written; 0 before there were turns.
    #[serde(default)]
    pub turn: u32,
}

/// What a record of the state topic is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// Where mirroring of a partition began: a `Fact`, written once.
    Start(MirrorId),
    /// A position that was acknowledged: a `Fact`, replaced by later ones.
    Anchor(MirrorId),
    /// Where a turn (one reading of the position and the mirroring from there on) begins: a `Fact`.
    Turn {
        /// The mirror partition.
        mirror: MirrorId,
        /// Its number, counted from 1.
        turn: u32,
        /// Whose turn it is.
        claim: Claim,
    },
    /// A batch written ahead: an `Entry`.
    Entry {
        /// The mirror partition.
        mirror: MirrorId,
        /// Offset of the batch's first record in the mirror.
        target_offset: i64,
        /// Who wrote it.
        claim: Claim,
    },
    /// What surely lies in the mirror from an offset on, in place of the entries that told it: a
    /// `Sealed`.
    Block {
        /// The mirror partition.
        mirror: MirrorId,
        /// Offset of the block's first record in the mirror.
        target_offset: i64,
        /// The turn that it was written in.
        turn: u32,
        /// Who wrote it.
        claim: Claim,
    },
    /// The allocated producer id of a link, where tagged ids are not used.
    ProducerId {
        /// The link's name.
        link: String,
    },
    /// An instance that had the link when nothing was known of it: since when, written once.
    Began {
        /// The link's name.
        link: String,
        /// The instance.
        claim: Claim,
    },
    /// Source records that retention deleted before they were mirrored.
    Lost {
        /// The mirror partition.
        mirror: MirrorId,
        /// First source offset that was not mirrored.
        source_offset: i64,
    },
}

/// What a record of the state topic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateValue {
    /// Of `Start`, `Anchor` and `Turn`.
    Fact(Fact),
    /// Of `Entry`.
    Entry(Entry),
    /// Of `Block`.
    Sealed(Arc<Sealed>),
    /// Of `ProducerId`.
    ProducerId(i64),
    /// Of `Began`: milliseconds since the epoch.
    Began(i64),
    /// Of `Lost`: the source offset from which mirroring went on.
    Lost(i64),
}

/// A record of the state topic that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The key is not one that this release knows.
    #[error(
        "state topic: unknown key {0:?}; a later release of Farlog wrote it, or another program"
    )]
    UnknownKey(String),
    /// The value does not parse.
    #[error("state topic: value of {key} does not parse: {source}")]
    Value {
        /// The record's key.
        key: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The value has a version that this release does not know.
    #[error("state topic: value of {key} has version {version}; this release reads up to 1")]
    Version {
        /// The record's key.
        key: String,
        /// The version found.
        version: u8,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize, Deserialize)]
struct ProducerIdBody {
    producer_id: i64,
}

#[derive(Serialize, Deserialize)]
struct BeganBody {
    at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct LostBody {
    until: i64,
}

impl fmt::Display for MirrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}|{}|{}|{}",
            self.link, self.source_topic_id, self.target_topic_id, self.partition
        )
    }
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(mirror) => write!(f, "start|{mirror}"),
            Self::Anchor(mirror) => write!(f, "anchor|{mirror}"),
            Self::Turn { mirror, turn, claim } => {
                write!(f, "turn|{mirror}|{turn}|{}|{:08x}", claim.generation, claim.nonce)
            }
            Self::Entry { mirror, target_offset, claim } => {
                write!(f, "entry|{mirror}|{target_offset}|{}|{:08x}", claim.generation, claim.nonce)
            }
            Self::Block { mirror, target_offset, turn, claim } => {
                let Claim { generation, nonce } = claim;
                write!(f, "block|{mirror}|{target_offset}|{turn}|{generation}|{nonce:08x}")
            }
            Self::ProducerId { link } => write!(f, "producer-id|{link}"),
            Self::Began { link, claim } => {
                write!(f, "began|{link}|{}|{:08x}", claim.generation, claim.nonce)
            }
            Self::Lost { mirror, source_offset } => write!(f, "lost|{mirror}|{source_offset}"),
        }
    }
}

impl StateKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, StateError> {
        Self::parse_parts(text).ok_or_else(|| StateError::UnknownKey(text.to_owned()))
    }

    fn parse_parts(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('|').collect();
        let (kind, rest) = parts.split_first()?;
        match (*kind, rest) {
            ("start", mirror @ [_, _, _, _]) => Some(Self::Start(parse_mirror(mirror)?)),
            ("anchor", mirror @ [_, _, _, _]) => Some(Self::Anchor(parse_mirror(mirror)?)),
            ("turn", [mirror @ .., turn, generation, nonce]) if mirror.len() == 4 => {
                Some(Self::Turn {
                    mirror: parse_mirror(mirror)?,
                    turn: turn.parse().ok()?,
                    claim: parse_claim(generation, nonce)?,
                })
            }
            ("entry", [mirror @ .., target_offset, generation, nonce]) if mirror.len() == 4 => {
                Some(Self::Entry {
                    mirror: parse_mirror(mirror)?,
                    target_offset: target_offset.parse().ok()?,
                    claim: parse_claim(generation, nonce)?,
                })
            }
            ("block", [mirror @ .., target_offset, turn, generation, nonce])
                if mirror.len() == 4 =>
            {
                Some(Self::Block {
                    mirror: parse_mirror(mirror)?,
                    target_offset: target_offset.parse().ok()?,
                    turn: turn.parse().ok()?,
                    claim: parse_claim(generation, nonce)?,
                })
            }
            ("began", [link, generation, nonce]) => Some(Self::Began {
                link: (*link).to_owned(),
                claim: parse_claim(generation, nonce)?,
            }),
            ("producer-id", [link]) => Some(Self::ProducerId { link: (*link).to_owned() }),
            ("lost", [mirror @ .., source_offset]) if mirror.len() == 4 => Some(Self::Lost {
                mirror: parse_mirror(mirror)?,
                source_offset: source_offset.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// The link that the record belongs to.
    pub fn link(&self) -> &str {
        match self {
            Self::Start(mirror)
            | Self::Anchor(mirror)
            | Self::Turn { mirror, .. }
            | Self::Entry { mirror, .. }
            | Self::Block { mirror, .. }
            | Self::Lost { mirror, .. } => &mirror.link,
            Self::ProducerId { link } | Self::Began { link, .. } => link,
        }
    }

    /// Reads the value of a record with this key.
    pub fn parse_value(&self, bytes: &[u8]) -> Result<StateValue, StateError> {
        match self {
            Self::Start(_) | Self::Anchor(_) | Self::Turn { .. } => {
                self.parse_body(bytes).map(StateValue::Fact)
            }
            Self::Entry { .. } => self.parse_body(bytes).map(StateValue::Entry),
            Self::Block { .. } => {
                self.parse_body(bytes).map(|sealed| StateValue::Sealed(Arc::new(sealed)))
            }
            Self::ProducerId { .. } => self
                .parse_body::<ProducerIdBody>(bytes)
                .map(|body| StateValue::ProducerId(body.producer_id)),
            Self::Began { .. } => {
                self.parse_body::<BeganBody>(bytes).map(|body| StateValue::Began(body.at_ms))
            }
            Self::Lost { .. } => {
                self.parse_body::<LostBody>(bytes).map(|body| StateValue::Lost(body.until))
            }
        }
    }

    fn parse_body<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, StateError> {
        let versioned: Versioned<T> = serde_json::from_slice(bytes)
            .map_err(|source| StateError::Value { key: self.to_string(), source })?;
        if versioned.v > VALUE_VERSION {
            return Err(StateError::Version { key: self.to_string(), version: versioned.v });
        }
        Ok(versioned.body)
    }
}

impl StateValue {
    /// The value's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        fn json<T: Serialize>(body: T) -> Vec<u8> {
            serde_json::to_vec(&Versioned { v: VALUE_VERSION, body })
                .expect("numbers and lists of numbers always serialize")
        }
        match self {
            Self::Fact(fact) => json(fact),
            Self::Entry(entry) => json(entry),
            Self::Sealed(sealed) => json(&**sealed),
            Self::ProducerId(producer_id) => json(ProducerIdBody { producer_id: *producer_id }),
            Self::Began(at_ms) => json(BeganBody { at_ms: *at_ms }),
            Self::Lost(until) => json(LostBody { until: *until }),
        }
    }
}

fn parse_claim(generation: &str, nonce: &str) -> Option<Claim> {
    let nonce = u32::from_str_radix(nonce, 16).ok()?;
    Some(Claim { generation: generation.parse().ok()?, nonce })
}

fn parse_mirror(parts: &[&str]) -> Option<MirrorId> {
    let [link, source_topic_id, target_topic_id, partition] = parts else { return None };
    Some(MirrorId {
        link: (*link).to_owned(),
        source_topic_id: source_topic_id.parse().ok()?,
        target_topic_id: target_topic_id.parse().ok()?,
        partition: partition.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
