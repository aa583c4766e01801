//! Which record of a mirror is which record of its source, told by what is in them.
//!
//! A mirror made by MirrorMaker 2 has the records of its source in their order, without control
//! records, perhaps without aborted ones, with stretches twice where it was killed, and either log
//! may have been compacted since. Two stretches of log that begin at a known pair are laid beside
//! each other; a position is exact if the records right before and behind it are known. Pure.

use std::collections::HashMap;

/// A record as far as it counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its offset.
    pub(super) offset: i64,
    /// A hash of its timestamp, key, value and headers.
    pub(super) content: u64,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Exact(i64),
    /// Not before the first, not behind the second offset.
    Between(i64, i64),
}

/// A stretch of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    /// Its data records in order.
    pub(super) records: &'a [Seen],
    /// The end of the log, if the stretch reaches it.
    pub(super) log_end: Option<i64>,
}

/// A source and its mirror side by side.
#[derive(Debug)]
pub(super) struct Alignment<'a> {
    source: Stretch<'a>,
    target: Stretch<'a>,
    /// Indexes of records that are the same, increasing on both sides.
    pairs: Vec<(usize, usize)>,
    /// How many pairs from the front are beyond doubt.
    straight: usize,
    by_content: HashMap<u64, Vec<usize>>,
    in_target: HashMap<u64, Vec<usize>>,
}

impl<'a> Alignment<'a> {
    /// Lays two stretches side by side. `is_anchored`: their first records are known to be the
    /// same one.
    pub(super) fn new(source: Stretch<'a>, target: Stretch<'a>, is_anchored: bool) -> Self {
        let by_content = positions(source.records);
        let in_target = positions(target.records);
        let (mut i, mut j) = (0, 0);
        let mut pairs = Vec::new();
        while let (Some(left), Some(right)) = (source.records.get(i), target.records.get(j)) {
            if left.content == right.content {
                pairs.push((i, j));
                (i, j) = (i + 1, j + 1);
                continue;
            }
            let skip_source = distance(&by_content, right.content, i);
            let skip_target = distance(&in_target, left.content, j);
            match (skip_source, skip_target) {
                (Some(source), Some(target)) if source <= target => i += source,
                (_, Some(target)) => j += target,
                (Some(source), None) => i += source,
                (None, None) => (i, j) = (i + 1, j + 1),
            }
        }
        let mut side_by_side = Self { source, target, pairs, straight: 0, by_content, in_target };
        if is_anchored {
            side_by_side.straight = side_by_side.straight_pairs();
        }
        side_by_side
    }

    /// How many pairs from the front are beyond doubt although their contents may occur again:
    /// nothing was left out up to one that occurs once, or up to the end of both logs. (Of equal
    /// records in a row, one that is missing shows at the end of the row only.)
    fn straight_pairs(&self) -> usize {
        let is_straight = |(index, pair): &(usize, &(usize, usize))| **pair == (*index, *index);
        let straight = self.pairs.iter().enumerate().take_while(is_straight).count();
        let whole = [self.source, self.target]
            .iter()
            .all(|side| side.records.len() == straight && side.log_end.is_some());
        if whole {
            return straight;
        }
        (0..straight).rev().find(|&i| self.is_unique(i)).map_or(0, |last| last + 1)
    }

    /// Where the mirror has the first record at or behind a source position. `None` if these
    /// stretches do not tell.
    pub(super) fn to_target(&self, position: i64) -> Option<Place> {
        let split = self.pairs.partition_point(|&(i, _)| self.source.records[i].offset < position);
        let last = split.checked_sub(1).map(|index| self.pairs[index]);
        let next = self.pairs.get(split).copied();
        let highest = match next {
            Some((_, j)) => self.target.records[j].offset,
            None => self.target.log_end?,
        };
        if last.is_none() && next.is_none() {
            return None;
        }
        let is_trusted = |pair: Option<(usize, usize)>, index: usize| {
            pair.is_none_or(|(i, _)| index < self.straight || self.is_unique(i))
        };
        if !is_trusted(last, split.wrapping_sub(1)) || !is_trusted(next, split) {
            let first = self.target.records.first().map_or(highest, |first| first.offset);
            return Some(Place::Between(first, highest));
        }
        // What lies between is no record of this stretch of the source, or one that came before.
        let between = last.map_or(0, |(_, j)| j + 1)..next.map_or(usize::MAX, |(_, j)| j);
        let between = self.target.records.iter().take(between.end).skip(between.start);
        let is_before = |record: &&Seen| self.is_copy_from_before(record.content, position);
        let mut unclear = between.skip_while(is_before).map(|record| record.offset);
        let lowest = unclear.next().unwrap_or(highest);
        // Mirrored before something that belongs before it: a mirror that was killed while it
        // caught up again.
        let lowest = self.last_copies(position).fold(lowest, i64::min);
        Some(if lowest == highest {
            Place::Exact(highest)
        } else {
            Place::Between(lowest, highest)
        })
    }

    /// Where the mirror has the last copy of each record at or behind a source position.
    fn last_copies(&self, position: i64) -> impl Iterator<Item = i64> {
        let from = self.source.records.partition_point(|record| record.offset < position);
        self.source.records[from..].iter().filter_map(|record| {
            let last = self.in_target.get(&record.content)?.last()?;
            Some(self.target.records[*last].offset)
        })
    }

    /// The source position behind the mirror's last record; the end of the source's log if nothing
    /// follows there. `None` if no record of the mirror is known, or it does not end here.
    pub(super) fn mirrored_to(&self) -> Option<Place> {
        self.target.log_end?;
        let &(i, j) = self.pairs.last()?;
        let behind = match (self.source.records.get(i + 1), self.source.log_end) {
            (None, Some(end)) => end,
            _ => self.source.records[i].offset + 1,
        };
        let is_trusted = self.pairs.len() <= self.straight || self.is_unique(i);
        let is_before = |record: &Seen| self.is_copy_from_before(record.content, behind);
        if is_trusted && self.target.records[j + 1..].iter().all(is_before) {
            return Some(Place::Exact(behind));
        }
        let last = self.source.records.last().map_or(behind, |last| last.offset + 1);
        Some(Place::Between(behind, self.source.log_end.unwrap_or(last)))
    }

    fn is_unique(&self, i: usize) -> bool {
        let content = self.source.records[i].content;
        self.by_content.get(&content).is_some_and(|positions| positions.len() == 1)
    }

    /// Whether a record can only be one from before a source position.
    fn is_copy_from_before(&self, content: u64, position: i64) -> bool {
        self.by_content.get(&content).is_some_and(|positions| {
            positions.iter().all(|&i| self.source.records[i].offset < position)
        })
    }
}

/// Where each content occurs, in order.
fn positions(records: &[Seen]) -> HashMap<u64, Vec<usize>> {
    let mut found: HashMap<u64, Vec<usize>> = HashMap::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        found.entry(record.content).or_default().push(index);
    }
    found
}

/// How far ahead of `from` a content occurs next.
fn distance(positions: &HashMap<u64, Vec<usize>>, content: u64, from: usize) -> Option<usize> {
    let positions = positions.get(&content)?;
    let next = positions.partition_point(|&position| position < from);
    positions.get(next).map(|position| position - from)
}

#[cfg(test)]
mod tests;
