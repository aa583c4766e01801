//! What the write-ahead log says of each log so far: the same table when it is written and when it
//! is read again. Pure.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::extent::LogId;

/// Where a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Tells a log from earlier ones of the same name.
    pub(crate) incarnation: u64,
    pub(crate) start_offset: i64,
    pub(crate) end_offset: i64,
}

/// All logs, as of some entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) logs: BTreeMap<LogId, Mark>,
    /// Greater than any incarnation so far.
    pub(crate) incarnation_next: u64,
}

/// An entry that contradicts those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MarkError {
    #[error("log {0:?} is made twice")]
    Twice(LogId),
    #[error("no log {0:?}")]
    Unknown(LogId),
    #[error("log {id:?} ends at {end_offset}, and a batch comes at {base_offset}")]
    Overlap { id: LogId, base_offset: i64, end_offset: i64 },
    #[error("log {id:?} ends at {end_offset}, and is said to begin at {start_offset}")]
    Beyond { id: LogId, start_offset: i64, end_offset: i64 },
    #[error("an entry that belongs to the front of a file")]
    Misplaced,
}

impl Marks {
    /// Takes one entry into account. Nothing is changed if it is refused.
    pub(crate) fn apply(&mut self, entry: &Entry<'_>) -> Result<(), MarkError> {
        match *entry {
            Entry::Head(_) | Entry::Mark { .. } => return Err(MarkError::Misplaced),
            Entry::Create { id, incarnation, start_offset } => {
                let mark = Mark { incarnation, start_offset, end_offset: start_offset };
                self.insert(id, mark)?;
            }
            Entry::Append { id, ref facts, .. } => {
                let mark = self.known(id)?;
                let (base_offset, end_offset) = (facts.base_offset, mark.end_offset);
                if base_offset < end_offset {
                    return Err(MarkError::Overlap { id, base_offset, end_offset });
                }
                mark.end_offset = facts.next_offset;
            }
            Entry::Trim { id, start_offset } => {
                let mark = self.known(id)?;
                let end_offset = mark.end_offset;
                if start_offset > end_offset {
                    return Err(MarkError::Beyond { id, start_offset, end_offset });
                }
                mark.start_offset = mark.start_offset.max(start_offset);
            }
            Entry::Remove { id } => {
                self.logs.remove(&id).ok_or(MarkError::Unknown(id))?;
            }
            Entry::Checkpoint { id, .. } => {
                self.known(id)?;
            }
            Entry::Close => {}
        }
        Ok(())
    }

    /// Takes a new log, or one from the front of a file.
    pub(crate) fn insert(&mut self, id: LogId, mark: Mark) -> Result<(), MarkError> {
        if self.logs.contains_key(&id) {
            return Err(MarkError::Twice(id));
        }
        self.incarnation_next = self.incarnation_next.max(mark.incarnation.saturating_add(1));
        self.logs.insert(id, mark);
        Ok(())
    }

    fn known(&mut self, id: LogId) -> Result<&mut Mark, MarkError> {
        self.logs.get_mut(&id).ok_or(MarkError::Unknown(id))
    }
}
