//! What a transactional id may become, case by case and at random.

use proptest::prelude::*;

use super::super::record::{value_bytes, value_of};
use super::*;

const MINUTE: i32 = 60_000;

fn request(expected: Option<Producer>, fresh_id: Option<i64>) -> InitRequest {
    InitRequest { timeout_ms: MINUTE, expected, fresh_id }
}

fn request_of(expected: Producer, fresh_id: i64) -> InitRequest {
    request(Some(expected), Some(fresh_id))
}

fn ready(init: Result<Init, ErrorCode>) -> Transaction {
    match init {
        Ok(Init::Ready(next)) => next,
        other => panic!("not ready: {other:?}"),
    }
}

fn begun() -> Transaction {
    ready(init(None, request(None, Some(5)), 100))
}

fn joined(transaction: &Transaction, client_version: i16) -> Transaction {
    let partitions = [("orders", 0), ("orders", 1)];
    match transaction.add(transaction.producer(), &partitions, client_version, 200) {
        Ok(Add::Joined(next)) => next,
        other => panic!("not joined: {other:?}"),
    }
}

fn end(
    transaction: &Transaction,
    producer: Producer,
    commit: bool,
    client_version: i16,
) -> Result<End, ErrorCode> {
    let request = EndRequest { producer, commit, client_version, fresh_id: None };
    transaction.end(request, 300)
}

fn prepared(transaction: &Transaction, commit: bool, client_version: i16) -> Transaction {
    match end(transaction, transaction.producer(), commit, client_version) {
        Ok(End::Prepared(next)) => next,
        other => panic!("not prepared: {other:?}"),
    }
}

#[test]
fn a_transaction_goes_from_empty_to_complete() {
    assert_eq!(init(None, request(None, None), 100), Ok(Init::NeedsProducerId));
    let empty = begun();
    assert_eq!((empty.producer(), empty.status), (Producer { id: 5, epoch: 0 }, Status::Empty));
    let open = joined(&empty, 0);
    assert_eq!((open.status, open.started_ms), (Status::Ongoing, 200));
    assert_eq!(open.topic_partitions().collect::<Vec<_>>(), [("orders", 0), ("orders", 1)]);
    assert_eq!(open.add(open.producer(), &[("orders", 1)], 0, 250), Ok(Add::Present));
    assert_eq!(open.verify(open.producer(), "orders", 1), Ok(()));
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(open.verify(open.producer(), "orders", 2), abortable);
    let committing = prepared(&open, true, 0);
    assert_eq!(committing.producer(), open.producer(), "the epoch stays, before KIP-890");
    let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
    let producer = committing.producer();
    assert_eq!(committing.verify(producer, "orders", 1), Err(concurrent));
    assert_eq!(end(&committing, producer, true, 0), Err(concurrent));
    assert_eq!(end(&committing, producer, false, 0), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(init(Some(&committing), request(None, None), 400), Err(concurrent));
    let committed = committing.completed(500);
    assert_eq!(committed.status, Status::CompleteCommit);
    assert_eq!(committed.partitions.len(), 0);
    assert_eq!(end(&committed, producer, true, 0), Ok(End::Already(producer)));
    assert_eq!(end(&committed, producer, false, 0), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(end(&empty, empty.producer(), true, 0), Err(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn who_begins_later_fences_who_began_before() {
    let open = joined(&begun(), 0);
    let zombie = open.producer();
    let Ok(Init::AbortFirst(aborting)) = init(Some(&open), request(None, None), 300) else {
        panic!("the open transaction is aborted first");
    };
    assert_eq!((aborting.status, aborting.epoch), (Status::PrepareAbort, 1));
    let aborted = aborting.completed(400);
    let begun = ready(init(Some(&aborted), request(None, None), 500));
    assert_eq!(begun.producer(), Producer { id: 5, epoch: 2 });
    let fenced = ErrorCode::PRODUCER_FENCED;
    assert_eq!(begun.add(zombie, &[("orders", 0)], 0, 600), Err(fenced));
    assert_eq!(end(&begun, zombie, true, 0), Err(fenced));
    assert_eq!(init(Some(&begun), request(Some(zombie), None), 600), Err(fenced));
    let stranger = Producer { id: 6, epoch: 0 };
    assert_eq!(init(Some(&begun), request(Some(stranger), None), 600), Err(fenced));
    let mapping = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(begun.add(stranger, &[("orders", 0)], 0, 600), Err(mapping));
    assert_eq!(end(&begun, stranger, true, 0), Err(mapping));
}

#[test]
fn a_producer_raises_its_own_epoch_and_may_ask_twice() {
    let empty = begun();
    let expected = Some(empty.producer());
    let raised = ready(init(Some(&empty), request(expected, None), 200));
    assert_eq!((raised.epoch, raised.last_epoch), (1, 0));
    let again = ready(init(Some(&raised), request(expected, None), 300));
    assert_eq!((again.epoch, again.last_epoch), (1, 0), "the first answer was lost");
    let other = ready(init(Some(&again), request(None, None), 400));
    let late = init(Some(&other), request(expected, None), 500);
    assert_eq!(late, Err(ErrorCode::PRODUCER_FENCED), "somebody else came in between");
}

#[test]
fn with_kip_890_every_end_raises_the_epoch() {
    let open = joined(&begun(), 2);
    let before = open.producer();
    let committing = prepared(&open, true, 2);
    let after = Producer { id: 5, epoch: 1 };
    assert_eq!(committing.producer(), after);
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(end(&committing, before, true, 2), concurrent, "it asks again");
    assert_eq!(end(&committing, after, true, 2), Err(ErrorCode::PRODUCER_FENCED));
    let committed = committing.completed(400);
    assert_eq!(end(&committed, before, true, 2), Ok(End::Already(after)));
    let older = end(&committed, before, true, 0);
    assert_eq!(older, Err(ErrorCode::PRODUCER_FENCED), "it does not know of raised epochs");
    assert_eq!(end(&committed, before, false, 2), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(end(&committed, after, true, 2), Err(ErrorCode::INVALID_TXN_STATE));
    let aborting = prepared(&committed, false, 2);
    assert_eq!((aborting.epoch, aborting.started_ms), (2, 300), "nothing was to be aborted");
    let empty = ready(init(Some(&committed), request(None, None), 500));
    assert_eq!(prepared(&empty, false, 2).epoch, 3);
    let nothing = end(&empty, empty.producer(), true, 2);
    assert_eq!(nothing, Err(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn who_is_past_the_timeout_may_go_on_unless_replaced() {
    let open = joined(&begun(), 2);
    assert!(!open.is_overdue(200 + i64::from(MINUTE)));
    assert!(open.is_overdue(201 + i64::from(MINUTE)));
    let aborted = open.fenced(70_000).completed(70_001);
    assert!(!aborted.is_overdue(i64::MAX));
    let late = Some(open.producer());
    let on = ready(init(Some(&aborted), request(late, None), 80_000));
    assert_eq!(on.epoch, 1);
    assert_eq!(end(&aborted, open.producer(), true, 2), Err(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn exhausted_epochs_take_a_new_producer_id() {
    let last = Transaction { epoch: i16::MAX - 1, ..begun() };
    assert_eq!(init(Some(&last), request(None, None), 200), Ok(Init::NeedsProducerId));
    let rotated = ready(init(Some(&last), request(Some(last.producer()), Some(9)), 200));
    assert_eq!(rotated.producer(), Producer { id: 9, epoch: 0 });
    let again = init(Some(&rotated), request(Some(last.producer()), None), 300);
    assert_eq!(ready(again).producer(), rotated.producer(), "the answer was lost");
    // With KIP-890, at the end of a transaction.
    let open = joined(&last, 2);
    assert_eq!(end(&open, open.producer(), true, 2), Ok(End::NeedsProducerId));
    let request = EndRequest {
        producer: open.producer(),
        commit: true,
        client_version: 2,
        fresh_id: Some(9),
    };
    let Ok(End::Prepared(committing)) = open.end(request, 300) else { panic!("not prepared") };
    assert_eq!(committing.producer(), Producer { id: 5, epoch: i16::MAX }, "what markers have");
    let committed = committing.completed(400);
    assert_eq!(committed.producer(), Producer { id: 9, epoch: 0 });
    let already = end(&committed, open.producer(), true, 2);
    assert_eq!(already, Ok(End::Already(committed.producer())), "the answer was lost");
    // An open transaction can be fenced all the same, and nobody speaks under that epoch.
    let fenced = open.fenced(300).completed(400);
    assert_eq!(fenced.epoch, i16::MAX);
    let fencing = ErrorCode::PRODUCER_FENCED;
    assert_eq!(fenced.add(fenced.producer(), &[("orders", 0)], 2, 500), Err(fencing));
    assert_eq!(end(&fenced, open.producer(), false, 2), Err(fencing));
    let on = ready(init(Some(&fenced), request_of(open.producer(), 9), 500));
    assert_eq!(on.producer(), Producer { id: 9, epoch: 0 });
}

#[test]
fn only_idle_ids_are_forgotten() {
    let empty = begun();
    assert!(empty.is_unused_since(100) && !empty.is_unused_since(99));
    assert!(!joined(&empty, 0).is_unused_since(i64::MAX));
    assert!(!prepared(&joined(&empty, 0), true, 0).is_unused_since(i64::MAX));
}

/// Something that happens to an id; producers are named by how many came before them.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A new producer begins.
    Begin,
    /// A producer that was told who it is asks for a higher epoch.
    BeginAgain(usize),
    Add(usize, i32, bool),
    End {
        who: usize,
        commit: bool,
        raises: bool,
    },
    TimeOut,
    Complete,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Begin),
        1 => (0_usize..3).prop_map(Event::BeginAgain),
        4 => (0_usize..3, 0..3, any::<bool>())
            .prop_map(|(who, at, raises)| Event::Add(who, at, raises)),
        4 => (0_usize..3, any::<bool>(), any::<bool>())
            .prop_map(|(who, commit, raises)| Event::End { who, commit, raises }),
        1 => Just(Event::TimeOut),
        4 => Just(Event::Complete),
    ]
}

/// What the events made of an id.
struct Run {
    current: Transaction,
    /// Who was told to be whom, the latest first; before the latest `Begin` they are fenced.
    told: Vec<Producer>,
    /// How many of `told`, from the first, came since then.
    since_begin: usize,
    next_id: i64,
    /// The transaction that is being ended is so at its producer's wish.
    is_wished: bool,
}

impl Run {
    fn apply(&mut self, event: Event, now_ms: i64) -> Option<Transaction> {
        let fresh_id = Some(self.next_id);
        let version = |raises| if raises { RAISES_EPOCHS } else { 0 };
        let next = match event {
            Event::Begin => self.init(request(None, fresh_id), now_ms),
            Event::BeginAgain(who) => {
                let expected = *self.told.get(who)?;
                self.init(request(Some(expected), fresh_id), now_ms)
            }
            Event::Add(who, index, raises) => {
                let producer = *self.told.get(who)?;
                match self.current.add(producer, &[("t", index)], version(raises), now_ms) {
                    Ok(Add::Joined(next)) => Some(next),
                    _ => None,
                }
            }
            Event::End { who, commit, raises } => {
                let producer = *self.told.get(who)?;
                let client_version = version(raises);
                let request = EndRequest { producer, commit, client_version, fresh_id };
                match self.current.end(request, now_ms) {
                    Ok(End::Prepared(next)) => Some(next),
                    _ => None,
                }
            }
            Event::TimeOut => {
                let is_open = self.current.status == Status::Ongoing;
                is_open.then(|| self.current.fenced(now_ms))
            }
            Event::Complete => {
                let is_prepared = self.current.status.is_prepared();
                is_prepared.then(|| self.current.completed(now_ms))
            }
        }?;
        self.next_id += 1;
        if matches!(event, Event::Begin) && next.status == Status::Empty {
            self.since_begin = 0;
        }
        match event {
            Event::End { .. } => self.is_wished = true,
            Event::Complete => {}
            _ => self.is_wished = false,
        }
        let is_ended = matches!(event, Event::Complete) && self.is_wished;
        let answers = next.status == Status::Empty || is_ended;
        if answers && self.told.first() != Some(&next.producer()) {
            self.told.insert(0, next.producer());
            self.since_begin += 1;
        }
        Some(next)
    }

    fn init(&self, request: InitRequest, now_ms: i64) -> Option<Transaction> {
        match init(Some(&self.current), request, now_ms) {
            Ok(Init::Ready(next) | Init::AbortFirst(next)) => Some(next),
            _ => None,
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_older_producers_stay_fenced(
        events in prop::collection::vec(event(), 1..60),
        epoch in prop_oneof![Just(0_i16), (i16::MAX - 6)..(i16::MAX - 1)],
    ) {
        let current = Transaction { epoch, ..begun() };
        let told = vec![current.producer()];
        let mut run = Run { current, told, since_begin: 1, next_id: 100, is_wished: false };
        for (now_ms, event) in (1_000..).zip(events) {
            let before = run.current.clone();
            let Some(next) = run.apply(event, now_ms) else { continue };
            let rank = |of: &Transaction| (of.producer_id, of.epoch);
            prop_assert!(rank(&next) >= rank(&before), "{event:?}: {before:?} → {next:?}");
            prop_assert!(next.epoch >= 0);
            prop_assert!(next.status != Status::Ongoing || next.epoch < i16::MAX);
            prop_assert_eq!(next.started_ms >= 0 || next.status == Status::Empty, true);
            if next.status.is_prepared() {
                prop_assert_eq!(&next.partitions, &before.partitions);
            } else if next.status != Status::Ongoing {
                prop_assert!(next.partitions.is_empty());
            }
            let stored = value_of(value_bytes(&next).expect("it fits")).expect("it reads");
            prop_assert_eq!(&stored, &Transaction { last_epoch: -1, ..next.clone() });
            run.current = next;
            for &zombie in &run.told[run.since_begin..] {
                let add = run.current.add(zombie, &[("t", 0)], 0, now_ms);
                prop_assert!(add.is_err(), "{zombie:?} may add to {:?}", run.current);
                let commit = EndRequest {
                    producer: zombie, commit: true, client_version: 2, fresh_id: Some(1),
                };
                let end = run.current.end(commit, now_ms);
                prop_assert!(!matches!(end, Ok(End::Prepared(_))), "{zombie:?} commits");
            }
        }
    }
}
