//! What is due, and when.

use farlog_wire::group_records::{OffsetKey, OffsetValue};

use super::*;
use crate::offsets::{Certainty, Translated};

const REFRESH: Duration = Duration::from_secs(3_600);

/// A mirror whose offsets are 100 less than the source's, up to `mirrored`.
#[derive(Clone, Copy)]
struct Mirror {
    mirrored: i64,
    topic_id: Uuid,
}

struct Bench {
    board: Board,
    mirror: Option<Mirror>,
    checkpoints: HashMap<TopicPartition, Checkpoint>,
    now: Instant,
    at: i64,
}

impl Bench {
    fn new(rewinds: Rewinds) -> Self {
        let mirror = Some(Mirror { mirrored: 1_000, topic_id: Uuid([1; 16]) });
        let board = Board::new(rewinds, REFRESH);
        Self { board, mirror, checkpoints: HashMap::new(), now: Instant::now(), at: 0 }
    }

    fn commit(&mut self, group: &str, offset: i64) {
        self.at += 1;
        let at = self.at;
        self.change(group, Some(offset), at);
    }

    fn change(&mut self, group: &str, offset: Option<i64>, at: i64) {
        let key = OffsetKey { group: group.to_owned(), topic: "orders".to_owned(), partition: 0 };
        let value = offset.map(|offset| OffsetValue {
            offset,
            leader_epoch: 3,
            metadata: String::new(),
            commit_timestamp_ms: 1,
            expire_timestamp_ms: -1,
            topic_id: Uuid([1; 16]),
        });
        self.board.take(Change { key, value, at }, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.board.wake_timers(self.now);
        while !self.board.wake_waiting() {}
    }

    /// What is due for the next group: source offset and target offset.
    fn next(&mut self) -> Option<(String, Vec<(i64, i64)>)> {
        let (mirror, checkpoints) = (self.mirror, &self.checkpoints);
        let look = |_: &GroupId, partition: &TopicPartition, offset: i64| {
            let mirror = mirror?;
            let resume = offset.min(mirror.mirrored) - 100;
            let resume = Translated { offset: resume, certainty: Certainty::Exact };
            Some(Look {
                source_topic_id: mirror.topic_id,
                mapped: Some(Mapped { resume, mirrored_source_offset: mirror.mirrored }),
                last: checkpoints.get(partition).cloned(),
            })
        };
        let (group, due) = self.board.next(self.now, look)?;
        let offsets = due.iter().map(|one| (one.source_offset, one.target_offset)).collect();
        Some((group.to_string(), offsets))
    }

    /// The next group is written.
    fn write(&mut self) -> Option<(String, Vec<(i64, i64)>)> {
        let (group, offsets) = self.next()?;
        let partition = TopicPartition::new("orders", 0);
        let mut committed = Vec::new();
        for (source_offset, target_offset) in &offsets {
            let checkpoint = Checkpoint {
                topic: "orders".to_owned(),
                source_offset: *source_offset,
                target_offset: *target_offset,
                before: None,
            };
            self.checkpoints.insert(partition.clone(), checkpoint);
            committed.push(Due {
                partition: partition.clone(),
                source_offset: *source_offset,
                target_offset: *target_offset,
                metadata: String::new(),
                seen_at: self.now,
            });
        }
        let outcome = Outcome::Written { committed, foreign: Vec::new() };
        self.board.finished(&group.as_str().into(), outcome, self.now);
        Some((group, offsets))
    }
}

fn due(group: &str, offsets: (i64, i64)) -> Option<(String, Vec<(i64, i64)>)> {
    Some((group.to_owned(), vec![offsets]))
}

#[test]
fn what_changed_is_due_once() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.commit("g", 500);
    assert_eq!(bench.write(), due("g", (500, 400)));
    assert_eq!(bench.write(), None);
    bench.commit("g", 500);
    assert_eq!(bench.write(), None, "the same again");
    bench.commit("g", 600);
    bench.commit("g", 601);
    assert_eq!(bench.write(), due("g", (601, 501)), "the last one counts");
    bench.commit("g", 300);
    assert_eq!(bench.write(), due("g", (300, 200)), "a rewind");
    bench.pass(REFRESH * 2);
    assert_eq!(bench.write(), due("g", (300, 200)), "before the target forgets it");
    assert_eq!(bench.write(), None);
}

#[test]
fn a_busy_group_is_due_again_afterwards() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.commit("g", 500);
    assert!(bench.next().is_some());
    bench.commit("g", 510);
    assert_eq!(bench.next(), None, "it is being written");
    let nothing = Outcome::Written { committed: Vec::new(), foreign: Vec::new() };
    bench.board.finished(&"g".into(), nothing, bench.now);
    assert_eq!(bench.write(), due("g", (510, 410)));
}

#[test]
fn what_the_mirror_has_not_waits_for_it() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.commit("g", 1_200);
    assert_eq!(bench.write(), None);
    bench.mirror.as_mut().unwrap().mirrored = 1_300;
    bench.pass(Duration::ZERO);
    assert_eq!(bench.write(), due("g", (1_200, 1_100)));
    bench.commit("g", 1_400);
    assert_eq!(bench.write(), None);
    bench.pass(GROUP_HOLD);
    assert_eq!(bench.write(), due("g", (1_400, 1_200)), "the mirror's end");
    bench.mirror.as_mut().unwrap().mirrored = 1_350;
    bench.pass(Duration::ZERO);
    assert_eq!(bench.write(), None, "not with every step of the mirror");
    bench.pass(GROUP_HOLD);
    assert_eq!(bench.write(), due("g", (1_400, 1_250)));
    bench.mirror.as_mut().unwrap().mirrored = 1_500;
    bench.pass(Duration::ZERO);
    assert_eq!(bench.write(), due("g", (1_400, 1_300)), "there");
    bench.pass(GROUP_HOLD);
    assert_eq!(bench.write(), None);
}

#[test]
fn rewinds_can_be_ignored() {
    let mut bench = Bench::new(Rewinds::Ignore);
    bench.commit("g", 500);
    assert!(bench.write().is_some());
    bench.commit("g", 300);
    assert_eq!(bench.write(), None);
    bench.commit("g", 501);
    assert_eq!(bench.write(), due("g", (501, 401)));
}

#[test]
fn another_topic_of_the_name_is_another_topic() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.mirror.as_mut().unwrap().topic_id = Uuid([2; 16]);
    bench.commit("g", 500);
    assert_eq!(bench.write(), None);
    bench.mirror.as_mut().unwrap().topic_id = Uuid::default();
    bench.board.wake_all();
    assert!(bench.write().is_some(), "where ids are not known, names are");
}

#[test]
fn a_mirror_that_comes_later_is_looked_at_again() {
    let mut bench = Bench::new(Rewinds::Follow);
    let mirror = bench.mirror.take();
    bench.commit("g", 500);
    assert_eq!(bench.write(), None);
    bench.mirror = mirror;
    bench.board.wake_all();
    assert_eq!(bench.write(), due("g", (500, 400)));
}

#[test]
fn what_was_decided_late_does_not_undo_what_came_after() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.change("g", Some(500), 7);
    bench.change("g", Some(900), 3);
    assert_eq!(bench.write(), due("g", (500, 400)));
    bench.change("g", None, 3);
    assert_eq!(bench.board.totals(), (1, 1));
    bench.change("g", None, 8);
    assert_eq!(bench.board.totals().1, 0);
    assert_eq!(bench.write(), None, "an offset that expired says nothing");
    bench.change("g", Some(600), ASKED);
    assert_eq!(bench.write(), due("g", (600, 500)));
}

#[test]
fn a_group_that_lives_there_and_one_that_fails_are_tried_again_later() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.commit("g", 500);
    assert!(bench.next().is_some());
    let residents = Residents { lives_in_both: true, who: "somebody".to_owned() };
    bench.board.finished(&"g".into(), Outcome::LivesThere(residents), bench.now);
    assert_eq!(bench.board.living_there().count(), 1);
    bench.commit("g", 510);
    assert_eq!(bench.next(), None);
    bench.pass(GROUP_RETRY);
    assert!(bench.next().is_some());
    let failed = Outcome::Failed("no leader".to_owned());
    assert!(!bench.board.is_known(&"g".into(), &failed));
    bench.board.finished(&"g".into(), failed.clone(), bench.now);
    assert!(bench.board.is_known(&"g".into(), &failed), "it is said once");
    assert_eq!(bench.board.failed().count(), 1);
    assert_eq!(bench.next(), None);
    bench.pass(GROUP_RETRY);
    assert_eq!(bench.write(), due("g", (510, 410)));
    assert_eq!((bench.board.living_there().count(), bench.board.failed().count()), (0, 0));
}

#[test]
fn what_somebody_else_committed_is_looked_at_again_later() {
    let mut bench = Bench::new(Rewinds::Follow);
    bench.commit("g", 500);
    assert!(bench.next().is_some());
    let foreign = vec![(TopicPartition::new("orders", 0), 77)];
    let outcome = Outcome::Written { committed: Vec::new(), foreign };
    bench.board.finished(&"g".into(), outcome, bench.now);
    assert_eq!(bench.board.foreign().map(|(_, _, offset)| offset).collect::<Vec<_>>(), [77]);
    bench.commit("g", 510);
    assert_eq!(bench.next(), None);
    bench.pass(GROUP_RETRY);
    assert_eq!(bench.write(), due("g", (510, 410)));
    assert_eq!(bench.board.foreign().count(), 0);
}
