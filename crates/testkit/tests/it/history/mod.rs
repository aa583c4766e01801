//! The generator's account, the reader and the checker against a real broker; and that the checker
//! finds every fault that is planted into copies of real logs.

// Set-up shared by tests: a failure there is a failed test.
#![allow(clippy::unwrap_used)]

mod copier;

use std::time::{SystemTime, UNIX_EPOCH};

use farlog_testkit::history::account::Outcome;
use farlog_testkit::history::batch::Stamp;
use farlog_testkit::history::checker::{Extent, Fault, check};
use farlog_testkit::history::generator::{Generator, GeneratorOptions, TopicKind, TopicPlan};
use farlog_testkit::history::plant::Planted;
use farlog_testkit::history::random::Random;
use farlog_testkit::history::reader::{PartitionLog, read_partition};
use farlog_testkit::history::record::LogRecord;
use farlog_testkit::history::{Producer, Session};
use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, SharedKafka};

static KAFKA: SharedKafka = SharedKafka::new(|| {
    KafkaOptions::new(KafkaVersion::V4_3)
        .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", 200)
        .property("log.cleaner.backoff.ms", 200)
        .property("log.retention.check.interval.ms", 1_000)
});

/// As a link has it: any id that no cluster allocates.
const LINK: Producer = Producer { id: 0x464c_0000_0000_0001, epoch: 0, transactional_id: None };

const BATCH_RECORDS: usize = 100;

fn plan(name: &str, kind: TopicKind, partitions: i32) -> TopicPlan {
    TopicPlan { name: name.to_owned(), kind, partitions, age_ms: 0 }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

async fn generator(bootstrap: &str, seed: u64, topics: Vec<TopicPlan>) -> (Session, Generator) {
    let session = Session::connect(bootstrap).await.unwrap();
    let options = GeneratorOptions { seed, topics, base_timestamp_ms: now_ms() };
    let generator = Generator::create(session.clone(), options).await.unwrap();
    (session, generator)
}

/// A mirror as a link would write it, as far as the checker looks.
async fn write_copy(session: &Session, topic: &str, records: &[LogRecord]) -> PartitionLog {
    session.create_topic(topic, 1, &[("retention.ms", "-1")]).await.unwrap();
    let mut sequence = 0;
    for records in records.chunks(BATCH_RECORDS) {
        let stamp = Stamp::idempotent(&LINK, sequence);
        session.append(topic, 0, records, &stamp).await.unwrap();
        sequence += records.len() as i32;
    }
    read_partition(session, topic, 0).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_what_the_source_holds() {
    let kafka = KAFKA.get();
    let topics = vec![
        plan("account-plain", TopicKind::Plain, 2),
        plan("account-transactional", TopicKind::Transactional, 3),
        plan("account-append-time", TopicKind::AppendTime, 1),
        plan("account-growing", TopicKind::Growing, 1),
    ];
    let (session, mut generator) = generator(&kafka.bootstrap(), 1, topics).await;
    for _ in 0..600 {
        generator.step().await.unwrap();
    }
    generator.settle().await.unwrap();
    let mut aborted_total = 0;
    for (plan, partition, account) in generator.accounts() {
        let log = read_partition(&session, &plan.name, partition).await.unwrap();
        // The source is held against the account as if it were a mirror; it has many writers.
        let report = check(&account.expected(), &account.aborted, &log, Extent::Whole);
        let by_writer = report.count(Fault::Sequence) + report.count(Fault::Writers);
        assert_eq!(report.findings.len(), by_writer, "{report}");
        assert_eq!(log.aborted_identities(), account.aborted);
        assert_eq!(account.open_count(), 0);
        aborted_total += log.aborted.len();
        let kinds: Vec<Outcome> = account.written.values().map(|one| one.outcome).collect();
        assert!(kinds.contains(&Outcome::Committed), "{} {partition} got nothing", plan.name);
    }
    assert!(aborted_total > 0, "no transaction was aborted");
    assert_eq!(session.partitions("account-growing").await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_every_planted_fault_on_a_real_broker() {
    let kafka = KAFKA.get();
    let topics = vec![plan("planted", TopicKind::Transactional, 1)];
    let (session, mut generator) = generator(&kafka.bootstrap(), 2, topics).await;
    for _ in 0..150 {
        generator.step().await.unwrap();
    }
    generator.settle().await.unwrap();
    let source = read_partition(&session, "planted", 0).await.unwrap();
    let aborted = source.aborted_identities();
    assert!(!source.aborted.is_empty() && source.records.len() > 500);

    let clean = write_copy(&session, "planted-clean", &source.records).await;
    let report = check(&source.expected(), &aborted, &clean, Extent::Whole);
    assert_eq!(report.findings_total, 0, "{report}");
    assert_eq!(report.mirrored_total, source.records.len() as u64);

    for (seed, planted) in (0..).zip(Planted::ALL) {
        let mut copy = source.records.clone();
        let mut random = Random::new(seed);
        let identity = planted.plant(&mut copy, &source.aborted, &mut random).unwrap();
        let mirror = write_copy(&session, &format!("planted-{seed}"), &copy).await;
        let report = check(&source.expected(), &aborted, &mirror, Extent::Whole);
        assert_eq!(report.findings_total, 1, "{planted:?}: {report}");
        assert_eq!(report.findings[0].fault, planted.fault(), "{report}");
        if planted != Planted::Swap {
            assert_eq!(report.findings[0].record, Some(identity), "{planted:?}: {report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_a_second_writer_and_a_broken_sequence() {
    let kafka = KAFKA.get();
    let topics = vec![plan("writers", TopicKind::Plain, 1)];
    let (session, mut generator) = generator(&kafka.bootstrap(), 3, topics).await;
    for _ in 0..20 {
        generator.step().await.unwrap();
    }
    let source = read_partition(&session, "writers", 0).await.unwrap();
    session.create_topic("writers-copy", 1, &[]).await.unwrap();
    let (first, second) = source.records.split_at(source.records.len() / 2);
    let stamp = Stamp::idempotent(&LINK, 0);
    session.append("writers-copy", 0, first, &stamp).await.unwrap();
    let other = Producer { id: LINK.id + 1, ..LINK };
    let stamp = Stamp::idempotent(&other, first.len() as i32 + 1);
    session.append("writers-copy", 0, second, &stamp).await.unwrap();
    let mirror = read_partition(&session, "writers-copy", 0).await.unwrap();
    let report = check(&source.expected(), &source.aborted_identities(), &mirror, Extent::Whole);
    assert_eq!(report.count(Fault::Writers), 1, "{report}");
    assert_eq!(report.count(Fault::Sequence), 1, "{report}");
    assert_eq!(report.findings_total, 2, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cleaner_takes_records_that_the_account_still_knows() {
    let kafka = KAFKA.get();
    let topics = vec![plan("compacted", TopicKind::Compacted, 1)];
    let (session, mut generator) = generator(&kafka.bootstrap(), 4, topics).await;
    for _ in 0..400 {
        generator.step().await.unwrap();
    }
    generator.settle().await.unwrap();
    let account = generator.account("compacted", 0).unwrap();
    let written = account.written.len();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let log = read_partition(&session, "compacted", 0).await.unwrap();
        let report = check(&account.expected(), &account.aborted, &log, Extent::Whole);
        let losses = report.findings_total - report.count(Fault::Writers) as u64;
        if log.records.len() < written && log.batches.iter().any(|batch| batch.record_count == 0) {
            assert!(losses > 0, "{report}");
            break;
        }
        if log.records.len() < written / 2 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "nothing was compacted: {written} written");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[test]
fn a_seed_decides_what_is_written() {
    let mut one = Random::named(9, "generator");
    let mut same = Random::named(9, "generator");
    let decisions: Vec<u64> = (0..100).map(|_| one.below(1_000)).collect();
    assert_eq!(decisions, (0..100).map(|_| same.below(1_000)).collect::<Vec<_>>());
}
