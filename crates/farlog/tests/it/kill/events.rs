//! What happens to topics, clusters and operators: each with a defined, reported outcome, and no
//! record lost or repeated by it.

use std::time::Duration;

use farlog_client::TopicPartition;
use farlog_testkit::history::batch::{Codec, Stamp};
use farlog_testkit::history::generator::TopicKind;
use farlog_testkit::history::orchestrator::LinkFile;
use farlog_testkit::history::orchestrator::script::Side;
use farlog_testkit::history::reader::read_partition;
use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::fixture::{History, OLD_MS, now_ms, records};

/// A foreign write stops the partition and is named. The broker counts sequences by producer, so
/// what was under way lands behind the foreign record; nothing follows after that.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_write_stops_the_partition_by_name() {
    let mut history = History::new("foreign").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 2, &[]).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    history.append(&topic, 1, 0, 10).await;
    history.start(0).await;
    history.same(&topic, 0).await;
    let intruder = history.target.init_producer(None, 0).await.unwrap();
    let foreign = records("elsewhere", 0, 0, 1, now_ms());
    let stamp = Stamp::idempotent(&intruder, 0);
    history.target.append(&topic, 0, &foreign, &stamp).await.unwrap();
    history.append(&topic, 0, 10, 10).await;
    history.append(&topic, 1, 10, 10).await;
    let said = history.until_state(&topic, 0, "stopped-foreign-write").await;
    let why = said["why"].as_str().unwrap();
    assert!(why.contains(&intruder.id.to_string()), "the producer is not named: {why}");
    let stopped_at = history.target.log_end(&topic, 0).await.unwrap();
    assert!(stopped_at <= 21, "more than was under way followed the foreign record");
    for partition in 0..2 {
        history.append(&topic, partition, 20, 10).await;
    }
    history.same(&topic, 1).await;
    assert_eq!(history.target.log_end(&topic, 0).await.unwrap(), stopped_at);
}

/// A deleted source topic leaves its mirror, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_source_topic_leaves_its_mirror() {
    let mut history = History::new("deleted").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[]).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    history.start(0).await;
    history.same(&topic, 0).await;
    history.source.delete_topic(&topic).await.unwrap();
    history.until_state(&topic, 0, "held-source-deleted").await;
    let mirror = read_partition(&history.target, &topic, 0).await.unwrap();
    assert_eq!(mirror.records.len(), 10);
}

/// A source topic that is created again under its name is another topic: the mirror is held.
#[tokio::test(flavor = "multi_thread")]
async fn recreated_source_topic_is_another_topic() {
    let mut history = History::new("recreated").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[]).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    history.start(0).await;
    history.same(&topic, 0).await;
    // While nobody looks: only the topic id can tell.
    history.kill(0);
    history.source.delete_topic(&topic).await.unwrap();
    history.source.create_topic(&topic, 1, &[]).await.unwrap();
    history.append(&topic, 0, 100, 30).await;
    history.start(0).await;
    history.until_state(&topic, 0, "held-source-recreated").await;
    let mirror = read_partition(&history.target, &topic, 0).await.unwrap();
    assert_eq!(mirror.records.len(), 10);
}

/// What retention deletes before it is mirrored is counted, and the rest is mirrored.
#[tokio::test(flavor = "multi_thread")]
async fn retention_that_overtakes_the_link_is_counted() {
    let mut history = History::new("overtaken").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[]).await.unwrap();
    history.append(&topic, 0, 0, 20).await;
    history.start(0).await;
    history.same(&topic, 0).await;
    history.kill(0);
    history.append(&topic, 0, 20, 50).await;
    history.source.delete_records(&topic, 0, 45).await.unwrap();
    history.start(0).await;
    let said = history.until_state(&topic, 0, "caught-up").await;
    assert_eq!(said["records_lost_total"], 25, "{said}");
    let mirror = read_partition(&history.target, &topic, 0).await.unwrap();
    let ordinals: Vec<String> =
        mirror.records.iter().map(|record| record.identity().to_string()).collect();
    let expected: Vec<String> =
        (0..20).chain(45..70).map(|ordinal| format!("{topic}/0#{ordinal}")).collect();
    assert_eq!(ordinals, expected);
}

/// A record larger than the mirror takes: its limit is raised to the source's, and it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn record_too_large_for_the_mirror_arrives_in_the_end() {
    let mut history = History::new("large").await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[("max.message.bytes", "4000000")]).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    history.start(0).await;
    history.same(&topic, 0).await;
    history.target.alter_topic(&topic, &[("max.message.bytes", Some("100000"))]).await.unwrap();
    let mut large = records(&topic, 0, 10, 1, now_ms());
    large[0].headers = vec![("large".into(), Some(vec![7; 3_000_000].into()))];
    history.append_records(&topic, 0, &large, Codec::NONE).await;
    history.append(&topic, 0, 11, 10).await;
    history.same(&topic, 0).await;
}

/// A record larger than a segment of the mirror, which no other limit lets in: said by name, and
/// gone on with once an operator has raised that limit.
#[tokio::test(flavor = "multi_thread")]
async fn record_larger_than_a_segment_stops_the_partition_by_name() {
    let mut history =
        History::with("segment", |link| link.field("config-sync: { enabled: false }")).await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[("max.message.bytes", "4000000")]).await.unwrap();
    let small = [("segment.bytes", "1048576"), ("max.message.bytes", "4000000")];
    history.target.create_topic(&topic, 1, &small).await.unwrap();
    history.append(&topic, 0, 0, 10).await;
    let mut large = records(&topic, 0, 10, 1, now_ms());
    large[0].headers = vec![("large".into(), Some(vec![7; 2_000_000].into()))];
    history.append_records(&topic, 0, &large, Codec::NONE).await;
    history.append(&topic, 0, 11, 10).await;
    history.start(0).await;
    let said = history.until_state(&topic, 0, "stopped-too-large").await;
    let why = said["why"].as_str().unwrap();
    let expected = format!("is larger than a segment of target topic {topic}; raise segment.bytes");
    assert!(why.contains("a batch of 2000") && why.contains(&expected), "{why}");
    assert_eq!(history.target.log_end(&topic, 0).await.unwrap(), 10, "nothing may be left out");
    history.target.alter_topic(&topic, &[("segment.bytes", Some("8388608"))]).await.unwrap();
    history.same(&topic, 0).await;
}

/// Quotas on both sides slow the link down and do nothing worse.
#[tokio::test(flavor = "multi_thread")]
async fn quotas_slow_the_link_down_and_lose_nothing() {
    let mut history = History::alone("quota").await;
    for (side, key) in [(Side::Source, "consumer_byte_rate"), (Side::Target, "producer_byte_rate")]
    {
        let session = if side == Side::Source { &history.source } else { &history.target };
        // The default of all client ids.
        let entity = EntityData { entity_type: "client-id".to_owned(), entity_name: None };
        let op = OpData { key: key.to_owned(), value: 400_000.0, remove: false };
        let request = AlterClientQuotasRequest {
            entries: vec![EntryData { entity: vec![entity], ops: vec![op] }],
            validate_only: false,
        };
        let answer = session.cluster().send_controller(&request).await.unwrap();
        assert!(!answer.entries[0].error_code.is_error(), "{answer:?}");
    }
    let topics = [("orders", TopicKind::Plain, 2)];
    let mut generator = history.generator(20, &topics, 0).await;
    history.start(0).await;
    for _ in 0..150 {
        generator.step().await.unwrap();
    }
    history.verdict(&mut generator).await;
}

/// An instance that is started a second time by mistake waits, whatever name it has; when the first
/// one goes, it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn second_instance_by_mistake_waits() {
    let mut history = History::new("second").await;
    let topics = [("orders", TopicKind::Transactional, 2), ("old", TopicKind::Plain, 1)];
    let mut generator = history.generator(21, &topics, OLD_MS).await;
    history.start(0).await;
    assert_eq!(history.active().await, 0);
    history.start(1).await;
    for _ in 0..60 {
        generator.step().await.unwrap();
    }
    history
        .until("the second instance stands by", async || history.link_state(1).await == "standby")
        .await;
    assert_eq!(history.link_state(0).await, "active");
    history.stop(0);
    assert_eq!(history.active().await, 1);
    for _ in 0..30 {
        generator.step().await.unwrap();
    }
    history.verdict(&mut generator).await;
}

/// An instance with a name waits for the lease of one of its name that it may have replaced; but
/// not when there never was one.
#[tokio::test(flavor = "multi_thread")]
async fn first_instance_of_a_link_waits_for_nobody() {
    let long = super::fixture::PATIENCE * 2;
    let lease = |link: LinkFile| LinkFile { session_timeout: long, ..link };
    let mut history = History::with("first", lease).await;
    let topic = history.topic("orders");
    history.source.create_topic(&topic, 1, &[("retention.ms", "-1")]).await.unwrap();
    let old = records(&topic, 0, 0, 20, now_ms() - OLD_MS);
    history.append_records(&topic, 0, &old, Codec::NONE).await;
    history.start(0).await;
    history.same(&topic, 0).await;
}

/// A record two hours ahead of the target's clock does not block the partition.
#[tokio::test(flavor = "multi_thread")]
async fn record_ahead_in_time_does_not_block() {
    let mut history = History::new("ahead").await;
    let topic = history.topic("orders");
    let far = [("message.timestamp.after.max.ms", "9223372036854775807")];
    history.source.create_topic(&topic, 1, &far).await.unwrap();
    let ahead = records(&topic, 0, 0, 10, now_ms() + 2 * 3_600 * 1_000);
    history.append_records(&topic, 0, &ahead, Codec::ZSTD).await;
    history.append(&topic, 0, 10, 10).await;
    history.start(0).await;
    history.same(&topic, 0).await;
}

/// Retention of the mirror may delete everything that was mirrored: the position stays.
#[tokio::test(flavor = "multi_thread")]
async fn emptied_mirror_goes_on_where_it_was() {
    let mut history = History::new("emptied").await;
    for (name, age_ms) in [("armed", 0), ("unarmed", OLD_MS)] {
        let topic = history.topic(name);
        history.source.create_topic(&topic, 1, &[("retention.ms", "-1")]).await.unwrap();
        let batch = records(&topic, 0, 0, 50, now_ms() - age_ms);
        history.append_records(&topic, 0, &batch, Codec::NONE).await;
        history.start(0).await;
        history.same(&topic, 0).await;
        history.kill(0);
        history.target.delete_records(&topic, 0, -1).await.unwrap();
        if age_ms > 0 {
            history.until_forgotten(&topic, 0).await;
        }
        let batch = records(&topic, 0, 50, 50, now_ms() - age_ms);
        history.append_records(&topic, 0, &batch, Codec::NONE).await;
        history.start(0).await;
        let mirror = history.same_from(&topic, 0, 50).await;
        assert_eq!((mirror.log_start_offset, mirror.records.len()), (50, 50));
        history.kill(0);
    }
}

/// The mirror's own cleaner may take its batches away: the position stays.
#[tokio::test(flavor = "multi_thread")]
async fn compacted_mirror_goes_on_where_it_was() {
    let mut history = History::new("cleaned").await;
    let topics = [("keys", TopicKind::Compacted, 1)];
    let mut generator = history.generator(22, &topics, 0).await;
    let topic = history.topic("keys");
    history.start(0).await;
    let deadline = Instant::now() + super::fixture::PATIENCE;
    loop {
        generator.step().await.unwrap();
        if history.target.partitions(&topic).await.unwrap() > 0 {
            let mirror = read_partition(&history.target, &topic, 0).await.unwrap();
            let there = mirror.records.len() as i64;
            if mirror.end_offset > 200 && there < mirror.end_offset * 3 / 4 {
                break;
            }
        }
        assert!(Instant::now() < deadline, "the mirror was not compacted");
        sleep(Duration::from_millis(100)).await;
    }
    history.kill(0);
    for _ in 0..30 {
        generator.step().await.unwrap();
    }
    history.verdict(&mut generator).await;
}

/// Brokers of both sides are restarted, in an orderly way and not, while the link works.
#[tokio::test(flavor = "multi_thread")]
async fn broker_restarts_are_survived() {
    let mut history = History::alone("restarts").await;
    let topics = [("armed", TopicKind::Transactional, 2)];
    let mut generator = history.generator(23, &topics, 0).await;
    let topics = [("unarmed", TopicKind::Plain, 2)];
    let mut old = history.generator(24, &topics, OLD_MS).await;
    history.start(0).await;
    for (side, kill) in
        [(Side::Target, true), (Side::Source, true), (Side::Target, false), (Side::Source, false)]
    {
        for _ in 0..20 {
            generator.step().await.unwrap();
            old.step().await.unwrap();
        }
        let clusters = history.clusters.clone();
        block_in_place(|| {
            for broker in clusters.cluster(side).brokers() {
                if kill {
                    broker.kill().unwrap()
                } else {
                    broker.stop().unwrap()
                }
                broker.start().unwrap();
            }
        });
    }
    history.verdict(&mut generator).await;
    history.verdict(&mut old).await;
    // A mirror has one writer, whatever restarted.
    let name = TopicPartition::new(history.topic("armed").as_str(), 0);
    let described = history.target.cluster().describe_producers([name.clone()]).await;
    assert_eq!(described[&name].as_ref().unwrap().len(), 1, "{described:?}");
}

/// SIGTERM in the middle of work: what was sent is acknowledged, and nothing is repeated after.
#[tokio::test(flavor = "multi_thread")]
async fn drained_instance_leaves_no_doubt() {
    let mut history = History::new("drained").await;
    let topics = [("orders", TopicKind::Plain, 2)];
    let mut generator = history.generator(25, &topics, OLD_MS).await;
    for _ in 0..4 {
        history.start(0).await;
        for _ in 0..25 {
            generator.step().await.unwrap();
        }
        history.stop(0);
    }
    history.verdict(&mut generator).await;
}

/// An outage longer than every timeout: the instance comes back by itself, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn long_outages_are_survived() {
    let mut history = History::alone("outage").await;
    let topics = [("orders", TopicKind::Compacted, 1), ("plain", TopicKind::Plain, 2)];
    let mut generator = history.generator(26, &topics, OLD_MS).await;
    history.start(0).await;
    for (side, is_silent) in [(Side::Target, true), (Side::Target, false), (Side::Source, true)] {
        for _ in 0..20 {
            generator.step().await.unwrap();
        }
        let clusters = history.clusters.clone();
        let proxy = &clusters.proxies(side)[0];
        // Nothing answers, or nobody is there.
        if is_silent {
            proxy.stall();
        } else {
            block_in_place(|| {
                proxy.refuse();
                proxy.cut();
            });
        }
        let until = Instant::now() + Duration::from_secs(35);
        while Instant::now() < until {
            generator.step().await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        block_in_place(|| proxy.pass());
    }
    assert!(history.instances.ended().unwrap().is_empty(), "it gave up");
    history.verdict(&mut generator).await;
}
