//! The machine without clients: what it answers, and when.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use proptest::prelude::*;

use super::*;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 30_000;

/// A group with a clock that is set by hand, and what it has answered so far.
struct Bench {
    group: ClassicGroup,
    now: Now,
    last_waiter: u64,
    joins: BTreeMap<Waiter, JoinGroupResponse>,
    syncs: BTreeMap<Waiter, SyncGroupResponse>,
    persisted: usize,
}

fn at(elapsed_ms: i64) -> Now {
    Now { elapsed_ms, wall_ms: 1_700_000_000_000 + elapsed_ms }
}

impl Bench {
    fn new(initial_rebalance_delay_ms: i64) -> Self {
        let rules = Rules { initial_rebalance_delay_ms, members_max: 4 };
        Self {
            group: ClassicGroup::new(rules, at(0)),
            now: at(0),
            last_waiter: 0,
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            persisted: 0,
        }
    }

    fn take(&mut self, effects: Effects) {
        self.persisted += usize::from(effects.persist);
        for answer in effects.answers {
            let twice = match answer {
                Answer::Join(waiter, join) => self.joins.insert(waiter, join).is_some(),
                Answer::Sync(waiter, sync) => self.syncs.insert(waiter, sync).is_some(),
            };
            assert!(!twice, "nobody is answered twice");
        }
    }

    fn waiter(&mut self) -> Waiter {
        self.last_waiter += 1;
        Waiter(self.last_waiter)
    }

    fn join_as(&mut self, member_id: &str, instance: Option<&str>, protocols: &[&str]) -> Waiter {
        let waiter = self.waiter();
        let protocol = |name: &&str| Protocol {
            name: (*name).to_owned(),
            metadata: Bytes::copy_from_slice(name.as_bytes()),
        };
        let join = Join {
            waiter,
            member_id: member_id.to_owned(),
            new_member_id: format!("m{}", waiter.0),
            instance_id: instance.map(str::to_owned),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".to_owned(),
            protocols: protocols.iter().map(protocol).collect(),
            requires_known_member_id: false,
            can_skip_assignment: true,
        };
        let mut effects = Effects::default();
        self.group.join(join, self.now, &mut effects);
        self.take(effects);
        waiter
    }

    fn join(&mut self, member_id: &str) -> Waiter {
        self.join_as(member_id, None, &["range"])
    }

    fn sync(&mut self, member_id: &str, generation: i32, given: &[(&str, &str)]) -> Waiter {
        let waiter = self.waiter();
        let given = given.iter().map(|(id, assignment)| {
            ((*id).to_owned(), Bytes::copy_from_slice(assignment.as_bytes()))
        });
        let sync = Sync {
            waiter,
            member_id: member_id.to_owned(),
            instance_id: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: given.collect(),
        };
        let mut effects = Effects::default();
        self.group.sync(sync, self.now, &mut effects);
        self.take(effects);
        waiter
    }

    fn leave(&mut self, member_id: &str) -> Vec<ErrorCode> {
        let member_id = member_id.to_owned();
        let leaving = [MemberIdentity { member_id, ..MemberIdentity::default() }];
        let mut effects = Effects::default();
        let outcomes = self.group.leave(&leaving, self.now, &mut effects);
        self.take(effects);
        outcomes
    }

    fn heartbeat(&mut self, member_id: &str) -> Result<(), ErrorCode> {
        let generation = self.group.generation;
        self.group.heartbeat(member_id, None, generation, self.now)
    }

    fn wait(&mut self, ms: i64) {
        self.now = at(self.now.elapsed_ms + ms);
        let mut effects = Effects::default();
        self.group.expire(self.now, &mut effects);
        self.take(effects);
    }

    /// A stable group of two: m1 leads, m2 follows.
    fn of_two() -> Self {
        let mut bench = Self::new(0);
        bench.join("");
        bench.join("");
        bench.join("m1");
        let generation = bench.group.generation;
        bench.sync("m2", generation, &[]);
        bench.sync("m1", generation, &[("m1", "a"), ("m2", "b")]);
        assert_eq!(bench.group.state(), State::Stable);
        bench
    }
}

#[test]
fn a_group_settles_when_all_have_joined_and_the_leader_has_assigned() {
    let mut bench = Bench::new(0);
    let alone = bench.join("");
    assert_eq!((bench.joins[&alone].generation_id, &*bench.joins[&alone].leader), (1, "m1"));
    let second = bench.join("");
    assert!(!bench.joins.contains_key(&second), "the first one has to come again");
    assert_eq!(bench.heartbeat("m1"), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let again = bench.join("m1");
    let (first, second) = (bench.joins[&again].clone(), bench.joins[&second].clone());
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0), "the leader knows them");
    let waiting = bench.sync("m2", 2, &[]);
    assert!(!bench.syncs.contains_key(&waiting));
    assert_eq!(bench.persisted, 0);
    bench.sync("m1", 2, &[("m1", "a"), ("m2", "b")]);
    assert_eq!(&bench.syncs[&waiting].assignment[..], b"b");
    assert_eq!((bench.group.state(), bench.persisted), (State::Stable, 1));
    let late = bench.sync("m2", 1, &[]);
    assert_eq!(bench.syncs[&late].error_code, ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn a_generation_that_was_not_written_is_begun_again() {
    let mut bench = Bench::of_two();
    let generation = bench.group.generation;
    let mut effects = Effects::default();
    bench.group.not_written(generation - 1, bench.now, &mut effects);
    assert_eq!(bench.group.state(), State::Stable, "the log has a later one");
    bench.group.not_written(generation, bench.now, &mut effects);
    bench.take(effects);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    assert!(bench.group.members().values().all(|member| member.assignment.is_empty()));
    assert_eq!(bench.heartbeat("m1"), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let (first, second) = (bench.join("m1"), bench.join("m2"));
    for waiter in [first, second] {
        assert_eq!(bench.joins[&waiter].generation_id, generation + 1);
    }
    // Who does not come is not waited for for ever.
    let mut bench = Bench::of_two();
    let mut effects = Effects::default();
    bench.group.not_written(generation, bench.now, &mut effects);
    bench.take(effects);
    assert_eq!(bench.group.next_deadline_ms(), Some(bench.now.elapsed_ms + i64::from(SESSION_MS)));
}

#[test]
fn the_protocol_is_one_that_all_know_and_most_like_best() {
    let mut bench = Bench::new(1_000);
    bench.join_as("", None, &["range", "sticky", "robin"]);
    bench.join_as("", None, &["sticky", "range"]);
    let third = bench.join_as("", None, &["sticky", "range"]);
    let stranger = bench.join_as("", None, &["robin"]);
    let refused = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(bench.joins[&stranger].error_code, refused);
    // Once more because others came meanwhile.
    bench.wait(1_000);
    assert_eq!(bench.joins.len(), 1);
    bench.wait(1_000);
    assert_eq!(bench.joins[&third].protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn the_initial_delay_ends() {
    let mut bench = Bench::new(REBALANCE_MS.into());
    bench.join("");
    bench.wait(REBALANCE_MS.into());
    assert_eq!(bench.group.state(), State::CompletingRebalance);
}

#[test]
fn who_does_not_come_again_in_time_is_left_behind() {
    let mut bench = Bench::of_two();
    let again = bench.join("m1");
    bench.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(bench.heartbeat("m2"), Err(ErrorCode::REBALANCE_IN_PROGRESS), "alive but late");
    for _ in 0..4 {
        bench.wait(i64::from(SESSION_MS) - 1);
        let _late = bench.heartbeat("m2");
    }
    assert_eq!(bench.joins[&again].members.len(), 1);
    assert_eq!(bench.heartbeat("m2"), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_silent_member_is_put_out_and_the_others_are_called() {
    let mut bench = Bench::of_two();
    bench.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(bench.heartbeat("m2"), Ok(()));
    bench.wait(1);
    assert_eq!(bench.heartbeat("m1"), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(bench.heartbeat("m2"), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let again = bench.join("m2");
    assert_eq!(bench.joins[&again].leader, "m2", "who has come leads");
    bench.leave("m2");
    assert_eq!((bench.group.state(), bench.group.to_value().leader), (State::Empty, None));
}

#[test]
fn who_joined_and_never_asks_for_its_assignment_is_put_out() {
    let mut bench = Bench::of_two();
    bench.join("m1");
    bench.join("m2");
    let generation = bench.group.generation;
    bench.sync("m1", generation, &[]);
    for _ in 0..4 {
        bench.wait(i64::from(SESSION_MS) - 1);
        let _alive = (bench.heartbeat("m1"), bench.heartbeat("m2"));
    }
    assert_eq!(bench.heartbeat("m2"), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(bench.heartbeat("m1"), Err(ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn a_static_member_is_replaced_without_a_rebalance() {
    let mut bench = Bench::new(0);
    let first = bench.join_as("", Some("one"), &["range"]);
    bench.sync("m1", 1, &[("m1", "a")]);
    let second = bench.join_as("", Some("one"), &["range"]);
    let (old, new) = (&bench.joins[&first], &bench.joins[&second]);
    assert_eq!((old.generation_id, new.generation_id), (1, 1));
    assert!(new.skip_assignment, "it leads, and the assignment stands");
    let member_id = new.member_id.clone();
    assert_eq!(bench.persisted, 2);
    let synced = bench.sync(&member_id, 1, &[]);
    assert_eq!(&bench.syncs[&synced].assignment[..], b"a");
    let fenced = bench.group.heartbeat("m1", Some("one"), 1, bench.now);
    assert_eq!(fenced, Err(ErrorCode::FENCED_INSTANCE_ID));
    let other = bench.join_as("", Some("one"), &["sticky"]);
    assert_eq!(bench.joins[&other].error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn ids_that_are_not_used_are_forgotten() {
    let mut bench = Bench::new(0);
    let waiter = bench.waiter();
    let mut effects = Effects::default();
    let join = Join {
        waiter,
        member_id: String::new(),
        new_member_id: "m1".to_owned(),
        instance_id: None,
        client_id: String::new(),
        client_host: String::new(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::new() }],
        requires_known_member_id: true,
        can_skip_assignment: false,
    };
    bench.group.join(join, bench.now, &mut effects);
    bench.take(effects);
    assert_eq!(bench.joins[&waiter].error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(!bench.group.is_vacant());
    bench.wait(SESSION_MS.into());
    assert!(bench.group.is_vacant());
    let late = bench.join("m1");
    assert_eq!(bench.joins[&late].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn what_is_written_is_read_back() {
    let bench = Bench::of_two();
    let value = bench.group.to_value();
    let rules = Rules { initial_rebalance_delay_ms: 0, members_max: 4 };
    let again = ClassicGroup::from_value(value.clone(), rules, bench.now);
    assert_eq!((again.state(), again.to_value()), (State::Stable, value));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(usize),
    JoinAnew(bool),
    Sync(usize),
    Leave(usize),
    Heartbeat(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_usize).prop_map(Step::Join),
        any::<bool>().prop_map(Step::JoinAnew),
        (0..6_usize).prop_map(Step::Sync),
        (0..6_usize).prop_map(Step::Leave),
        (0..6_usize).prop_map(Step::Heartbeat),
        (0..20_000_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_everybody_is_answered_and_one_leads(
        delay_ms in prop_oneof![Just(0), Just(3_000)],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut bench = Bench::new(delay_ms);
        let (mut joins, mut syncs) = (Vec::new(), Vec::new());
        let mut generation = 0;
        for step in steps {
            let ids: Vec<String> = bench.group.members.keys().cloned().collect();
            let id = |index: usize| ids.get(index % ids.len().max(1)).cloned().unwrap_or_default();
            match step {
                Step::Join(index) => joins.push(bench.join(&id(index))),
                Step::JoinAnew(is_static) => {
                    let instance = is_static.then_some("one");
                    joins.push(bench.join_as("", instance, &["range"]));
                }
                Step::Sync(index) => syncs.push(bench.sync(&id(index), generation, &[])),
                Step::Leave(index) => drop(bench.leave(&id(index))),
                Step::Heartbeat(index) => drop(bench.heartbeat(&id(index))),
                Step::Wait(ms) => bench.wait(ms),
            }
            prop_assert!(bench.group.generation >= generation);
            generation = bench.group.generation;
            prop_assert!(bench.group.members.len() <= 4);
            let leads = bench.group.leader.as_ref();
            prop_assert!(leads.is_none_or(|id| bench.group.members.contains_key(id)));
            prop_assert_eq!(leads.is_none(), bench.group.members.is_empty());
            let value = bench.group.to_value();
            prop_assert_eq!(ClassicValue::from_bytes(value.to_bytes().unwrap()), Ok(value));
        }
        // With nobody alive any more all is over soon.
        for _ in 0..20 {
            bench.wait(60_000);
        }
        prop_assert_eq!(bench.group.state(), State::Empty);
        prop_assert_eq!(bench.group.next_deadline_ms(), None);
        prop_assert!(joins.iter().all(|waiter| bench.joins.contains_key(waiter)));
        prop_assert!(syncs.iter().all(|waiter| bench.syncs.contains_key(waiter)));
        let mut leaders = BTreeMap::new();
        for join in bench.joins.values().filter(|join| join.error_code == ErrorCode::NONE) {
            if join.members.is_empty() {
                continue;
            }
            let first = leaders.entry(join.generation_id).or_insert_with(|| join.leader.clone());
            // Two may lead one generation one after the other only if they are one instance.
            let same = *first == join.leader || join.skip_assignment;
            prop_assert!(same, "{} and {} lead {}", first, join.leader, join.generation_id);
        }
    }
}
