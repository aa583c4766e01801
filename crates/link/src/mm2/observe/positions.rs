//! Where a position of the source is in a mirror that MirrorMaker 2 made, and how far it mirrored,
//! read from the two logs themselves around the offset syncs.

use farlog_client::{Cluster, ReadError, TopicPartition};

use super::alignment::{Alignment, Place, Seen};
use super::internal::Syncs;
use super::logs::{self, Extent, OwnedStretch};
use crate::limits::OBSERVED_RECORDS_MAX;

/// Records beyond a position that are compared as well: what was left out of the mirror, or is in
/// it twice, shows there.
const BEYOND: usize = 500;

/// The farthest sync to begin at, in offsets of the source.
const ANCHOR_DISTANCE_MAX: i64 = 15_000;

/// Where no sync is near: how far before the position to begin at the source, and how far before
/// its likely place in the mirror.
const GUESS_BEFORE: i64 = 200;
const GUESS_SLACK: i64 = 1_000;

/// A partition and its mirror.
pub(super) struct BothLogs<'a> {
    pub(super) source: &'a Cluster,
    pub(super) target: &'a Cluster,
    pub(super) partition: TopicPartition,
    pub(super) mirror: TopicPartition,
    pub(super) source_extent: Extent,
    pub(super) mirror_extent: Extent,
    pub(super) syncs: &'a Syncs,
}

/// Where to lay the logs side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begin {
    source_offset: i64,
    target_offset: i64,
    /// MirrorMaker 2 says that this is one record.
    is_anchored: bool,
}

impl BothLogs<'_> {
    /// Where the mirror has the first record at or behind a source position.
    pub(super) async fn to_target(&self, position: i64) -> Result<Place, ReadError> {
        if self.mirror_extent.is_empty() {
            return Ok(Place::Exact(self.mirror_extent.end));
        }
        let begin = begin(self.syncs, position, &self.source_extent, &self.mirror_extent);
        if !self.source_extent.is_empty() {
            // One record at or behind the position, and some more.
            let enough = |found: &[Seen]| {
                let behind = found.iter().rev().take_while(|record| record.offset >= position);
                behind.take(BEYOND + 1).count() > BEYOND
            };
            let source = self.source_stretch(begin, enough).await?;
            let target_max = match begin.is_anchored {
                true => (2 * source.records.len() + BEYOND).min(OBSERVED_RECORDS_MAX),
                false => OBSERVED_RECORDS_MAX,
            };
            let target = self.target_stretch(begin, target_max).await?;
            let side_by_side =
                Alignment::new(source.borrowed(), target.borrowed(), begin.is_anchored);
            if let Some(place) = side_by_side.to_target(position) {
                return Ok(place);
            }
        }
        Ok(self.bounds(position))
    }

    /// The source position behind the mirror's last record. `None` if the logs do not tell.
    pub(super) async fn mirrored_to(&self) -> Result<Option<Place>, ReadError> {
        let Some(&(source_offset, target_offset)) = self.syncs.last() else { return Ok(None) };
        let begin = Begin { source_offset, target_offset, is_anchored: true };
        if !self.holds(begin) {
            return Ok(None);
        }
        let target = self.target_stretch(begin, OBSERVED_RECORDS_MAX).await?;
        let wanted = target.records.len() + BEYOND;
        let source = self.source_stretch(begin, |found| found.len() >= wanted).await?;
        Ok(Alignment::new(source.borrowed(), target.borrowed(), true).mirrored_to())
    }

    /// Whether both logs still have, or already have, a record of this place.
    fn holds(&self, begin: Begin) -> bool {
        self.source_extent.contains(&begin.source_offset)
            && self.mirror_extent.contains(&begin.target_offset)
    }

    /// What is certain without looking into the logs.
    fn bounds(&self, position: i64) -> Place {
        let (lowest, highest) = bounds(self.syncs, position, &self.mirror_extent);
        if lowest == highest { Place::Exact(lowest) } else { Place::Between(lowest, highest) }
    }

    async fn source_stretch(
        &self,
        begin: Begin,
        enough: impl Fn(&[Seen]) -> bool + Send,
    ) -> Result<OwnedStretch, ReadError> {
        let range = begin.source_offset..self.source_extent.end;
        logs::stretch(self.source, &self.partition, range, OBSERVED_RECORDS_MAX, enough).await
    }

    async fn target_stretch(
        &self,
        begin: Begin,
        records_max: usize,
    ) -> Result<OwnedStretch, ReadError> {
        let range = begin.target_offset..self.mirror_extent.end;
        logs::stretch(self.target, &self.mirror, range, records_max, |_| false).await
    }
}

/// Where to begin in order to come by a source position: at the last sync before it, if that is
/// near; otherwise around where the position would be if there were no gaps.
fn begin(syncs: &Syncs, position: i64, source: &Extent, mirror: &Extent) -> Begin {
    let before = syncs.iter().rev().find(|(upstream, _)| *upstream <= position).copied();
    if let Some((source_offset, target_offset)) = before
        && position - source_offset < ANCHOR_DISTANCE_MAX
        && source.contains(&source_offset)
        && mirror.contains(&target_offset)
    {
        return Begin { source_offset, target_offset, is_anchored: true };
    }
    let guess = match before.or_else(|| next_sync(syncs, position)) {
        Some((upstream, downstream)) => downstream.saturating_add(position - upstream),
        None => position,
    };
    // Gaps of the source lie between a sync and what is behind it, so that too much was added.
    let slack = if before.is_some() { ANCHOR_DISTANCE_MAX } else { GUESS_SLACK };
    let last = (mirror.end - 1).max(mirror.start);
    Begin {
        source_offset: (position - GUESS_BEFORE).clamp(source.start, source.end.max(source.start)),
        target_offset: (guess - slack).clamp(mirror.start, last),
        is_anchored: false,
    }
}

/// The sync nearest behind a position.
fn next_sync(syncs: &Syncs, position: i64) -> Option<(i64, i64)> {
    syncs.iter().filter(|(upstream, _)| *upstream > position).min().copied()
}

/// Between which offsets of the mirror a position is by the syncs alone.
fn bounds(syncs: &Syncs, position: i64, mirror: &Extent) -> (i64, i64) {
    let before = syncs.iter().rev().find(|(upstream, _)| *upstream <= position);
    let lowest = before.map_or(mirror.start, |(upstream, downstream)| {
        let behind = i64::from(*upstream < position);
        (downstream + behind).clamp(mirror.start, mirror.end)
    });
    let highest = match before {
        Some((upstream, _)) if *upstream == position => lowest,
        _ => next_sync(syncs, position).map_or(mirror.end, |(_, downstream)| downstream),
    };
    // After a rewind, syncs of another time may contradict each other.
    let is_between = (lowest..=mirror.end).contains(&highest);
    (lowest, if is_between { highest } else { mirror.end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_sync_is_where_comparing_begins() {
        let syncs = vec![(100, 40), (201, 141), (302, 242)];
        let (source, mirror) = (0..1_000, 0..1_000);
        let found = begin(&syncs, 250, &source, &mirror);
        assert_eq!(found, Begin { source_offset: 201, target_offset: 141, is_anchored: true });
        // Deleted from the mirror meanwhile.
        let found = begin(&syncs, 250, &source, &(150..1_000));
        assert_eq!(found, Begin { source_offset: 50, target_offset: 150, is_anchored: false });
        // Older than the oldest sync that is left.
        let found = begin(&syncs, 99, &source, &mirror);
        assert_eq!(found, Begin { source_offset: 0, target_offset: 0, is_anchored: false });
        let found = begin(&vec![], 900, &source, &mirror);
        assert_eq!(found, Begin { source_offset: 700, target_offset: 0, is_anchored: false });
    }

    #[test]
    fn syncs_alone_give_bounds() {
        let syncs = vec![(100, 40), (201, 141), (302, 242)];
        let mirror = 0..1_000;
        assert_eq!(bounds(&syncs, 201, &mirror), (141, 141));
        assert_eq!(bounds(&syncs, 250, &mirror), (142, 242));
        assert_eq!(bounds(&syncs, 50, &mirror), (0, 40));
        assert_eq!(bounds(&syncs, 400, &mirror), (243, 1_000));
        assert_eq!(bounds(&vec![], 7, &(3..9)), (3, 9));
        // Mirrored again from 100 on.
        let again = vec![(100, 40), (201, 141), (100, 500), (201, 601)];
        assert_eq!(bounds(&again, 150, &mirror), (501, 1_000));
    }
}
