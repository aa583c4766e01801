//! Which records of a mirror get an offset sync. Pure.
//!
//! As MirrorMaker 2 with the same `offset.lag.max`: one record in so many and one. The last record
//! of a burst follows when nothing came for a while, so that a partition that stands still is
//! translated exactly; and where there are more than can be written at once they are spread evenly,
//! which costs nothing: the reader keeps some twenty, each about twice as far back as the one
//! before.

use std::ops::Range;

/// The offset syncs of one mirror partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spacing {
    /// Target offset of the last record that got one.
    last: Option<i64>,
    /// Ticks since then.
    ticks: u32,
}

impl Spacing {
    pub(super) fn new() -> Self {
        Self { last: None, ticks: 0 }
    }

    /// Target offsets of the records that get a sync now. `mirror`: from the first record whose
    /// place at the source is known to behind the last one; `lag_max`: records between two syncs;
    /// `ticks_max`: how long the last record may wait for one; `count_max`: how many at once.
    pub(super) fn due(
        &self,
        mirror: Range<i64>,
        lag_max: i64,
        ticks_max: u32,
        count_max: i64,
    ) -> Vec<i64> {
        let newest = mirror.end - 1;
        if mirror.is_empty() || self.last == Some(newest) {
            return Vec::new();
        }
        // The first ever, or the mirror lost what had got one.
        let Some(last) = self.last.filter(|last| *last < newest) else { return vec![newest] };
        let step = lag_max.saturating_add(1).max(1);
        let step = step.max((newest - last - 1) / count_max.max(1) + 1);
        let first = last.saturating_add(step);
        let mut due: Vec<i64> = (0..count_max)
            .map_while(|index| step.checked_mul(index)?.checked_add(first))
            .take_while(|offset| *offset <= newest)
            .filter(|offset| mirror.contains(offset))
            .collect();
        let is_waiting = due.last() != Some(&newest);
        if is_waiting && self.ticks >= ticks_max {
            due.push(newest);
        }
        due
    }

    /// A look at the mirror is over; `written`: the last record that got a sync.
    pub(super) fn looked(&mut self, written: Option<i64>) {
        match written {
            Some(last) => *self = Self { last: Some(last), ticks: 0 },
            None => self.ticks = self.ticks.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(last: Option<i64>, ticks: u32, mirror: Range<i64>) -> Vec<i64> {
        Spacing { last, ticks }.due(mirror, 100, 5, 10)
    }

    #[test]
    fn syncs_are_as_far_apart_as_mirrormaker_has_them() {
        assert_eq!(due(None, 0, 0..1), [0], "the first record");
        assert_eq!(due(None, 0, 0..500), [499], "the newest is worth most");
        assert_eq!(due(Some(0), 0, 0..101), [0_i64; 0]);
        assert_eq!(due(Some(0), 0, 0..102), [101]);
        assert_eq!(due(Some(0), 0, 0..304), [101, 202, 303]);
        assert_eq!(due(Some(0), 0, 0..0), [0_i64; 0]);
    }

    #[test]
    fn the_last_record_of_a_burst_gets_one_too() {
        assert_eq!(due(Some(0), 4, 0..50), [0_i64; 0]);
        assert_eq!(due(Some(0), 5, 0..50), [49]);
        assert_eq!(due(Some(49), 5, 0..50), [0_i64; 0]);
        assert_eq!(due(Some(0), 5, 0..150), [101, 149]);
    }

    #[test]
    fn many_are_spread_evenly() {
        let spread = due(Some(0), 0, 0..100_001);
        assert_eq!(spread.len(), 10);
        assert_eq!((spread[0], spread[9]), (10_000, 100_000));
    }

    #[test]
    fn a_mirror_that_lost_its_tail_begins_anew() {
        assert_eq!(due(Some(500), 0, 0..200), [199]);
        assert_eq!(due(Some(500), 0, 0..0), [0_i64; 0]);
        let mut spacing = Spacing::new();
        spacing.looked(None);
        spacing.looked(Some(7));
        assert_eq!(spacing, Spacing { last: Some(7), ticks: 0 });
    }

    #[test]
    fn what_the_map_has_dropped_gets_none() {
        assert_eq!(due(Some(0), 0, 250..304), [303]);
    }
}
