//! The map against what really happened.

use proptest::prelude::*;

use super::*;
use crate::position::histories::World;

fn map(runs: &[(i64, i64, i64)]) -> OffsetMap {
    let mut map = OffsetMap::new(runs[0].0, runs[0].1);
    for &(source_offset, target_offset, record_count) in runs {
        map.push(MappedRun { source_offset, target_offset, record_count });
    }
    map
}

fn exact(translated: Translated) -> i64 {
    assert_eq!(translated.certainty, Certainty::Exact);
    translated.offset
}

#[test]
fn a_log_without_gaps_is_one_run() {
    let map = map(&[(100, 0, 10), (110, 10, 5), (115, 15, 1)]);
    assert_eq!(map.runs().count(), 1);
    let to_target = [(0, 0), (100, 0), (107, 7), (116, 16), (500, 16)];
    for (source, target) in to_target {
        assert_eq!(exact(map.to_target(source)), target);
    }
    assert_eq!(exact(map.to_source(7)), 107);
    assert_eq!(exact(map.to_source(16)), 116);
}

#[test]
fn in_a_gap_the_next_record_is_the_one() {
    let map = map(&[(100, 0, 10), (200, 10, 10)]);
    assert_eq!(exact(map.to_target(109)), 9);
    assert_eq!(exact(map.to_target(110)), 10);
    assert_eq!(exact(map.to_target(150)), 10);
    assert_eq!(exact(map.to_target(205)), 15);
    assert_eq!(exact(map.to_source(10)), 200);
}

#[test]
fn what_is_unclear_is_read_again_and_never_skipped() {
    let mut map = map(&[(100, 0, 10)]);
    map.push_unclear(110..200, 10..30);
    map.push(MappedRun { source_offset: 200, target_offset: 30, record_count: 5 });
    assert_eq!(exact(map.to_target(110)), 10);
    let reread = |offset, at_most| Translated { offset, certainty: Certainty::RereadUpTo(at_most) };
    assert_eq!(map.to_target(115), reread(10, 5));
    assert_eq!(map.to_target(190), reread(10, 20));
    assert_eq!(exact(map.to_target(200)), 30);
    assert_eq!(map.to_source(20), reread(110, 90));
    assert_eq!(exact(map.to_source(10)), 110);
}

#[test]
fn a_lost_tail_is_forgotten() {
    let mut map = map(&[(100, 0, 10), (200, 10, 10)]);
    map.truncate(202, 12);
    assert_eq!(map.end(), (202, 12));
    map.push(MappedRun { source_offset: 300, target_offset: 12, record_count: 1 });
    assert_eq!(exact(map.to_target(205)), 12);
    assert_eq!(exact(map.to_source(12)), 300);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_position_is_translated_to_the_record_it_stands_before(seed: u64) {
        let mut world = World::new(seed);
        world.live(12)?;
        // Where late requests may have arrived, the next turn tells.
        world.begin_turn(12)?;
        let (live, id) = world.live_maps();
        let map = offset_map(&world.facts(), world.log_end()).unwrap();
        let content = world.content();
        for position in 0..=world.source_end() {
            let expected = content.partition_point(|&offset| offset < position) as i64;
            prop_assert_eq!(map.to_target(position), Translated::exact(expected));
            let mapped = live.to_target(&id, position).unwrap();
            prop_assert_eq!(mapped.resume, Translated::exact(expected));
        }
        for (target, &source) in content.iter().enumerate() {
            prop_assert_eq!(map.to_source(target as i64), Translated::exact(source));
            let mapped = live.to_source(&id, target as i64).unwrap();
            prop_assert_eq!(mapped.resume, Translated::exact(source));
        }
    }
}

/// Bounds that small histories reach.
fn narrow(sealed_bytes_max: usize) -> Bounds {
    Bounds { open_max: 3, block_max: 7, sealed_bytes_max }
}

/// A map, and the same without packing.
struct Both {
    map: OffsetMap,
    /// Source offset of each record, by offset in the mirror; `None` where that is not clear.
    truth: Vec<Option<i64>>,
    source_end: i64,
    random: u64,
}

impl Both {
    fn new(seed: u64, bounds: Bounds) -> Self {
        let map = OffsetMap::with_bounds((10, 0), bounds);
        Self { map, truth: Vec::new(), source_end: 10, random: seed | 1 }
    }

    fn below(&mut self, bound: u64) -> i64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound) as i64
    }

    fn push(&mut self, gap: i64, record_count: i64) {
        let source_offset = self.source_end + gap;
        let target_offset = self.truth.len() as i64;
        self.map.push(MappedRun { source_offset, target_offset, record_count });
        self.source_end = source_offset + record_count;
        self.truth.extend((source_offset..self.source_end).map(Some));
    }

    fn step(&mut self) {
        match self.below(40) {
            0 => {
                let (source_count, record_count) = (self.below(9) + 4, self.below(4) + 1);
                let target = self.truth.len() as i64;
                let source = self.source_end..self.source_end + source_count;
                self.source_end = source.end;
                self.map.push_unclear(source, target..target + record_count);
                self.truth.extend((0..record_count).map(|_| None));
            }
            1 => {
                let target_end = self.below(self.truth.len() as u64 + 1);
                let Some(source_end) = self.map.source_behind(target_end) else { return };
                self.map.truncate(source_end, target_end);
                self.truth.truncate(target_end as usize);
                self.source_end = source_end;
            }
            2..=4 => {
                let (gap, record_count) = (self.below(3), self.below(3) + 1);
                for _ in 0..self.below(12) {
                    self.push(gap, record_count);
                }
            }
            _ => {
                let (gap, record_count) = (self.below(200), self.below(12) + 1);
                self.push(gap, record_count);
            }
        }
    }

    /// Where a consumer of a source position may at the latest go on.
    fn latest_target(&self, position: i64) -> usize {
        let stands_before = |offset: &Option<i64>| offset.is_some_and(|known| known < position);
        let behind = self.truth.iter().rposition(stands_before).map_or(0, |last| last + 1);
        behind + self.truth[behind..].iter().take_while(|offset| offset.is_none()).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn packed_stretches_answer_as_the_records_do(seed: u64) {
        let mut both = Both::new(seed, narrow(usize::MAX));
        for _ in 0..30 {
            both.step();
        }
        prop_assert_eq!(both.map.end(), (both.source_end, both.truth.len() as i64));
        let sealed: usize = both.map.sealed.iter().map(Block::size_bytes).sum();
        prop_assert_eq!(both.map.sealed_bytes, sealed);
        prop_assert!(both.map.open.len() <= 7);
        for (target, source) in both.truth.iter().enumerate() {
            let target = target as i64;
            let Some(source) = *source else { continue };
            prop_assert_eq!(both.map.to_source(target), Translated::exact(source));
            prop_assert_eq!(both.map.to_target(source), Translated::exact(target));
        }
        for _ in 0..20 {
            let position = both.below(both.source_end as u64 + 5);
            let said = both.map.to_target(position);
            let latest = both.latest_target(position) as i64;
            prop_assert!(said.offset <= latest, "{} skips: {:?}, {}", position, said, latest);
            if said.certainty == Certainty::Exact && said.offset < latest {
                prop_assert_eq!(both.truth[said.offset as usize], None);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_map_that_became_too_large_reads_again_and_never_skips(seed: u64) {
        let mut both = Both::new(seed, narrow(6 * size_of::<Block>()));
        for _ in 0..60 {
            both.step();
        }
        prop_assert!(both.map.sealed_bytes <= 6 * size_of::<Block>() || both.map.sealed.len() == 1);
        for _ in 0..20 {
            let position = both.below(both.source_end as u64 + 5);
            let said = both.map.to_target(position);
            let latest = both.latest_target(position) as i64;
            prop_assert!(said.offset <= latest, "{} skips: {:?}, {}", position, said, latest);
            if let Certainty::RereadUpTo(most) = said.certainty {
                let consumed = (said.offset..latest)
                    .filter(|&at| both.truth[at as usize].is_some_and(|known| known < position));
                prop_assert!(consumed.count() as i64 <= most);
            }
            let position = both.below(both.truth.len() as u64 + 1);
            let said = both.map.to_source(position);
            let rest = &both.truth[position as usize..];
            let first = rest.first().map_or(Some(both.source_end), |first| *first);
            prop_assert!(first.is_none_or(|first| said.offset <= first));
        }
    }

    #[test]
    fn what_neither_side_has_is_dropped_and_the_rest_answers_as_before(seed: u64) {
        let mut both = Both::new(seed, narrow(usize::MAX));
        for _ in 0..30 {
            both.step();
        }
        let target_start = both.below(both.truth.len() as u64 + 1);
        let source_start = both.map.to_source(target_start).offset;
        let before = both.map.clone();
        both.map.drop_below(source_start, target_start);
        let dropped = before.sealed.len() - both.map.sealed.len();
        prop_assert!(both.map.sealed.iter().take(1).all(|one| one.target().end > target_start
            || one.source().end > source_start));
        prop_assert_eq!(both.map.begin() == before.begin(), dropped == 0);
        for _ in 0..20 {
            let source = source_start + both.below((both.source_end - source_start) as u64 + 2);
            prop_assert_eq!(both.map.to_target(source), before.to_target(source));
            let target_end = both.truth.len() as i64;
            let target = target_start + both.below((target_end - target_start) as u64 + 2);
            prop_assert_eq!(both.map.to_source(target), before.to_source(target));
        }
    }
}

#[test]
fn many_gaps_take_few_bytes() {
    let size_of_map = |mut next: Box<dyn FnMut() -> (i64, i64)>| {
        let mut map = OffsetMap::new(0, 0);
        for _ in 0..1_000_000 {
            let (gap, record_count) = next();
            let (source_end, target_offset) = map.end();
            let source_offset = source_end + gap;
            map.push(MappedRun { source_offset, target_offset, record_count });
        }
        assert_eq!(map.runs().count(), 1_000_000);
        map.size_bytes()
    };
    let transactions = size_of_map(Box::new(|| (1, 1)));
    let mut random = Both::new(7, narrow(0));
    let compacted = size_of_map(Box::new(move || (random.below(40) + 1, random.below(20) + 1)));
    println!("1e6 transactions of one record: {transactions}; of random length: {compacted}");
    assert!(transactions < 50_000, "{transactions}");
    assert!(compacted < 2_500_000, "{compacted}");
}
