//! Recovery by example and by random histories; `tests/it` recovers from real logs.

pub(crate) mod histories;

use std::collections::BTreeMap;

use super::*;
use crate::state::Run;

fn claim(generation: i32) -> Claim {
    Claim { generation, nonce: 1 }
}

fn entry(crc: u32, runs: &[(i64, i64)]) -> Entry {
    Entry {
        turn: 0,
        source_leader_epoch: 4,
        crc,
        runs: runs.iter().map(|&run| Run::from(run)).collect(),
    }
}

fn anchor(target_offset: i64, source_offset: i64, turn: u32) -> Fact {
    Fact { target_offset, source_offset, source_leader_epoch: 4, turn }
}

fn header(base_offset: i64, crc: u32, record_count: i32) -> BatchHeader {
    BatchHeader {
        base_offset,
        crc,
        record_count,
        last_offset_delta: record_count - 1,
        ..BatchHeader::default()
    }
}

fn resume(facts: &MirrorFacts, log_end: i64, mirror: &[BatchHeader]) -> Option<Position> {
    candidates(facts, log_end).iter().find_map(|candidate| {
        let seen = match candidate {
            Candidate::Entries { target_offset, .. } => mirror
                .iter()
                .rev()
                .find(|batch| batch.base_offset <= *target_offset)
                .map_or(Seen::Deleted, Seen::Batch),
            Candidate::Fact(_) => Seen::Deleted,
        };
        judge(candidate, seen, log_end)
    })
}

/// The same where the mirror's cleaner was at work: a look at an offset finds the batch that holds
/// it or the next one.
fn resume_compacted(facts: &MirrorFacts, log_end: i64, mirror: &[BatchHeader]) -> Option<Position> {
    let candidates = candidates(facts, log_end);
    let mut trusted =
        candidates.iter().take_while(|candidate| candidate.target_offset() >= facts.entries_from);
    trusted.find_map(|candidate| {
        let seen = match candidate {
            Candidate::Entries { target_offset, .. } => mirror
                .iter()
                .find(|batch| batch.last_offset() >= *target_offset)
                .map_or(Seen::Deleted, Seen::Batch),
            Candidate::Fact(_) => Seen::Deleted,
        };
        judge(candidate, seen, log_end)
    })
}

fn facts() -> MirrorFacts {
    MirrorFacts {
        start: Some(Fact {
            target_offset: 0,
            source_offset: 1000,
            source_leader_epoch: -1,
            turn: 0,
        }),
        anchor: None,
        turns: BTreeMap::new(),
        entries: BTreeMap::new(),
        sealed: BTreeMap::new(),
        lost: BTreeMap::new(),
        entries_from: 0,
    }
}

#[test]
fn a_gap_free_log_needs_only_its_start() {
    let position = resume(&facts(), 250, &[]).unwrap();
    assert_eq!((position.target_offset, position.source_offset), (250, 1250));
}

#[test]
fn nothing_known_is_no_position() {
    assert_eq!(resume(&MirrorFacts::default(), 10, &[]), None);
}

#[test]
fn counting_goes_on_behind_the_last_entry_that_landed() {
    let mut facts = facts();
    facts.entries.insert((100, claim(1)), entry(7, &[(1100, 5), (1200, 5)]));
    let mirror = [header(0, 1, 100), header(100, 7, 10), header(110, 2, 40)];
    let position = resume(&facts, 150, &mirror).unwrap();
    assert_eq!((position.source_offset, position.source_leader_epoch), (1245, 4));
}

#[test]
fn an_entry_whose_batch_never_came_is_passed_over() {
    let mut facts = facts();
    // Written ahead, then killed; the next owner cut its batches elsewhere.
    facts.entries.insert((100, claim(1)), entry(7, &[(1100, 50), (1200, 50)]));
    facts.entries.insert((150, claim(2)), entry(8, &[(1200, 30)]));
    let mirror = [header(0, 1, 100), header(100, 6, 50), header(150, 8, 30), header(180, 9, 70)];
    let position = resume(&facts, 250, &mirror).unwrap();
    assert_eq!(position.source_offset, 1300);
}

#[test]
fn of_two_hypotheses_for_one_offset_the_mirror_decides() {
    let mut facts = facts();
    facts.entries.insert((100, claim(1)), entry(7, &[(1100, 1), (1105, 9)]));
    facts.entries.insert((100, claim(2)), entry(8, &[(1100, 1), (1109, 9)]));
    for (crc, next) in [(7, 1114), (8, 1118)] {
        let mirror = [header(0, 1, 100), header(100, crc, 10)];
        assert_eq!(resume(&facts, 110, &mirror).unwrap().source_offset, next);
    }
}

#[test]
fn compaction_between_crash_and_restart_does_not_move_the_position() {
    // hazards.md finding 4: a count carried over a source that was compacted meanwhile.
    let mut facts = facts();
    facts.anchor = Some(anchor(90, 1090, 0));
    let position = resume(&facts, 190, &[header(90, 3, 100)]).unwrap();
    assert_eq!(position.source_offset, 1190, "the 100 records were mirrored before compaction");
}

#[test]
fn a_truncated_mirror_falls_back_to_older_knowledge() {
    let mut facts = facts();
    facts.anchor = Some(anchor(500, 1900, 0));
    facts.entries.insert((100, claim(1)), entry(7, &[(1200, 10)]));
    let position = resume(&facts, 300, &[header(0, 1, 100), header(100, 7, 10)]).unwrap();
    assert_eq!(position.source_offset, 1400);
}

#[test]
fn entries_below_the_mirrors_log_start_still_count() {
    let mut facts = facts();
    facts.entries.insert((100, claim(1)), entry(7, &[(1200, 10)]));
    facts.entries.insert((100, claim(2)), entry(9, &[(1300, 10)]));
    assert_eq!(resume(&facts, 400, &[]).unwrap().source_offset, 1600);
}

#[test]
fn a_compacted_mirror_still_bears_out_its_entries() {
    let mut facts = facts();
    facts.entries.insert((100, claim(1)), entry(7, &[(1200, 10)]));
    let cleaned = BatchHeader { record_count: 3, ..header(100, 99, 10) };
    let mirror = [header(0, 1, 100), cleaned];
    assert_eq!(resume(&facts, 150, &mirror).unwrap().source_offset, 1250);
    let other = [header(0, 1, 100), header(100, 99, 10)];
    assert_eq!(resume(&facts, 150, &other).unwrap().source_offset, 1150, "not that batch");
}

#[test]
fn what_an_older_turn_wrote_ahead_in_vain_is_not_taken_for_a_batch_that_was_compacted_away() {
    let mut facts = facts();
    // The first turn wrote two batches ahead and died. The source was compacted; the second turn's
    // one batch reaches over the place of both, and the mirror's cleaner removed it later.
    facts.entries.insert((100, claim(1)), Entry { turn: 1, ..entry(7, &[(1100, 20)]) });
    facts.entries.insert((120, claim(1)), Entry { turn: 1, ..entry(8, &[(1120, 20)]) });
    facts.entries.insert((100, claim(2)), Entry { turn: 2, ..entry(9, &[(1100, 5), (1300, 45)]) });
    facts.turns.insert((2, claim(2)), anchor(100, 1100, 2));
    let behind = header(150, 5, 50);
    assert_eq!(resume_compacted(&facts, 200, &[behind]).unwrap().source_offset, 1395);
}

#[test]
fn what_was_known_of_a_tail_that_is_lost_does_not_come_back() {
    let mut facts = facts();
    facts.turns.insert((5, claim(1)), anchor(500, 1500, 5));
    facts.anchor = Some(anchor(550, 1550, 5));
    // The mirror lost what was behind 300; the source had been compacted meanwhile.
    facts.turns.insert((6, claim(2)), anchor(300, 1300, 6));
    let after = Entry { turn: 6, ..entry(9, &[(1400, 100)]) };
    facts.entries.insert((300, claim(2)), after);
    let mirror = [header(0, 1, 300), header(300, 9, 100), header(400, 3, 200)];
    assert_eq!(resume(&facts, 600, &mirror).unwrap().source_offset, 1700);
}

#[test]
fn sequences_follow_offsets_and_wrap() {
    assert_eq!(sequence_at(0), 0);
    assert_eq!(sequence_at((1 << 31) - 1), i32::MAX);
    assert_eq!(sequence_at(1 << 31), 0);
    assert_eq!(records_before_wrap((1 << 31) - 5), 5);
    assert_eq!(records_before_wrap(1 << 31), 1 << 31);
}

#[test]
fn a_tail_written_by_another_is_named() {
    let ours =
        BatchHeader { producer_id: 9, base_sequence: 70, base_offset: 70, ..header(0, 0, 5) };
    assert_eq!(check_tail(&ours, 9), Ok(()));
    assert_eq!(
        check_tail(&BatchHeader { producer_id: 44, ..ours }, 9),
        Err(Foreign::Writer { producer_id: 44, offset: 70 }),
    );
    assert_eq!(
        check_tail(&BatchHeader { base_sequence: 69, ..ours }, 9),
        Err(Foreign::Shifted { offset: 70, sequence_expected: 70, sequence: 69 }),
    );
}
