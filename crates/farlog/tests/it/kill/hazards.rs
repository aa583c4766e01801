//! One history for each finding about real Kafka that a link has to survive: who forgets producer
//! ids, what the first batch may do, what take-overs, truncations and cleaners leave behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use farlog_testkit::history::batch::{self, Codec, Stamp};
use farlog_testkit::history::generator::TopicKind;
use farlog_testkit::history::orchestrator::partition_state;
use farlog_testkit::history::orchestrator::script::Side;
use farlog_testkit::history::reader::{PartitionLog, read_partition};
use farlog_testkit::history::{Producer, Session};
use farlog_testkit::process::Signal;
use farlog_testkit::proxy::Direction;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::fixture::{History, OLD_MS, now_ms, records};

/// Finding 1: a target forgets a producer id by record time, and with it whom to refuse. The owner
/// is stopped in the middle of its work, another instance takes over, the id is forgotten, and the
/// first one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_01_forgotten_producer_id_lets_no_zombie_write() {
    let mut history = History::alone("h01").await;
    let topics = [("old", TopicKind::Plain, 2)];
    let mut generator = history.generator(1, &topics, OLD_MS).await;
    history.start(0).await;
    history.start(1).await;
    for _ in 0..3 {
        let owner = history.active().await;
        for step in 0..40 {
            generator.step().await.unwrap();
            if step == 20 {
                history.instances.signal(owner, Signal::Stop).unwrap();
            }
        }
        let other = 1 - owner;
        history
            .until("the other instance takes over", async || {
                history.link_state(other).await == "active"
            })
            .await;
        history.until_forgotten(&history.topic("old"), 0).await;
        // No answer tells it that it is replaced: only its own lease can.
        let clusters = history.clusters.clone();
        let proxy = &clusters.proxies(Side::Target)[0];
        proxy.stall_one_way(Direction::ToClient);
        history.instances.signal(owner, Signal::Continue).unwrap();
        sleep(Duration::from_millis(500)).await;
        proxy.resume();
        for _ in 0..20 {
            generator.step().await.unwrap();
        }
    }
    history.verdict(&mut generator).await;
}

/// Finding 1, with a restart in place of a second instance: the new process must not believe what
/// a broker that forgot does not deny.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_01_forgotten_producer_id_and_a_restart() {
    let mut history = History::new("h01r").await;
    let topics = [("old", TopicKind::Transactional, 1)];
    let mut generator = history.generator(2, &topics, OLD_MS).await;
    for _ in 0..6 {
        history.start(0).await;
        for _ in 0..20 {
            generator.step().await.unwrap();
        }
        history.kill(0);
    }
    history.verdict(&mut generator).await;
}

/// Finding 2: while the id is unknown, a lost first batch does not stop those behind it. The first
/// requests into new partitions are cut off again and again.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_02_lost_first_batch_of_an_unknown_id_leaves_no_hole() {
    let mut history = History::alone("h02").await;
    let topics = [("old", TopicKind::Plain, 4), ("transactional", TopicKind::Transactional, 2)];
    let mut generator = history.generator(3, &topics, OLD_MS).await;
    for _ in 0..300 {
        generator.step().await.unwrap();
    }
    history.instances.start(0).unwrap();
    for pause_ms in [300, 20, 40, 60, 80, 100, 120, 140, 160, 200, 300, 400] {
        sleep(Duration::from_millis(pause_ms)).await;
        block_in_place(|| history.clusters.proxies(Side::Target)[0].cut());
    }
    history.verdict(&mut generator).await;
}

/// Finding 3: an epoch that changes has to start again at sequence 0, so every take-over would
/// stall. The checker holds every batch against the producer epoch of the first.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_03_take_overs_do_not_stall() {
    let mut history = History::new("h03").await;
    let topics = [("armed", TopicKind::Plain, 2)];
    let mut generator = history.generator(4, &topics, 0).await;
    history.start(0).await;
    history.start(1).await;
    for _ in 0..4 {
        let owner = history.active().await;
        for _ in 0..10 {
            generator.step().await.unwrap();
        }
        history.kill(owner);
        let heir = history.active().await;
        assert_ne!(heir, owner, "the one that was killed is said to mirror");
        history.start(owner).await;
    }
    let verdict = history.verdict(&mut generator).await;
    assert!(verdict.mirrors.mirrored_total > 100, "{}", verdict.mirrors);
}

/// Finding 4: a count of records is not a position when the source is compacted between a crash
/// and the restart.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_04_compaction_between_crash_and_restart_loses_nothing() {
    let mut history = History::new("h04").await;
    for (seed, name, age_ms) in [(5, "armed", 0), (6, "unarmed", OLD_MS)] {
        let topics = [(name, TopicKind::Compacted, 1)];
        let mut generator = history.generator(seed, &topics, age_ms).await;
        let topic = history.topic(name);
        history.start(0).await;
        for _ in 0..4 {
            for _ in 0..40 {
                generator.step().await.unwrap();
            }
            history
                .until("something is mirrored", async || {
                    let there = history.target.partitions(&topic).await.unwrap() > 0;
                    there && history.target.log_end(&topic, 0).await.unwrap() > 0
                })
                .await;
            history.kill(0);
            for _ in 0..40 {
                generator.step().await.unwrap();
            }
            compacted(&history.source, &history, &topic, &mut generator).await;
            history.start(0).await;
        }
        history.verdict(&mut generator).await;
        history.kill(0);
    }
}

/// Waits until the cleaner has been at work, with a record now and then so that segments roll.
async fn compacted(
    source: &Session,
    history: &History,
    topic: &str,
    generator: &mut farlog_testkit::history::generator::Generator,
) {
    let written = generator.account(topic, 0).unwrap().written.len();
    for _ in 0..100 {
        let log = read_partition(source, topic, 0).await.unwrap();
        if log.records.len() < written / 2 {
            return;
        }
        sleep(Duration::from_millis(200)).await;
        generator.step().await.unwrap();
    }
    panic!("{topic} was not compacted; {:?}", history.link);
}

/// Finding 4, the unsaved start: `start: latest` is decided once, not at every restart.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_04_the_start_is_decided_once() {
    let mut history = History::with("h04s", |link| link.field("start: latest")).await;
    let topic = history.topic("late");
    history.source.create_topic(&topic, 1, &[]).await.unwrap();
    history.append(&topic, 0, 0, 100).await;
    history.start(0).await;
    history.until_state(&topic, 0, "caught-up").await;
    history.kill(0);
    // Written while nobody looks: after the start, so it belongs into the mirror.
    history.append(&topic, 0, 100, 50).await;
    history.start(0).await;
    let mirror = history.same_from(&topic, 0, 100).await;
    assert_eq!(mirror.records.len(), 50);
}

/// Finding 8: where ids of our own making are not safe, one id is allocated once and kept; it has
/// to be as exact as a tagged one.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_08_allocated_producer_id_is_as_exact() {
    let mut history = History::with("h08", |link| link.field("producer-ids: allocated")).await;
    let topics = [("old", TopicKind::Transactional, 1), ("keys", TopicKind::Compacted, 1)];
    let mut generator = history.generator(8, &topics, OLD_MS).await;
    for _ in 0..4 {
        history.start(0).await;
        for _ in 0..20 {
            generator.step().await.unwrap();
        }
        history.kill(0);
    }
    history.verdict(&mut generator).await;
    let mirror = read_partition(&history.target, &history.topic("old"), 0).await.unwrap();
    let id = mirror.batches[0].producer_id;
    assert!((0..1 << 48).contains(&id), "{id} is not an allocated id");
}

/// Finding 9: a source that lost records which were mirrored, and went on with others, stops the
/// partition; one that lost records nobody had mirrored goes on.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_09_truncated_and_regrown_source_stops_the_partition() {
    let mut history = History::alone("h09").await;
    let (ahead, behind) = (history.topic("ahead"), history.topic("behind"));
    for topic in [&ahead, &behind] {
        history.source.create_topic(topic, 1, &[]).await.unwrap();
        for batch in 0..10 {
            history.append(topic, 0, batch * 10, 10).await;
        }
    }
    history.start(0).await;
    history.same(&ahead, 0).await;
    history.same(&behind, 0).await;
    history.kill(0);
    for batch in 10..20 {
        history.append(&behind, 0, batch * 10, 10).await;
    }
    let clusters = history.clusters.clone();
    block_in_place(|| {
        let source = clusters.source();
        source.brokers().for_each(|broker| broker.kill().unwrap());
        assert_eq!(source.truncate_log(&ahead, 0, 6).unwrap().end_offset, 60);
        assert_eq!(source.truncate_log(&behind, 0, 15).unwrap().end_offset, 150);
        // The controller has to notice: only then is there a new leader epoch.
        std::thread::sleep(Duration::from_secs(1));
        source.brokers().for_each(|broker| broker.start().unwrap());
    });
    // Other records, at the offsets that were mirrored.
    for batch in 0..10 {
        history.append(&ahead, 0, 1_000 + batch * 10, 10).await;
        history.append(&behind, 0, 1_000 + batch * 10, 10).await;
    }
    history.start(0).await;
    let said = history.until_state(&ahead, 0, "stopped-diverged").await;
    assert!(said["why"].as_str().unwrap().contains("60"), "{said}");
    let mirror = read_partition(&history.target, &ahead, 0).await.unwrap();
    assert_eq!(mirror.records.len(), 100, "nothing may follow a divergence");
    history.same(&behind, 0).await;
}

/// Sequences have 31 bits. Both logs are moved to just before the wrap, as if two billion records
/// had been mirrored, and then the link goes on across it; no batch may straddle it, since some
/// brokers refuse that.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_q1_sequences_wrap_at_two_to_the_thirty_first() {
    const WRAP: i64 = 1 << 31;
    const BEFORE: i64 = WRAP - 100;
    let mut history = History::alone("wrap").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[("retention.ms", "-1")]).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    history.start(0).await;
    let mirror = history.same(&topic, 0).await;
    history.stop(0);
    let records = records(&topic, 0, 10, 50, now_ms());
    let link = Producer { id: mirror.batches[0].producer_id, epoch: 0, transactional_id: None };
    let in_source = at(BEFORE, &batch::encode(&records, Codec::NONE, &Stamp::plain()).unwrap());
    let stamp = Stamp::idempotent(&link, BEFORE as i32);
    let in_mirror = at(BEFORE, &batch::encode(&records, Codec::NONE, &stamp).unwrap());
    let clusters = history.clusters.clone();
    block_in_place(|| {
        for (side, log) in [(Side::Source, &in_source), (Side::Target, &in_mirror)] {
            for broker in clusters.cluster(side).brokers() {
                broker.kill().unwrap();
                replace_log(&broker.log_dir().join(format!("{topic}-0")), BEFORE, log);
                broker.start().unwrap();
            }
        }
    });
    assert_eq!(history.target.log_end(&topic, 0).await.unwrap(), BEFORE + 50);
    history.start(0).await;
    for (first, count) in [(60, 20), (80, 100), (180, 1), (181, 60)] {
        history.append(&topic, 0, first, count).await;
    }
    let mirror = history.same(&topic, 0).await;
    assert_eq!((mirror.records.len(), mirror.log_start_offset), (231, BEFORE));
    for batch in &mirror.batches {
        let straddles = batch.base_offset < WRAP && batch.last_offset >= WRAP;
        assert!(!straddles, "{batch:?}");
    }
}

/// A batch as it stands in a log at this offset. The checksum begins behind these fields.
fn at(offset: i64, batch: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    // Leader epoch 0, as the broker would have written.
    batch[12..16].fill(0);
    batch
}

/// Puts one segment in the place of all that a partition has.
fn replace_log(directory: &Path, base_offset: i64, log: &[u8]) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_data = ["log", "index", "timeindex", "txnindex", "snapshot"]
            .iter()
            .any(|kind| path.extension().is_some_and(|extension| extension == *kind));
        if is_data {
            fs::remove_file(path).unwrap();
        }
    }
    fs::write(directory.join(format!("{base_offset:020}.log")), log).unwrap();
}

/// Finding 16: the cleaner marks batches with a delete horizon; copied to a mirror, the mark makes
/// tombstones vanish at the first cleaning there.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_16_tombstones_arrive_without_a_delete_horizon() {
    // A mirror that its own cleaner leaves alone, so that what it was sent can be seen.
    let mut history =
        History::with("h16", |link| link.field("config-sync: { enabled: false }")).await;
    let topics = [("compacted", TopicKind::Compacted, 1)];
    let mut generator = history.generator(7, &topics, 0).await;
    let topic = history.topic("compacted");
    for _ in 0..60 {
        generator.step().await.unwrap();
    }
    for _ in 0..100 {
        let log = read_partition(&history.source, &topic, 0).await.unwrap();
        if log.batches.iter().any(|batch| batch.delete_horizon && batch.record_count > 0) {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        generator.step().await.unwrap();
    }
    let source = read_partition(&history.source, &topic, 0).await.unwrap();
    assert!(source.batches.iter().any(|batch| batch.delete_horizon), "no horizon at the source");
    let configs = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "86400000")];
    history.target.create_topic(&topic, 1, &configs).await.unwrap();
    history.start(0).await;
    history.verdict(&mut generator).await;
    let mirror = read_partition(&history.target, &topic, 0).await.unwrap();
    let marked = mirror.batches.iter().filter(|batch| batch.delete_horizon).count();
    assert_eq!(marked, 0, "batches with a delete horizon in the mirror");
    let tombstones =
        |log: &PartitionLog| log.records.iter().filter(|record| record.value.is_none()).count();
    assert!(tombstones(&source) > 0, "the source has no tombstones left");
    assert!(tombstones(&mirror) >= tombstones(&source));
}

/// Finding 17: compressed batches with holes, entered in the middle, or of a topic with
/// `LogAppendTime` cannot pass through as they are.
#[tokio::test(flavor = "multi_thread")]
async fn hazard_17_compressed_batches_that_cannot_pass_through() {
    let mut history = History::new("h17").await;
    let middle = history.topic("entered-in-the-middle");
    history.source.create_topic(&middle, 1, &[]).await.unwrap();
    for (first, codec) in [(0, Codec::GZIP), (3_000, Codec::ZSTD)] {
        let batch = records(&middle, 0, first, 3_000, now_ms());
        history.append_records(&middle, 0, &batch, codec).await;
    }
    // The log starts inside the first batch.
    history.source.delete_records(&middle, 0, 1_234).await.unwrap();
    let append_time = history.topic("append-time");
    let config = [("message.timestamp.type", "LogAppendTime")];
    history.source.create_topic(&append_time, 1, &config).await.unwrap();
    for (first, codec) in [(0, Codec::ZSTD), (3_000, Codec::NONE), (6_000, Codec::GZIP)] {
        let batch = records(&append_time, 0, first, 3_000, now_ms() - OLD_MS);
        history.append_records(&append_time, 0, &batch, codec).await;
    }
    history.start(0).await;
    let mirror = history.same(&middle, 0).await;
    assert_eq!(mirror.records.len(), 6_000 - 1_234);
    let mirror = history.same(&append_time, 0).await;
    assert!(mirror.records.iter().all(|record| record.timestamp_ms > now_ms() - 600_000));
    let said = partition_state(&history.instances.address(0), &middle, 0).await.unwrap();
    assert_eq!(said["state"], "caught-up", "{said}");
}
