//! What became of a mirror partition, from what was written ahead for it.
//!
//! A turn writes down where it begins, and ahead of each batch that does not simply continue what
//! that batch holds. So between the beginnings of two turns the mirror holds what the first of them
//! wrote ahead, in order, up to where the second one begins; or, if nothing of it landed, what the
//! turn before it had sent and died over. Which of them it was is told by the source offset at
//! which the second turn goes on. Pure.

use std::collections::HashMap;

use super::{MappedRun, OffsetMap};
use crate::state::{Claim, Entry, Fact, MirrorFacts};

/// Why there is no map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The state topic does not say where mirroring began.
    #[error("the state topic does not say where mirroring began")]
    NoStart,
    /// Older entries were left out of what was read.
    #[error("what was read of the state topic begins at offset {entries_from} of the mirror")]
    Incomplete {
        /// From where on it is known.
        entries_from: i64,
    },
}

/// Who wrote records of a turn.
pub(super) type Author = (u32, Claim);

/// What one turn wrote ahead, by offset in the mirror.
type Ahead<'a> = Vec<(i64, &'a Entry)>;

/// The map of a mirror that ends at `log_end`, from everything that the state topic says about it.
///
/// # Errors
/// When that is not enough.
pub fn offset_map(facts: &MirrorFacts, log_end: i64) -> Result<OffsetMap, MapError> {
    if facts.entries_from > 0 {
        return Err(MapError::Incomplete { entries_from: facts.entries_from });
    }
    let start = facts.start.ok_or(MapError::NoStart)?;
    let mut ahead: HashMap<Author, Ahead<'_>> = HashMap::new();
    for (&(target_offset, claim), entry) in &facts.entries {
        ahead.entry((entry.turn, claim)).or_default().push((target_offset, entry));
    }
    let mut turns: Vec<(Author, Fact)> =
        facts.turns.iter().map(|(author, begun)| (*author, *begun)).collect();
    if turns.is_empty() {
        // Before there were turns.
        let first = ahead.keys().filter(|(turn, _)| *turn == 0).max().copied();
        let author = first.unwrap_or((0, Claim { generation: 0, nonce: 0 }));
        turns.push((author, start));
    }
    let mut map = OffsetMap::new(start.source_offset, start.target_offset);
    for (index, (_, begun)) in turns.iter().enumerate() {
        if begun.target_offset < map.end.1 {
            map.truncate(begun.source_offset, begun.target_offset);
        }
        let next = turns.get(index + 1).map(|(_, next)| next);
        let until = next.map_or(log_end, |next| next.target_offset.min(log_end));
        // A mirror that lost its tail grew again from where the next turn begins.
        let goes_on_at = next.filter(|next| next.target_offset == until);
        let expected = goes_on_at.map(|next| next.source_offset);
        stretch(&mut map, &turns[..=index], &ahead, (until, expected));
    }
    Ok(map)
}

/// Adds what lies between the beginning of the last of `turns` and `until`, where the next one goes
/// on at source offset `expected`, if there is a next one.
fn stretch(
    map: &mut OffsetMap,
    turns: &[(Author, Fact)],
    ahead: &HashMap<Author, Ahead<'_>>,
    (until, expected): (i64, Option<i64>),
) {
    let Some((_, begun)) = turns.last() else { return };
    if until <= begun.target_offset {
        return;
    }
    for (author, other) in turns.iter().rev() {
        let ahead = ahead.get(author).map(Vec::as_slice).unwrap_or_default();
        let (runs, end) = walk(other, ahead, until);
        if expected.is_none_or(|expected| expected == end) {
            let new = runs.into_iter().filter_map(|run| run.from(begun.target_offset));
            new.for_each(|run| map.push(run));
            return;
        }
        // A turn before that has nothing under way any more: what came after it landed.
        if other.target_offset < begun.target_offset {
            break;
        }
    }
    let source_end = expected.unwrap_or(begun.source_offset).max(begun.source_offset);
    map.push_unclear(begun.source_offset..source_end, begun.target_offset..until);
}

/// What a turn put between its beginning and `until`, and the source offset behind it.
pub(super) fn walk(begun: &Fact, ahead: &[(i64, &Entry)], until: i64) -> (Vec<MappedRun>, i64) {
    let mut walk = Walk {
        source_offset: begun.source_offset,
        target_offset: begun.target_offset,
        runs: Vec::new(),
    };
    for (at, entry) in ahead {
        if *at < walk.target_offset {
            continue;
        }
        if at + entry.record_count() > until {
            break;
        }
        walk.add(at - walk.target_offset);
        for run in &entry.runs {
            walk.source_offset = run.source_offset;
            walk.add(run.record_count);
        }
    }
    walk.add(until - walk.target_offset);
    (walk.runs, walk.source_offset)
}

impl MappedRun {
    /// What of it lies at or behind an offset of the mirror.
    fn from(self, target_offset: i64) -> Option<Self> {
        let skipped = (target_offset - self.target_offset).max(0);
        (skipped < self.record_count).then(|| Self {
            source_offset: self.source_offset + skipped,
            target_offset: self.target_offset + skipped,
            record_count: self.record_count - skipped,
        })
    }
}

struct Walk {
    source_offset: i64,
    target_offset: i64,
    runs: Vec<MappedRun>,
}

impl Walk {
    /// So many records follow.
    fn add(&mut self, record_count: i64) {
        let (source_offset, target_offset) = (self.source_offset, self.target_offset);
        if record_count > 0 {
            self.runs.push(MappedRun { source_offset, target_offset, record_count });
            self.source_offset += record_count;
            self.target_offset += record_count;
        }
    }
}
