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
    let mut map = OffsetMap::new(start.source_offset, start.target_offset);
    facts.sealed_in_order().into_iter().for_each(|(_, sealed)| map.append(sealed));
    let mut ahead: HashMap<Author, Ahead<'_>> = HashMap::new();
    for (&(target_offset, claim), entry) in &facts.entries {
        ahead.entry((entry.turn, claim)).or_default().push((target_offset, entry));
    }
    // What was sealed tells of all turns before.
    let sealed = facts.sealed_turn();
    let counts = |begun: &Fact| {
        let begun = (begun.turn, begun.target_offset);
        sealed.is_none_or(|sealed| begun >= sealed)
    };
    let begun = facts.turns.iter().filter(|(_, begun)| counts(begun));
    let mut turns: Vec<(Author, Fact)> = begun.map(|(author, begun)| (*author, *begun)).collect();
    if turns.is_empty() && sealed.is_none() {
        // Before there were turns.
        let first = ahead.keys().filter(|(turn, _)| *turn == 0).max().copied();
        let author = first.unwrap_or((0, Claim { generation: 0, nonce: 0 }));
        turns.push((author, start));
    }
    for (index, (_, begun)) in turns.iter().enumerate() {
        if begun.target_offset < map.end.1 {
            map.truncate(begun.source_offset, begun.target_offset);
        }
        let next = turns.get(index + 1).map(|(_, next)| next);
        let until = next.map_or(log_end, |next| next.target_offset.min(log_end));
        // A mirror that lost its tail grew again from where the next turn begins.
        let goes_on_at = next.filter(|next| next.target_offset == until);
        let expected = goes_on_at.map(|next| (next.source_offset, next.source_leader_epoch));
        stretch(&mut map, &turns[..=index], &ahead, (until, expected));
    }
    Ok(map)
}

/// Adds what lies between the beginning of the last of `turns` and `until`, where the next one goes
/// on at source offset and leader epoch `expected`, if there is a next one.
fn stretch(
    map: &mut OffsetMap,
    turns: &[(Author, Fact)],
    ahead: &HashMap<Author, Ahead<'_>>,
    (until, expected): (i64, Option<(i64, i32)>),
) {
    let Some((last, begun)) = turns.last() else { return };
    if until <= begun.target_offset {
        return;
    }
    let is_it = |walk: &Walk| expected.is_none_or(|expected| expected == walk.end());
    for (author, other) in turns.iter().rev() {
        let ahead = ahead.get(author).map(Vec::as_slice).unwrap_or_default();
        let walked = walk(other, ahead, until);
        if is_it(&walked) {
            walked.add_to(map, begun.target_offset);
            return;
        }
        // A turn before that has nothing under way any more: what came after it landed.
        if other.target_offset < begun.target_offset {
            break;
        }
    }
    // Of turns that are forgotten only what may still come late is known.
    let mut late: Vec<&Author> = ahead.keys().filter(|author| *author < last).collect();
    late.sort_unstable_by(|one, other| other.cmp(one));
    let late = late.into_iter().map(|author| ahead[author].as_slice()).chain([[].as_slice()]);
    if let Some(walked) = late.map(|ahead| walk(begun, ahead, until)).find(is_it) {
        walked.add_to(map, begun.target_offset);
        return;
    }
    let source_end = expected.map_or(begun.source_offset, |(source_offset, _)| source_offset);
    let source_end = source_end.max(begun.source_offset);
    map.push_unclear(begun.source_offset..source_end, begun.target_offset..until);
}

/// What a turn put between its beginning and `until`.
pub(super) fn walk(begun: &Fact, ahead: &[(i64, &Entry)], until: i64) -> Walk {
    let mut walk = Walk {
        source_offset: begun.source_offset,
        target_offset: begun.target_offset,
        runs: Vec::new(),
        epochs: vec![(begun.target_offset, begun.source_leader_epoch)],
    };
    for (at, entry) in ahead {
        if *at < walk.target_offset {
            continue;
        }
        if at + entry.record_count() > until {
            break;
        }
        walk.add(at - walk.target_offset);
        walk.epochs.push((*at, entry.source_leader_epoch));
        for run in &entry.runs {
            walk.source_offset = run.source_offset;
            walk.add(run.record_count);
        }
    }
    walk.add(until - walk.target_offset);
    walk
}

impl MappedRun {
    /// What of it lies at or behind an offset of the mirror.
    pub(super) fn from(self, target_offset: i64) -> Option<Self> {
        let skipped = (target_offset - self.target_offset).max(0);
        (skipped < self.record_count).then(|| Self {
            source_offset: self.source_offset + skipped,
            target_offset: self.target_offset + skipped,
            record_count: self.record_count - skipped,
        })
    }
}

/// Where a walk got to, and what it found on its way.
pub(super) struct Walk {
    /// Behind the last record.
    source_offset: i64,
    target_offset: i64,
    runs: Vec<MappedRun>,
    /// From which offset of the mirror on records have which source leader epoch.
    epochs: Vec<(i64, i32)>,
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

    /// Source offset behind the last record, and its leader epoch.
    pub(super) fn end(&self) -> (i64, i32) {
        (self.source_offset, self.epochs.last().map_or(-1, |(_, epoch)| *epoch))
    }

    /// Adds what lies at and behind an offset of the mirror to a map that ends there.
    pub(super) fn add_to(self, map: &mut OffsetMap, target_offset: i64) {
        let new = self.runs.into_iter().filter_map(|run| run.from(target_offset));
        new.for_each(|run| map.push(run));
        for (from, epoch) in self.epochs {
            map.set_epoch(from.max(target_offset), epoch);
        }
    }
}
