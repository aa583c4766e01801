//! What clients of others read of a mirror that keeps offsets is what they read of its source.

use std::time::Duration;

use farlog_testkit::history::{Producer, Session};
use farlog_testkit::kafka::KafkaVersion;
use farlog_testkit::tools::Tool;
use farlog_wire::records::{BatchWriter, Compression, Header, ProducerStamp};
use tokio::time::{Instant, sleep};

use crate::fixture::{
    Seen, bootstraps, create_topic, log, log_end, pair, produce, seen, start, unique,
};
use crate::mirror::{NOW_MS, batch};
use crate::preserve::{begin_at, preserving};

const FIRST: i64 = 1_000_000;

/// A transactional producer and how far it is.
struct Writer {
    session: Session,
    topic: String,
    producer: Producer,
    sequence: i32,
}

impl Writer {
    async fn transaction(&mut self, records: usize, compression: Compression, commit: bool) {
        self.session.add_to_transaction(&self.producer, &self.topic, 0).await.unwrap();
        let mut writer = BatchWriter::new().compression(compression).transactional();
        for index in 0..records {
            let (key, value) = (format!("t{}", index % 50), format!("{commit} {index}"));
            let headers =
                [Header { key: b"h", value: Some(b"1") }, Header { key: b"none", value: None }];
            let timestamp = NOW_MS + index as i64;
            writer.push(timestamp, Some(key.as_bytes()), Some(value.as_bytes()), &headers);
        }
        let stamp = ProducerStamp {
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            base_sequence: self.sequence,
        };
        let bytes = writer.finish(stamp).unwrap().to_bytes();
        let id = self.producer.transactional_id.as_deref();
        self.session.produce(&self.topic, 0, bytes, id).await.unwrap_or_else(|_| panic!("refused"));
        self.sequence += records as i32;
        self.session.end_transaction(&self.producer, commit).await.unwrap();
    }
}

/// Transactions of both kinds, among them long aborted ones, and what compaction leaves of keys
/// that are written again.
async fn write(topic: &str) {
    let session = Session::connect(&bootstraps().0).await.unwrap();
    let producer = session.init_producer(Some(topic), 60_000).await.unwrap();
    let mut writer = Writer { session, topic: topic.to_owned(), producer, sequence: 0 };
    for round in 0..12 {
        let compression = [Compression::None, Compression::Zstd, Compression::Lz4][round % 3];
        writer.transaction(1 + round, compression, true).await;
        writer.transaction(2, Compression::None, false).await;
    }
    writer.transaction(3_500, Compression::None, false).await;
    writer.transaction(400, Compression::Zstd, true).await;
    writer.transaction(5, Compression::None, false).await;
}

/// Waits until the cleaner of the source has been through what was there.
async fn compacted(pair: &crate::fixture::Pair, topic: &str, records_before: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // Segments roll by time only when something is appended.
        produce(&pair.source, topic, 0, &batch(Compression::None, 9_000, 1, NOW_MS)).await;
        let seen = seen(&pair.source, topic, 0).await;
        let of_keys = |key: &Option<String>| key.as_ref().is_some_and(|key| key.starts_with('k'));
        if seen.iter().filter(|record| of_keys(&record.key)).count() < records_before / 2 {
            return;
        }
        assert!(Instant::now() < deadline, "the cleaner does not come");
        sleep(Duration::from_millis(300)).await;
    }
}

/// Embedded clusters compact in their own time, and their mirrors have no phantoms.
fn has_log_cleaner() -> bool {
    std::env::var_os("FARLOG_EMBEDDED").is_none()
}

async fn run(tool: Tool) -> String {
    tokio::task::spawn_blocking(|| tool.run().unwrap().stdout).await.unwrap()
}

/// Offset, timestamp, key, value and headers of each record, by librdkafka.
async fn by_librdkafka(bootstrap: &str, topic: &str, isolation: &str, from: &str) -> String {
    let isolation = format!("isolation.level={isolation}");
    let tool = Tool::kcat().args(["-b", bootstrap, "-C", "-t", topic, "-p", "0", "-o", from, "-q"]);
    run(tool.args(["-e", "-X", &isolation, "-f", "%o %T %k %S %s %h\n"])).await
}

async fn by_java(bootstrap: &str, topic: &str, committed: bool) -> String {
    run(Tool::java_client(KafkaVersion::V4_3, "Dump").args([
        format!("bootstrap={bootstrap}"),
        format!("topic={topic}"),
        format!("committed={committed}"),
    ]))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn java_and_librdkafka_read_the_same_at_both_ends() {
    let pair = pair().await;
    let topic = unique("readers");
    let configs = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "-1"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.ms", "1000"),
    ];
    create_topic(&pair.source, &topic, 1, &configs).await;
    begin_at(&pair, &topic, FIRST).await;
    // What stays when all behind it goes.
    produce(&pair.source, &topic, 0, &batch(Compression::None, 500, 5, NOW_MS)).await;
    let repeated = batch(Compression::None, 0, 20, NOW_MS);
    for round in 0..40 {
        let again = batch(Compression::Zstd, round % 3, 20, NOW_MS);
        produce(&pair.source, &topic, 0, if round % 2 == 0 { &repeated } else { &again }).await;
    }
    write(&topic).await;
    if has_log_cleaner() {
        compacted(&pair, &topic, 800).await;
    }
    // From here on it must not change any more.
    let session = Session::connect(&bootstraps().0).await.unwrap();
    session.alter_topic(&topic, &[("cleanup.policy", Some("delete"))]).await.unwrap();
    let link = start(&pair, preserving(&topic));
    write(&topic).await;
    link.kill().await;
    write(&topic).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    let (source, target) = bootstraps();
    let end = log_end(&pair.source, &topic, 0).await;
    assert_eq!(log_end(&pair.target, &topic, 0).await, end);
    let expected = by_librdkafka(&source, &topic, "read_committed", "beginning").await;
    assert!(expected.lines().count() > 100, "{expected}");
    for isolation in ["read_committed", "read_uncommitted"] {
        let read = by_librdkafka(&target, &topic, isolation, "beginning").await;
        assert_eq!(read, expected, "{isolation}");
    }
    // Who comes into a hole goes on behind it.
    let batches = log(&pair.target, &topic, 0).await;
    let holes: Vec<_> = batches.iter().filter(|batch| batch.header.max_timestamp == -1).collect();
    assert!(holes.len() >= 3, "{} batches without records", holes.len());
    let from = (holes[2].header.base_offset + 10).to_string();
    let expected = by_librdkafka(&source, &topic, "read_committed", &from).await;
    assert!(!expected.is_empty());
    assert_eq!(by_librdkafka(&target, &topic, "read_committed", &from).await, expected);
    let expected = by_java(&source, &topic, true).await;
    assert_eq!(by_java(&target, &topic, true).await, expected);
    assert_eq!(by_java(&target, &topic, false).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn phantoms_go_when_a_mirror_is_compacted() {
    const FIRST: i64 = 1_000;
    if !has_log_cleaner() {
        return;
    }
    let pair = pair().await;
    let topic = unique("cleaned");
    let configs = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "-1"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.ms", "1000"),
    ];
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    create_topic(&pair.target, &topic, 1, &configs).await;
    begin_at(&pair, &topic, FIRST).await;
    let link = start(&pair, preserving(&topic));
    write(&topic).await;
    link.caught_up(&pair, &topic, 1).await;
    let source = seen(&pair.source, &topic, 0).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let phantoms = async || {
        let batches = log(&pair.target, &topic, 0).await.into_iter();
        batches.map(|batch| i64::from(batch.header.record_count)).sum::<i64>()
    };
    // What the cleaner leaves is far less than the phantoms of the long hole alone.
    let mut index = 9_000;
    while phantoms().await > 1_000 {
        assert!(Instant::now() < deadline, "the cleaner of the mirror does not come");
        index += 1;
        produce(&pair.source, &topic, 0, &batch(Compression::None, index, 1, NOW_MS)).await;
        link.caught_up(&pair, &topic, 1).await;
        sleep(Duration::from_millis(300)).await;
    }
    link.stop().await;
    let mirror = seen(&pair.target, &topic, 0).await;
    // Every key's last record is there, and whatever is there is what the source has there.
    let committed: Vec<_> = source.iter().filter(|one| !is_aborted(one)).collect();
    for one in &committed {
        let is_last = !committed.iter().any(|two| two.key == one.key && two.offset > one.offset);
        assert!(!is_last || mirror.contains(one), "{one:?}");
    }
    let source = seen(&pair.source, &topic, 0).await;
    assert!(mirror.iter().all(|record| source.contains(record)));
    let read = by_librdkafka(&bootstraps().1, &topic, "read_uncommitted", "beginning").await;
    assert_eq!(read.lines().count(), mirror.len());
}

fn is_aborted(record: &Seen) -> bool {
    record.value.as_ref().is_some_and(|value| value.starts_with("false"))
}
