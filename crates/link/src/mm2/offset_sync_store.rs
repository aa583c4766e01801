//! What MirrorMaker 2 knows of a partition's offsets: a model of its `OffsetSyncStore` (as of
//! Kafka 3.5.2), compared with the class of Kafka 4.3 on random histories.
//!
//! It keeps 64 slots, most of which hold the same sync: slot 0 the newest one, and slot j one that
//! lies at most 2^j - 1 source offsets behind it. So positions far behind the newest record are
//! translated to places far before the true one. Pure.

/// As many slots as an offset has bits.
const SLOTS: usize = 64;

/// The offset syncs of one partition that MirrorMaker 2 still has.
#[derive(Clone, Debug)]
pub struct OffsetSyncStore {
    slots: [Slot; SLOTS],
    /// Number of syncs seen: it tells apart two syncs of the same offsets.
    seen: u64,
}

/// A sync in a slot.
#[derive(Clone, Copy, Debug)]
struct Slot {
    id: u64,
    upstream: i64,
    downstream: i64,
}

/// What MirrorMaker 2 makes of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// This position at the target.
    To(i64),
    /// The position is older than everything that is still known: no checkpoint is written.
    TooOld,
}

impl OffsetSyncStore {
    /// With the first sync of a partition.
    pub fn new(upstream_offset: i64, downstream_offset: i64) -> Self {
        let first = Slot { id: 0, upstream: upstream_offset, downstream: downstream_offset };
        Self { slots: [first; SLOTS], seen: 1 }
    }

    /// The next sync, as the topic has it. One that lies before the newest one ends everything
    /// that was known.
    pub fn add(&mut self, upstream_offset: i64, downstream_offset: i64) {
        let id = self.seen;
        let new = Slot { id, upstream: upstream_offset, downstream: downstream_offset };
        self.seen += 1;
        if upstream_offset < self.slots[0].upstream {
            self.slots = [new; SLOTS];
            return;
        }
        let before = self.slots;
        let mut replacement = new;
        // The one of the old syncs that comes next as a replacement.
        let mut candidate = 0;
        self.slots[0] = new;
        for current in 1..SLOTS {
            let newer = self.slots[current - 1];
            loop {
                let (old, fate) = self.judge(&before, candidate, current);
                if fate == Fate::Taken || fate == Fate::TakenAndRepeated {
                    replacement = old;
                }
                candidate += usize::from(fate != Fate::Kept);
                let goes_on = matches!(fate, Fate::Skipped | Fate::TakenAndRepeated);
                if candidate >= current || !goes_on {
                    break;
                }
            }
            // What is recent enough for this slot is so for all behind it.
            if recent(newer, self.slots[current], current) {
                break;
            }
            self.slots[current] = replacement;
        }
    }

    /// Whether an old sync may serve in a slot whose own has become too old: it must be recent
    /// enough for it, and not too close to its neighbours.
    fn judge(&self, before: &[Slot; SLOTS], candidate: usize, current: usize) -> (Slot, Fate) {
        let (old, newer) = (before[candidate], self.slots[current - 1]);
        let is_apart = apart(newer, old, current - 1);
        let next = self.slots.get(current + 1);
        let is_apart_from_next = next.is_none_or(|next| apart(old, *next, current));
        let serves = recent(newer, old, current) && is_apart && is_apart_from_next;
        let is_repeated = before.get(candidate + 1).is_some_and(|next| next.id == old.id);
        let fate = match (serves, is_repeated || !is_apart) {
            (true, true) => Fate::TakenAndRepeated,
            (true, false) => Fate::Taken,
            (false, true) => Fate::Skipped,
            (false, false) => Fate::Kept,
        };
        (old, fate)
    }

    /// Where a consumer that has committed this would go on at the target: at the sync's own
    /// record, or one behind it, never further.
    pub fn translate(&self, upstream_position: i64) -> Translation {
        let newest = self.slots.iter().find(|slot| slot.upstream <= upstream_position);
        newest.map_or(Translation::TooOld, |slot| {
            let step = i64::from(slot.upstream != upstream_position);
            Translation::To(slot.downstream.saturating_add(step))
        })
    }

    /// The different syncs that are still known, newest first: source and target offset.
    pub fn syncs(&self) -> Vec<(i64, i64)> {
        let mut slots = self.slots.to_vec();
        slots.dedup_by_key(|slot| slot.id);
        slots.into_iter().map(|slot| (slot.upstream, slot.downstream)).collect()
    }
}

/// What becomes of an old sync that might serve again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It serves.
    Taken,
    /// It serves, and stands in the next slot as well.
    TakenAndRepeated,
    /// It will not serve here or further on.
    Skipped,
    /// It may serve further on.
    Kept,
}

/// Whether `older` may stand in slot `j` when `newer` stands in the slot before it.
fn recent(newer: Slot, older: Slot, j: usize) -> bool {
    let bound = older.upstream.wrapping_add(power(j)).wrapping_sub(power(j - 1));
    newer.id == older.id || bound < 0 || newer.upstream <= bound
}

/// Whether `newer`, in slot `i`, lies far enough from `older` for both to be kept.
fn apart(newer: Slot, older: Slot, i: usize) -> bool {
    let bound = older.upstream.wrapping_add(power(i.saturating_sub(2)));
    newer.id == older.id || (bound >= 0 && newer.upstream >= bound)
}

/// 2^exponent, which is negative for 63, as it is in Java.
fn power(exponent: usize) -> i64 {
    1_i64.wrapping_shl(u32::try_from(exponent).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Syncs at every `step`th offset up to `end`, without gaps at the source.
    fn steady(step: i64, end: i64) -> OffsetSyncStore {
        let mut store = OffsetSyncStore::new(0, 0);
        (1..=end / step).for_each(|at| store.add(at * step, at * step));
        store
    }

    #[test]
    fn only_the_neighbourhood_of_a_sync_is_exact() {
        let mut store = OffsetSyncStore::new(100, 40);
        assert_eq!(store.translate(99), Translation::TooOld);
        assert_eq!(store.translate(100), Translation::To(40));
        assert_eq!(store.translate(101), Translation::To(41));
        assert_eq!(store.translate(5_000), Translation::To(41), "no dead reckoning");
        store.add(201, 141);
        assert_eq!(store.translate(201), Translation::To(141));
        assert_eq!(store.translate(200), Translation::To(41));
    }

    #[test]
    fn few_of_many_syncs_are_kept_and_older_positions_are_translated_worse() {
        let store = steady(101, 200_990);
        let kept = store.syncs();
        assert!((10..=22).contains(&kept.len()), "{} syncs", kept.len());
        for behind in [0, 100, 1_000, 10_000, 100_000] {
            let position = 200_990 - behind;
            let Translation::To(offset) = store.translate(position) else {
                panic!("{position} cannot be translated")
            };
            let reread = position - offset;
            assert!(reread >= 0, "{reread} records are left out");
            assert!(reread < 2 * (behind + 101), "{reread} for a group {behind} behind");
        }
    }

    #[test]
    fn a_rewind_forgets_everything() {
        let mut store = steady(101, 10_100);
        store.add(5_000, 10_200);
        assert_eq!(store.syncs(), [(5_000, 10_200)]);
        assert_eq!(store.translate(4_999), Translation::TooOld);
    }
}
