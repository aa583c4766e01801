//! The entries of the write-ahead log: bytes ↔ values. Pure, and bounded by what is there.
//!
//! A frame, big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32C of all that follows, begun with the file's salt |
//! | 4 | bytes of the body |
//! | 8 | sequence: one more than the entry before, over all files |
//! | 4 | entries before it in its group: those were written and synced together with it |
//! | 1 | kind |
//! | n | body |
//!
//! The salt is random and different for each file, in whose name it is, so that a record's payload
//! cannot look like an entry. The place in the group tells a torn tail from damage: an entry proves
//! that everything before its group was once on disk.

use crate::extent::{Batch, LogId};
use crate::fields::{Fields, LOG_ID_BYTES, write_id};
use crate::limits::{BATCH_BYTES_MAX, CHECKPOINT_BYTES_MAX};

/// Bytes of a frame in front of its body.
pub(crate) const FRAME_BYTES: usize = 21;

/// Bytes of an append in front of the batch: the frame's and its own.
pub(crate) const APPEND_BYTES: usize = FRAME_BYTES + LOG_ID_BYTES + 3 * 8;

/// "farlogwl".
const MAGIC: u64 = u64::from_be_bytes(*b"farlogwl");

/// Of this format; stored, so a change of the format is a new number.
const VERSION: u32 = 1;

// Stored: these numbers must stay what they are.
const HEAD: u8 = 1;
const MARK: u8 = 2;
const CREATE: u8 = 3;
const APPEND: u8 = 4;
const TRIM: u8 = 5;
const REMOVE: u8 = 6;
const CHECKPOINT: u8 = 7;
const CLOSE: u8 = 8;

/// What one entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// Begins a file.
    Head(Head),
    /// A log as it was when the file was begun; one for each, behind the head.
    Mark { id: LogId, incarnation: u64, start_offset: i64, end_offset: i64 },
    /// A new log.
    Create { id: LogId, incarnation: u64, start_offset: i64 },
    /// A batch at the end of a log.
    Append { id: LogId, facts: BatchFacts, bytes: &'a [u8] },
    /// A log begins later now.
    Trim { id: LogId, start_offset: i64 },
    /// A log is deleted.
    Remove { id: LogId },
    /// What a log's owner wants to find again.
    Checkpoint { id: LogId, at_offset: i64, state: &'a [u8] },
    /// The store was closed in order: nothing follows in this file.
    Close,
}

/// The first entry of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The file's number, which is also in its name.
    pub(crate) file: u64,
    /// How many marks follow.
    pub(crate) marks: u32,
    /// Greater than the incarnation of any log so far.
    pub(crate) incarnation_next: u64,
}

/// A batch's extent and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchFacts {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    pub(crate) max_timestamp_ms: i64,
}

impl BatchFacts {
    pub(crate) fn of(batch: &Batch) -> Self {
        let &Batch { base_offset, next_offset, max_timestamp_ms, .. } = batch;
        Self { base_offset, next_offset, max_timestamp_ms }
    }
}

/// Where an entry stands in the sequence of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    /// Entries before it in its group.
    pub(crate) in_group: u32,
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) place: Place,
    pub(crate) entry: Entry<'a>,
    /// Bytes of the whole frame.
    pub(crate) bytes: usize,
}

/// There is no valid entry here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    /// The bytes end before the entry does.
    #[error("an entry of {needed} bytes, and only {found} are there")]
    Truncated { needed: usize, found: usize },
    /// The length is of no possible entry.
    #[error("an entry of impossible length {0}")]
    Length(u32),
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// The checksum matches, but the entry makes no sense.
    #[error("{0}")]
    Nonsense(&'static str),
}

impl<'a> Entry<'a> {
    /// The body's bytes but the batch or state at its end.
    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Head(head) => {
                out.extend_from_slice(&MAGIC.to_be_bytes());
                out.extend_from_slice(&VERSION.to_be_bytes());
                out.extend_from_slice(&head.file.to_be_bytes());
                out.extend_from_slice(&head.marks.to_be_bytes());
                out.extend_from_slice(&head.incarnation_next.to_be_bytes());
            }
            Self::Mark { id, incarnation, start_offset, end_offset } => {
                write_id(out, *id);
                out.extend_from_slice(&incarnation.to_be_bytes());
                out.extend_from_slice(&start_offset.to_be_bytes());
                out.extend_from_slice(&end_offset.to_be_bytes());
            }
            Self::Create { id, incarnation, start_offset } => {
                write_id(out, *id);
                out.extend_from_slice(&incarnation.to_be_bytes());
                out.extend_from_slice(&start_offset.to_be_bytes());
            }
            Self::Append { id, facts, .. } => {
                write_id(out, *id);
                out.extend_from_slice(&facts.base_offset.to_be_bytes());
                out.extend_from_slice(&facts.next_offset.to_be_bytes());
                out.extend_from_slice(&facts.max_timestamp_ms.to_be_bytes());
            }
            Self::Trim { id, start_offset: at_offset } | Self::Checkpoint { id, at_offset, .. } => {
                write_id(out, *id);
                out.extend_from_slice(&at_offset.to_be_bytes());
            }
            Self::Remove { id } => write_id(out, *id),
            Self::Close => {}
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Head(_) => HEAD,
            Self::Mark { .. } => MARK,
            Self::Create { .. } => CREATE,
            Self::Append { .. } => APPEND,
            Self::Trim { .. } => TRIM,
            Self::Remove { .. } => REMOVE,
            Self::Checkpoint { .. } => CHECKPOINT,
            Self::Close => CLOSE,
        }
    }

    /// The bytes that end the entry and are written from where they are.
    pub(crate) fn payload(&self) -> &'a [u8] {
        match self {
            Self::Append { bytes, .. } => bytes,
            Self::Checkpoint { state, .. } => state,
            _ => &[],
        }
    }

    /// Appends the frame and the body to `out`, all but [`payload`](Self::payload), which must
    /// follow it.
    pub(crate) fn encode(&self, place: Place, salt: u32, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&place.sequence.to_be_bytes());
        out.extend_from_slice(&place.in_group.to_be_bytes());
        out.push(self.kind());
        self.write_body(out);
        let body_bytes = out.len() - at - FRAME_BYTES + self.payload().len();
        let declared = u32::try_from(body_bytes).expect("a batch is at most 128 MiB");
        out[at + 4..at + 8].copy_from_slice(&declared.to_be_bytes());
        let front = crc32c::crc32c_append(salt, &out[at + 4..]);
        let crc = crc32c::crc32c_append(front, self.payload());
        out[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Reads the entry at the front of `bytes`.
///
/// # Errors
/// [`EntryError::Truncated`] says how many bytes the entry needs; nothing is allocated for them.
pub(crate) fn decode(bytes: &[u8], salt: u32) -> Result<Decoded<'_>, EntryError> {
    let truncated = |needed| EntryError::Truncated { needed, found: bytes.len() };
    let Some(frame) = bytes.first_chunk::<FRAME_BYTES>() else {
        return Err(truncated(FRAME_BYTES));
    };
    let declared = u32::from_be_bytes(part(frame, 4));
    let body_bytes = usize::try_from(declared).unwrap_or(usize::MAX);
    if body_bytes > BATCH_BYTES_MAX + APPEND_BYTES {
        return Err(EntryError::Length(declared));
    }
    let whole = FRAME_BYTES + body_bytes;
    let Some(body) = bytes.get(FRAME_BYTES..whole) else { return Err(truncated(whole)) };
    let kind = frame[20];
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(salt, &frame[4..]), body);
    if crc != u32::from_be_bytes(part(frame, 0)) {
        return Err(EntryError::Checksum);
    }
    let place = peek_place(frame).ok_or(EntryError::Nonsense("no frame"))?;
    let mut fields = Fields::new(body);
    let entry = entry(kind, &mut fields).ok_or(EntryError::Nonsense("an entry of unknown form"))?;
    let is_nonsense = match &entry {
        Entry::Append { facts, .. } => {
            facts.base_offset < 0 || facts.next_offset <= facts.base_offset
        }
        Entry::Checkpoint { state, .. } => state.len() > CHECKPOINT_BYTES_MAX,
        _ => false,
    };
    if is_nonsense || !fields.is_empty() {
        return Err(EntryError::Nonsense("an entry of impossible values"));
    }
    Ok(Decoded { place, entry, bytes: whole })
}

/// The place that the entry would have if there were one at the front of `bytes`; not checked.
pub(crate) fn peek_place(bytes: &[u8]) -> Option<Place> {
    let frame = bytes.first_chunk::<FRAME_BYTES>()?;
    Some(Place {
        sequence: u64::from_be_bytes(part(frame, 8)),
        in_group: u32::from_be_bytes(part(frame, 16)),
    })
}

/// The bytes that the entry would have if there were one at the front of `bytes`; not checked.
pub(crate) fn peek_bytes(bytes: &[u8]) -> usize {
    bytes.first_chunk::<FRAME_BYTES>().map_or(FRAME_BYTES, |frame| {
        FRAME_BYTES + usize::try_from(u32::from_be_bytes(part(frame, 4))).unwrap_or(0)
    })
}

/// The values of a body, if it is of this kind.
fn entry<'a>(kind: u8, fields: &mut Fields<'a>) -> Option<Entry<'a>> {
    Some(match kind {
        HEAD => {
            if fields.u64()? != MAGIC || fields.u32()? != VERSION {
                return None;
            }
            let (file, marks) = (fields.u64()?, fields.u32()?);
            Entry::Head(Head { file, marks, incarnation_next: fields.u64()? })
        }
        MARK => Entry::Mark {
            id: fields.id()?,
            incarnation: fields.u64()?,
            start_offset: fields.i64()?,
            end_offset: fields.i64()?,
        },
        CREATE => Entry::Create {
            id: fields.id()?,
            incarnation: fields.u64()?,
            start_offset: fields.i64()?,
        },
        APPEND => {
            let id = fields.id()?;
            let facts = BatchFacts {
                base_offset: fields.i64()?,
                next_offset: fields.i64()?,
                max_timestamp_ms: fields.i64()?,
            };
            Entry::Append { id, facts, bytes: fields.rest() }
        }
        TRIM => Entry::Trim { id: fields.id()?, start_offset: fields.i64()? },
        REMOVE => Entry::Remove { id: fields.id()? },
        CHECKPOINT => {
            Entry::Checkpoint { id: fields.id()?, at_offset: fields.i64()?, state: fields.rest() }
        }
        CLOSE => Entry::Close,
        _ => return None,
    })
}

fn part<const N: usize>(frame: &[u8; FRAME_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&frame[at..at + N]);
    part
}

#[cfg(test)]
mod tests;
