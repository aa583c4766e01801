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
