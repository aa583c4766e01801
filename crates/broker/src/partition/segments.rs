//! Where Kafka would have begun a new segment, and what of the log has been compacted.
//!
//! How the store keeps a log is its own affair; what clients see of compaction hangs on Kafka's
//! segments: the newest one is never touched, and lags count by them (`LogSegment.shouldRoll`,
//! `LogCleanerManager.cleanableOffsets`, Kafka 4.3).

use std::collections::VecDeque;

use crate::limits::SEGMENTS_REMEMBERED_MAX;

/// When a segment is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRules {
    pub(crate) bytes: u64,
    /// From its first batch's largest timestamp to that of the batch that is to be appended.
    pub(crate) ms: i64,
}

/// When a log is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CompactionRules {
    /// `min.cleanable.dirty.ratio`.
    pub(crate) dirty_ratio_min: f64,
    pub(crate) lag_min_ms: i64,
    pub(crate) lag_max_ms: i64,
    /// How long tombstones and transaction markers are kept once they could go.
    pub(crate) delete_retention_ms: i64,
}

/// A segment as Kafka would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) base_offset: i64,
    /// Of its first batch.
    pub(super) first_timestamp_ms: i64,
    pub(super) max_timestamp_ms: i64,
    pub(super) size_bytes: u64,
}

/// What could be compacted now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cleanable {
    /// Everything before has been compacted.
    pub(crate) first_dirty_offset: i64,
    /// Nothing from here on may be.
    pub(crate) end_offset: i64,
    /// Bytes between them, of all before the end.
    pub(crate) dirty_ratio: f64,
    /// Whether the topic's configs want it now.
    pub(crate) is_due: bool,
}

/// The segments of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) rules: SegmentRules,
    /// Oldest first; the last one is the active one.
    pub(super) list: VecDeque<Segment>,
    pub(super) first_dirty_offset: i64,
    /// Of what was compacted.
    pub(super) clean_bytes: u64,
}

impl Default for SegmentRules {
    fn default() -> Self {
        Self { bytes: u64::MAX, ms: i64::MAX }
    }
}

impl Segments {
    pub(super) fn new(rules: SegmentRules) -> Self {
        Self { rules, list: VecDeque::new(), first_dirty_offset: 0, clean_bytes: 0 }
    }

    /// A batch is appended.
    pub(super) fn appended(&mut self, base_offset: i64, max_timestamp_ms: i64, size_bytes: u64) {
        match self.list.back_mut() {
            Some(active) if !is_full(active, self.rules, max_timestamp_ms, size_bytes) => {
                active.max_timestamp_ms = active.max_timestamp_ms.max(max_timestamp_ms);
                active.size_bytes += size_bytes;
            }
            _ => {
                let first_timestamp_ms = max_timestamp_ms;
                self.list.push_back(Segment {
                    base_offset,
                    first_timestamp_ms,
                    max_timestamp_ms,
                    size_bytes,
                });
                self.merge_oldest();
            }
        }
    }

    /// Takes the two oldest for one when there are many: lags get coarser.
    fn merge_oldest(&mut self) {
        if self.list.len() > SEGMENTS_REMEMBERED_MAX
            && let Some(oldest) = self.list.pop_front()
            && let Some(next) = self.list.front_mut()
        {
            next.base_offset = oldest.base_offset;
            next.first_timestamp_ms = next.first_timestamp_ms.min(oldest.first_timestamp_ms);
            next.max_timestamp_ms = next.max_timestamp_ms.max(oldest.max_timestamp_ms);
            next.size_bytes += oldest.size_bytes;
        }
    }

    /// The log begins later.
    pub(super) fn trimmed(&mut self, start_offset: i64) {
        while self.list.get(1).is_some_and(|next| next.base_offset <= start_offset) {
            self.list.pop_front();
        }
        if start_offset >= self.first_dirty_offset {
            (self.first_dirty_offset, self.clean_bytes) = (start_offset, 0);
        }
    }

    /// All before `end_offset` has been compacted, to so many bytes.
    pub(super) fn compacted(&mut self, end_offset: i64, clean_bytes: u64) {
        while self.list.get(1).is_some_and(|next| next.base_offset <= end_offset) {
            self.list.pop_front();
        }
        (self.first_dirty_offset, self.clean_bytes) = (end_offset, clean_bytes);
    }

    /// What could be compacted; `stable_offset` is where undecided transactions begin.
    pub(super) fn cleanable(
        &self,
        rules: &CompactionRules,
        stable_offset: i64,
        now_ms: i64,
    ) -> Option<Cleanable> {
        let first_dirty_offset = self.first_dirty_offset;
        let (active, _) = self.list.back().zip(self.list.front())?;
        let complete = || self.list.iter().take(self.list.len() - 1);
        // The last one before what was compacted may reach beyond it.
        let clean =
            self.list.iter().skip(1).take_while(|next| next.base_offset <= first_dirty_offset);
        let dirty = || complete().skip(clean.clone().count());
        let is_young =
            |segment: &&Segment| segment.max_timestamp_ms > now_ms.saturating_sub(rules.lag_min_ms);
        let young = if rules.lag_min_ms > 0 { dirty().find(is_young) } else { None };
        let limit = young.unwrap_or(active).base_offset.min(stable_offset);
        let mut bases = self.list.iter().map(|segment| segment.base_offset);
        let end_offset = bases.rfind(|&base| base <= limit)?;
        if end_offset <= first_dirty_offset {
            return None;
        }
        let dirty_bytes: u64 = dirty()
            .take_while(|segment| segment.base_offset < end_offset)
            .map(|segment| segment.size_bytes)
            .sum();
        let dirty_ratio = dirty_bytes as f64 / (dirty_bytes + self.clean_bytes).max(1) as f64;
        let times = dirty().map(|segment| segment.first_timestamp_ms).filter(|&ms| ms > 0);
        let is_late =
            times.min().is_some_and(|first| first < now_ms.saturating_sub(rules.lag_max_ms));
        let is_due = dirty_ratio > rules.dirty_ratio_min || is_late;
        Some(Cleanable { first_dirty_offset, end_offset, dirty_ratio, is_due })
    }
}

/// Whether a batch needs a new segment. Without a timestamp time does not count: Kafka goes by the
/// age of its file then.
fn is_full(active: &Segment, rules: SegmentRules, timestamp_ms: i64, size_bytes: u64) -> bool {
    let waited_ms = match active.first_timestamp_ms {
        first if first >= 0 => timestamp_ms.saturating_sub(first),
        _ => 0,
    };
    active.size_bytes.saturating_add(size_bytes) > rules.bytes || waited_ms > rules.ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CompactionRules = CompactionRules {
        dirty_ratio_min: 0.5,
        lag_min_ms: 0,
        lag_max_ms: i64::MAX,
        delete_retention_ms: 0,
    };

    /// Segments of two batches of 100 bytes, at 0, 20 and 40; times rise by 10.
    fn segments() -> Segments {
        let mut segments = Segments::new(SegmentRules { bytes: 250, ms: i64::MAX });
        for index in 0..5 {
            segments.appended(index * 10, 1_000 + index * 10, 100);
        }
        segments
    }

    fn bases(segments: &Segments) -> Vec<i64> {
        segments.list.iter().map(|segment| segment.base_offset).collect()
    }

    #[test]
    fn segments_are_full_by_bytes_and_time() {
        assert_eq!(bases(&segments()), [0, 20, 40]);
        let mut by_time = Segments::new(SegmentRules { bytes: u64::MAX, ms: 15 });
        for index in 0..5 {
            by_time.appended(index * 10, 1_000 + index * 10, 100);
        }
        assert_eq!(bases(&by_time), [0, 20, 40], "a wait of 15 ms is not longer than 15 ms");
        for index in 0..2 * SEGMENTS_REMEMBERED_MAX as i64 {
            by_time.appended(50 + index, 2_000 + index * 100, 100);
        }
        assert_eq!(by_time.list.len(), SEGMENTS_REMEMBERED_MAX);
        assert_eq!(by_time.list[0].base_offset, 0);
    }

    #[test]
    fn the_active_segment_and_undecided_transactions_are_left_alone() {
        let segments = segments();
        let all = segments.cleanable(&RULES, 50, 0).unwrap();
        assert_eq!((all.first_dirty_offset, all.end_offset, all.is_due), (0, 40, true));
        assert_eq!(segments.cleanable(&RULES, 39, 0).unwrap().end_offset, 20);
        assert_eq!(segments.cleanable(&RULES, 19, 0), None);
    }

    #[test]
    fn lags_hold_back_and_press() {
        let segments = segments();
        let young = CompactionRules { lag_min_ms: 15, ..RULES };
        assert_eq!(segments.cleanable(&young, 50, 1_040).unwrap().end_offset, 20);
        assert_eq!(segments.cleanable(&young, 50, 1_046).unwrap().end_offset, 40);
        let lazy = CompactionRules { dirty_ratio_min: 1.0, lag_max_ms: 100, ..RULES };
        assert!(!segments.cleanable(&lazy, 50, 1_100).unwrap().is_due);
        assert!(segments.cleanable(&lazy, 50, 1_101).unwrap().is_due);
    }

    #[test]
    fn what_was_compacted_counts_as_clean() {
        let mut segments = segments();
        segments.compacted(20, 150);
        let rest = segments.cleanable(&RULES, 50, 0).unwrap();
        assert_eq!((rest.first_dirty_offset, rest.end_offset), (20, 40));
        assert!((rest.dirty_ratio - 200.0 / 350.0).abs() < 1e-9);
        segments.compacted(40, 150);
        assert_eq!(segments.cleanable(&RULES, 50, 0), None);
        segments.trimmed(45);
        assert_eq!((segments.first_dirty_offset, segments.clean_bytes), (45, 0));
    }
}
