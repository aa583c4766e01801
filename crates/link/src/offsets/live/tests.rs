//! What the live maps say beside where records lie; `offsets/tests.rs` holds them against random
//! histories.

use farlog_wire::primitives::Uuid;

use super::*;
use crate::offsets::Certainty;
use crate::state::Claim;

const CLAIM: Claim = Claim { generation: 1, nonce: 1 };

fn id() -> MirrorId {
    MirrorId {
        link: "l".to_owned(),
        source_topic_id: Uuid([1; 16]),
        target_topic_id: Uuid([2; 16]),
        partition: 0,
    }
}

fn position(source_offset: i64, target_offset: i64) -> Position {
    Position { target_offset, source_offset, source_leader_epoch: 3 }
}

fn facts() -> MirrorFacts {
    let start = Fact { target_offset: 0, source_offset: 100, source_leader_epoch: -1, turn: 0 };
    MirrorFacts { start: Some(start), ..MirrorFacts::default() }
}

fn run(source_offset: i64, record_count: i64) -> Run {
    Run { source_offset, record_count }
}

fn exact(mapped: Option<Mapped>) -> (i64, i64) {
    let mapped = mapped.unwrap();
    assert_eq!(mapped.resume.certainty, Certainty::Exact);
    (mapped.resume.offset, mapped.mirrored_source_offset)
}

#[test]
fn a_map_is_there_once_the_position_was_read_and_grows_with_what_is_acknowledged() {
    let maps = LiveMaps::new();
    let mut moves = maps.moves();
    assert_eq!(maps.to_target(&id(), 100), None);
    assert!(!moves.has_changed().unwrap());
    let map = maps.begin(&id(), &facts(), position(100, 0), (1, CLAIM)).unwrap();
    assert!(moves.has_changed().unwrap());
    moves.mark_unchanged();
    assert_eq!(exact(maps.to_target(&id(), 100)), (0, 100));
    map.landed(0, 10, None, 3);
    map.landed(10, 5, Some(&[run(120, 2), run(130, 3)]), 3);
    assert!(moves.has_changed().unwrap());
    assert_eq!(exact(maps.to_target(&id(), 121)), (11, 133));
    assert_eq!(exact(maps.to_target(&id(), 125)), (12, 133));
    assert_eq!(exact(maps.to_source(&id(), 12)), (130, 133));
    maps.keep_only(std::iter::empty());
    assert_eq!(maps.to_target(&id(), 100), None);
}

#[test]
fn what_needs_no_mirroring_counts_as_mirrored() {
    let maps = LiveMaps::new();
    let map = maps.begin(&id(), &facts(), position(100, 0), (1, CLAIM)).unwrap();
    map.landed(0, 10, None, 3);
    let mut moves = maps.moves();
    map.all_mirrored(111);
    assert!(moves.has_changed().unwrap());
    assert_eq!(exact(maps.to_target(&id(), 111)), (10, 111), "behind a commit marker");
    moves.mark_unchanged();
    map.all_mirrored(111);
    assert!(!moves.has_changed().unwrap());
    maps.go_on(&id(), &facts(), position(110, 10), (2, CLAIM)).unwrap();
    assert_eq!(exact(maps.to_target(&id(), 111)), (10, 111), "the next turn knows it, too");
}

#[test]
fn the_next_turn_finds_what_this_one_had_under_way() {
    let maps = LiveMaps::new();
    let map = maps.begin(&id(), &facts(), position(100, 0), (1, CLAIM)).unwrap();
    map.landed(0, 10, None, 3);
    let mut facts = facts();
    let entry = |runs, turn| Entry { source_leader_epoch: 3, crc: 1, runs, turn };
    facts.entries.insert((15, CLAIM), entry(vec![run(200, 5)], 1));
    facts.entries.insert((20, CLAIM), entry(vec![run(300, 5)], 1));
    assert!(maps.go_on(&id(), &facts, position(230, 20), (2, CLAIM)).is_none());
    maps.go_on(&id(), &facts, position(205, 20), (2, CLAIM)).unwrap();
    assert_eq!(exact(maps.to_source(&id(), 14)), (114, 205));
    assert_eq!(exact(maps.to_source(&id(), 15)), (200, 205));
    assert_eq!(exact(maps.to_target(&id(), 300)), (20, 205));
}

#[test]
fn a_lost_tail_is_forgotten_if_the_rest_is_what_it_was() {
    let maps = LiveMaps::new();
    let map = maps.begin(&id(), &facts(), position(100, 0), (1, CLAIM)).unwrap();
    map.landed(0, 10, None, 3);
    map.landed(10, 5, Some(&[run(200, 5)]), 3);
    assert!(maps.go_on(&id(), &facts(), position(300, 12), (2, CLAIM)).is_none());
    maps.go_on(&id(), &facts(), position(202, 12), (2, CLAIM)).unwrap();
    assert_eq!(exact(maps.to_target(&id(), 204)), (12, 202));
    assert_eq!(exact(maps.to_target(&id(), 150)), (10, 202));
    maps.go_on(&id(), &facts(), position(110, 10), (3, CLAIM)).unwrap();
    assert_eq!(exact(maps.to_target(&id(), 150)), (10, 110));
}

#[test]
fn only_what_the_journal_leaves_out_is_kept_once_read() {
    let maps = LiveMaps::new();
    let journal = |entries: usize| {
        let mut journal = Journal::new(usize::MAX);
        for at in 0..entries as i64 {
            let key = StateKey::Entry { mirror: id(), target_offset: at, claim: CLAIM };
            let runs = vec![run(at * 2, 1)];
            let entry = Entry { source_leader_epoch: 0, crc: 0, runs, turn: 1 };
            journal.set(key, Some(crate::state::StateValue::Entry(entry)));
        }
        journal
    };
    maps.remember(journal(ENTRIES_KEPT_MAX));
    assert_eq!(maps.recall(&id()), None);
    maps.remember(journal(ENTRIES_KEPT_MAX + 1));
    assert_eq!(maps.recall(&id()).unwrap().entries.len(), ENTRIES_KEPT_MAX + 1);
    assert_eq!(maps.recall(&id()), None);
    maps.begin(&id(), &facts(), position(100, 0), (1, CLAIM)).unwrap();
    maps.remember(journal(ENTRIES_KEPT_MAX + 1));
    assert_eq!(maps.recall(&id()), None);
}
