//! The machine without clients: who gets what, in which order.

use proptest::prelude::*;

use super::*;

const RULES: ConsumerRules =
    ConsumerRules { session_timeout_ms: 10_000, heartbeat_interval_ms: 1_000, members_max: 4 };
const TOPIC: Uuid = Uuid([7; 16]);
const OTHER: Uuid = Uuid([8; 16]);

fn at(elapsed_ms: i64) -> Now {
    Now { elapsed_ms, wall_ms: 1_700_000_000_000 + elapsed_ms }
}

fn find(name: &str) -> Option<(Uuid, i32)> {
    match name {
        "topic" => Some((TOPIC, 4)),
        "other" => Some((OTHER, 2)),
        _ => None,
    }
}

/// The topics above.
struct Made;

impl Topics for Made {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        find(name)
    }

    fn matching(&self, pattern: &NamePattern) -> BTreeSet<String> {
        Only(&["topic", "other"]).matching(pattern)
    }
}

/// Some of them.
struct Only(&'static [&'static str]);

impl Topics for Only {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        find(name).filter(|_| self.0.contains(&name))
    }

    fn matching(&self, pattern: &NamePattern) -> BTreeSet<String> {
        self.0.iter().filter(|name| pattern.matches(name)).map(|&name| name.to_owned()).collect()
    }
}

fn joins(member: &str, instance: Option<&str>) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        member_id: member.to_owned(),
        epoch: 0,
        instance_id: instance.map(str::to_owned),
        rack_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: Some(5_000),
        topics: Some(BTreeSet::from(["topic".to_owned()])),
        pattern: None,
        assignor: None,
        owned: Some(Partitions::new()),
    }
}

fn stays(member: &str, epoch: i32, owned: Option<&[i32]>) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        epoch,
        rebalance_timeout_ms: None,
        topics: None,
        pattern: None,
        owned: owned.map(partitions),
        ..joins(member, None)
    }
}

fn partitions(indexes: &[i32]) -> Partitions {
    indexes.iter().map(|&index| (TOPIC, index)).collect()
}

fn group() -> ConsumerGroup {
    ConsumerGroup::new(RULES, at(0))
}

fn beat(group: &mut ConsumerGroup, request: &ConsumerHeartbeat) -> ConsumerOutcome {
    group.heartbeat(request, &Made, at(0)).expect("nothing is wrong with it")
}

fn refused(group: &mut ConsumerGroup, request: &ConsumerHeartbeat) -> ErrorCode {
    group.heartbeat(request, &Made, at(0)).expect_err("it is refused").0
}

#[test]
fn what_a_newcomer_gets_is_given_up_first() {
    let mut group = group();
    let alone = beat(&mut group, &joins("a", None));
    let mine = alone.assignment.expect("a full answer");
    assert_eq!(mine, partitions(&[0, 1, 2, 3]));
    let second = beat(&mut group, &joins("b", None));
    assert_eq!(second.assignment, Some(Partitions::new()), "nothing is free yet");
    assert_eq!(group.state_name(), "Reconciling");
    // It is told what to keep, and stays in its epoch until it has given up the rest.
    let told = beat(&mut group, &stays("a", alone.epoch, None));
    let kept = told.assignment.expect("less than before");
    assert_eq!((told.epoch, kept.len()), (alone.epoch, 2));
    let waits = beat(&mut group, &stays("b", second.epoch, None));
    assert_eq!(waits.assignment, None);
    let owned: Vec<i32> = kept.iter().map(|&(_, index)| index).collect();
    let done = beat(&mut group, &stays("a", alone.epoch, Some(&owned)));
    assert_eq!(done.epoch, second.epoch);
    let got = beat(&mut group, &stays("b", second.epoch, None)).assignment.expect("the rest");
    assert!(got.is_disjoint(&kept) && got.len() == 2);
    assert_eq!(group.state_name(), "Stable");
    // When the first leaves, the second gets all, in a later epoch.
    let left = beat(&mut group, &ConsumerHeartbeat { epoch: LEAVES, ..stays("a", 0, None) });
    assert_eq!(left.epoch, LEAVES);
    let all = beat(&mut group, &stays("b", second.epoch, None));
    assert_eq!(all.assignment, Some(partitions(&[0, 1, 2, 3])));
    assert!(all.epoch > second.epoch);
}

#[test]
fn a_pattern_follows_the_topics() {
    let mut group = group();
    let with = |pattern: &str| Some(pattern.to_owned());
    let joins = ConsumerHeartbeat { topics: None, pattern: with("t.*|o.*"), ..joins("a", None) };
    let assigned = |outcome: ConsumerOutcome| outcome.assignment.map(|parts| parts.len());
    let first = group.heartbeat(&joins, &Only(&["topic"]), at(0)).expect("it is let in");
    assert_eq!((first.epoch, assigned(first.clone())), (2, Some(4)));
    let beat = |group: &mut ConsumerGroup, request: &ConsumerHeartbeat, elapsed_ms| {
        group.heartbeat(request, &Made, at(elapsed_ms)).expect("nothing is wrong with it")
    };
    // Looked up not too often.
    let early = beat(&mut group, &stays("a", 2, None), 9_999);
    assert_eq!((early.epoch, early.assignment), (2, None));
    let later = beat(&mut group, &stays("a", 2, None), 10_000);
    assert_eq!((later.epoch, assigned(later)), (3, Some(6)));
    // As the log has it.
    let written = group.changes("group").unwrap();
    let written = written.into_iter().map(|(key, value)| (key, value.unwrap())).collect();
    let mut group = ConsumerGroup::from_records(written, RULES, at(0)).unwrap().unwrap();
    assert_eq!(group.subscribed_topics().len(), 2);
    // Names in its place, and the pattern is forgotten.
    let topics = Some(BTreeSet::from(["other".to_owned()]));
    let names = ConsumerHeartbeat { topics, pattern: with(""), ..stays("a", 3, None) };
    beat(&mut group, &names, 0);
    assert_eq!(group.subscribed_topics().len(), 1);
    let is_pattern = |key: &Key| matches!(key, Key::Pattern { .. });
    let changes = group.changes("group").unwrap();
    assert!(changes.iter().any(|(key, value)| is_pattern(key) && value.is_none()));
}

#[test]
fn epochs_fence() {
    let mut group = group();
    assert_eq!(refused(&mut group, &stays("a", 1, None)), ErrorCode::UNKNOWN_MEMBER_ID);
    let epoch = beat(&mut group, &joins("a", None)).epoch;
    let later = stays("a", epoch + 1, None);
    assert_eq!(refused(&mut group, &later), ErrorCode::FENCED_MEMBER_EPOCH);
    let other = BTreeSet::from(["other".to_owned()]);
    let changed = ConsumerHeartbeat { topics: Some(other), ..stays("a", epoch, Some(&[])) };
    let newer = beat(&mut group, &changed).epoch;
    assert!(newer > epoch);
    let repeated = beat(&mut group, &stays("a", epoch, Some(&[])));
    assert_eq!(repeated.epoch, newer, "the answer was lost, and nothing with it");
    let older = stays("a", epoch, Some(&[0]));
    assert_eq!(refused(&mut group, &older), ErrorCode::FENCED_MEMBER_EPOCH);
    let commit =
        |epoch| Committer { member_id: "a".to_owned(), generation: epoch, ..Committer::default() };
    assert_eq!(group.check_commit(&commit(newer)), Ok(()));
    assert_eq!(group.check_commit(&commit(epoch)), Err(ErrorCode::STALE_MEMBER_EPOCH));
    let in_transaction = Committer { is_transactional: true, ..commit(epoch) };
    assert_eq!(group.check_commit(&in_transaction), Err(ErrorCode::ILLEGAL_GENERATION));
}

#[test]
fn a_static_member_that_comes_back_gets_its_place() {
    let mut group = group();
    let epoch = beat(&mut group, &joins("a", Some("one"))).epoch;
    let early = refused(&mut group, &joins("b", Some("one")));
    assert_eq!(early, ErrorCode::UNRELEASED_INSTANCE_ID);
    let leaves = ConsumerHeartbeat {
        instance_id: Some("one".to_owned()),
        ..stays("a", LEAVES_FOR_A_WHILE, None)
    };
    assert_eq!(beat(&mut group, &leaves).epoch, LEAVES_FOR_A_WHILE);
    let back = beat(&mut group, &joins("b", Some("one")));
    assert_eq!(back.epoch, epoch, "nobody else had to move");
    assert_eq!(back.assignment, Some(partitions(&[0, 1, 2, 3])));
    let former =
        ConsumerHeartbeat { instance_id: Some("one".to_owned()), ..stays("a", epoch, None) };
    assert_eq!(refused(&mut group, &former), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn who_is_silent_or_holds_on_is_put_out() {
    let mut group = group();
    let epoch = beat(&mut group, &joins("a", None)).epoch;
    beat(&mut group, &joins("b", None));
    beat(&mut group, &stays("a", epoch, None));
    assert_eq!(group.next_deadline_ms(), Some(5_000), "it has to give up two partitions");
    group.expire(at(5_000));
    assert_eq!(group.members().keys().collect::<Vec<_>>(), ["b"]);
    group.expire(at(10_000));
    assert_eq!((group.is_vacant(), group.state_name()), (true, "Empty"));
}

#[test]
fn a_group_is_read_back_as_it_was_written() {
    let mut group = group();
    let epoch = beat(&mut group, &joins("a", Some("one"))).epoch;
    beat(&mut group, &joins("b", None));
    let with_instance =
        ConsumerHeartbeat { instance_id: Some("one".to_owned()), ..stays("a", epoch, None) };
    beat(&mut group, &with_instance);
    let changes = group.changes("group").unwrap();
    group.have_written(changes.clone());
    assert!(group.changes("group").unwrap().is_empty());
    let records = changes.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let again = ConsumerGroup::from_records(records.collect(), RULES, at(0)).unwrap().unwrap();
    assert_eq!(again.members(), group.members());
    assert_eq!((again.target, again.epoch), (group.target, group.epoch));
    assert!(ConsumerGroup::from_records(BTreeMap::new(), RULES, at(0)).unwrap().is_none());
}

#[test]
fn the_assignor_is_what_most_ask_for() {
    let mut group = group();
    let with = |member, assignor| ConsumerHeartbeat { assignor, ..joins(member, None) };
    beat(&mut group, &with("a", None));
    assert_eq!(group.assignor(), Assignor::Uniform);
    beat(&mut group, &with("b", Some(Assignor::Range)));
    assert_eq!(group.assignor(), Assignor::Range);
    assert_eq!(group.target_of("a"), partitions(&[0, 1]), "neighbours, in the order of ids");
    beat(&mut group, &with("c", Some(Assignor::Uniform)));
    assert_eq!(group.assignor(), Assignor::Uniform, "the first of equals");
}

#[derive(Clone, Debug)]
enum Step {
    Join(usize, bool),
    /// Says what it owns, or not.
    Beat(usize, bool),
    Leave(usize),
    Subscribe(usize, bool),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_usize, any::<bool>()).prop_map(|(at, range)| Step::Join(at, range)),
        (0..4_usize, any::<bool>()).prop_map(|(at, says)| Step::Beat(at, says)),
        (0..4_usize, any::<bool>()).prop_map(|(at, says)| Step::Beat(at, says)),
        (0..4_usize).prop_map(Step::Leave),
        (0..4_usize, any::<bool>()).prop_map(|(at, both)| Step::Subscribe(at, both)),
        (0..4_000_i64).prop_map(Step::Wait),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #[test]
    fn no_partition_is_ever_held_twice_and_in_the_end_all_are_held(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut group = group();
        let mut elapsed_ms = 0;
        // What each client has heard: its epoch, and what it owns.
        let mut clients: BTreeMap<&str, (i32, Partitions)> = BTreeMap::new();
        let last = (0..12).flat_map(|_| (0..4).map(|at| Step::Beat(at, true)));
        for step in steps.into_iter().chain(last) {
            let (name, request) = match step {
                Step::Wait(ms) => {
                    elapsed_ms += ms;
                    group.expire(at(elapsed_ms));
                    continue;
                }
                Step::Join(at, range) => {
                    let assignor = range.then_some(Assignor::Range);
                    (NAMES[at], ConsumerHeartbeat { assignor, ..joins(NAMES[at], None) })
                }
                Step::Beat(at, _) | Step::Leave(at) | Step::Subscribe(at, _) => {
                    let name = NAMES[at];
                    let Some((epoch, owned)) = clients.get(name) else { continue };
                    let mut request = stays(name, *epoch, None);
                    match step {
                        Step::Beat(_, true) => request.owned = Some(owned.clone()),
                        Step::Leave(_) => request.epoch = LEAVES,
                        Step::Subscribe(_, both) => {
                            let names = ["topic", "other"].into_iter().take(1 + usize::from(both));
                            request.topics = Some(names.map(str::to_owned).collect());
                        }
                        _ => {}
                    }
                    (name, request)
                }
            };
            if request.epoch == 0 {
                clients.insert(name, (0, Partitions::new()));
            }
            match group.heartbeat(&request, &Made, at(elapsed_ms)) {
                Ok(outcome) if outcome.epoch < 0 => drop(clients.remove(name)),
                Ok(outcome) => {
                    let client = clients.entry(name).or_default();
                    client.0 = outcome.epoch;
                    if let Some(assignment) = outcome.assignment {
                        client.1 = assignment;
                    }
                }
                // It gives up everything, and would join again.
                Err(_) => drop(clients.remove(name)),
            }
            let held = group.members().values().flat_map(|member| {
                member.assigned.iter().chain(&member.pending_revocation)
            });
            let held: Vec<_> = held.collect();
            let different: BTreeSet<_> = held.iter().copied().collect();
            prop_assert_eq!(held.len(), different.len());
        }
        // All have said many times what they own: everything is where it should be.
        let alive: Vec<_> = group.members().keys().cloned().collect();
        if alive.iter().all(|id| clients.contains_key(id.as_str())) && !alive.is_empty() {
            prop_assert_eq!(group.state_name(), "Stable");
            let assigned: Partitions =
                group.members().values().flat_map(|member| member.assigned.clone()).collect();
            let names = group.subscribed_topics();
            let wanted: i32 = names.iter().map(|name| find(name).unwrap().1).sum();
            prop_assert_eq!(i32::try_from(assigned.len()).unwrap(), wanted);
        }
    }
}
