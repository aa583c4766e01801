//! `farlog observe` beside a real MirrorMaker 2: what it says is what the logs say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farlog_client::admin::{CommittedOffset, NewTopic};
use farlog_client::{Cluster, TopicPartition};
use farlog_testkit::kafka::mm2::{MirrorMaker, MirrorMakerOptions};
use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions, KafkaVersion};
use farlog_wire::records::{BatchWriter, ProducerStamp};
use serde_json::Value;

use crate::binary::{Place, farlog, json};
use crate::run::{TARGET, connect};

/// MirrorMaker 2 takes its time to start; this is for a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(500);

/// Records deleted before MirrorMaker 2 starts: its mirror's offsets are lower by so much.
const DELETED: i64 = 50;
const RECORDS: i64 = 1_000;
/// Groups, and what they have committed.
const GROUPS: [(&str, i64); 3] = [("ahead", RECORDS), ("middle", 640), ("behind", 60)];

#[tokio::test(flavor = "multi_thread")]
async fn what_mirrormaker_does_is_seen_and_nothing_is_written() {
    let source = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let target = TARGET.get();
    let (near, far) = (connect(&source).await, connect(&target).await);
    prepare(&near).await;
    let options = MirrorMakerOptions::new(KafkaVersion::V4_3)
        .jvm(JvmMode::Test)
        .heap_mb(512)
        .one_replica()
        .properties(&settings(&source, &target));
    let place = Place::new("mm2.properties", &settings(&source, &target));
    let mirror_maker = MirrorMaker::start(&options).unwrap();

    let seen = until(&place, &mirror_maker, "all is mirrored and translated", |flow| {
        let is_translated = |one: &Value| one["at_target"].is_i64();
        flow["partitions"][0]["lag"]["highest"] == 0
            && array(flow, "groups").len() == GROUPS.len()
            && array(flow, "groups").iter().all(is_translated)
    });
    let flow = &seen["flows"][0];
    assert_eq!((&flow["flow"], &flow["state"]), (&"near->far".into(), &"running".into()));
    assert_eq!(flow["connect_group"], "near-mm2");
    assert_eq!(array(flow, "workers").len(), 1, "{flow}");
    assert_eq!(flow["notes"], Value::Array(Vec::new()), "{flow}");
    let partition = &flow["partitions"][0];
    assert_eq!(partition["mirror_topic"], "near.observed");
    assert_eq!(partition["mirrored_to"], exactly(RECORDS));
    assert_eq!(partition["mirror_log_end"], RECORDS - DELETED);
    for one in array(flow, "groups") {
        let (_, committed) = GROUPS.iter().find(|(group, _)| one["group"] == *group).unwrap();
        assert_eq!(one["exact"], exactly(committed - DELETED), "{one}");
        // Wherever MirrorMaker 2 puts the group, the difference is told.
        let at_target = one["at_target"].as_i64().unwrap();
        assert!(at_target <= committed - DELETED, "{one}");
        assert_eq!(one["rereads"], exactly(committed - DELETED - at_target), "{one}");
        let place = TopicPartition::new("near.observed", 0);
        let group = one["group"].as_str().unwrap();
        assert_eq!(far.group_offsets(group).await.unwrap()[&place].offset, at_target);
    }
    let table = farlog(&["observe", place.file(), "--group", "middle"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("near->far: MirrorMaker 2 is running: heartbeat "), "{table}");
    assert!(table.contains(" With Farlog's exact map: none."), "{table}");
    assert!(!table.contains("ahead"), "{table}");

    // What it does not mirror any more is lag.
    mirror_maker.kill().unwrap();
    append(&near, RECORDS, 30).await;
    let seen = look(&place);
    let partition = &seen["flows"][0]["partitions"][0];
    assert_eq!(partition["lag"], exactly(30), "{partition}");
    assert_eq!(partition["mirrored_to"], exactly(RECORDS));

    let other = farlog(&["observe", place.file(), "--clusters", "near"]);
    assert_eq!(other.status.code(), Some(64));
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(said.contains("no flow of the file leads to near"), "{said}");
}

fn settings(source: &KafkaCluster, target: &KafkaCluster) -> String {
    let mut settings = format!(
        "clusters = near, far\n\
         near.bootstrap.servers = {}\n\
         far.bootstrap.servers = {}\n\
         near->far.enabled = true\n\
         near->far.topics = observed\n\
         near->far.groups = ahead, middle, behind\n\
         near->far.heartbeats.replication.enabled = false\n\
         far->near.emit.heartbeats.enabled = false\n",
        source.bootstrap(),
        target.bootstrap()
    );
    for line in [
        "refresh.topics.interval.seconds = 1",
        "refresh.groups.interval.seconds = 1",
        "emit.checkpoints.interval.seconds = 1",
        "sync.group.offsets.enabled = true",
        "sync.group.offsets.interval.seconds = 1",
        "far.offset.flush.interval.ms = 1000",
    ] {
        settings.push_str(line);
        settings.push('\n');
    }
    settings
}

async fn prepare(near: &Cluster) {
    let new = NewTopic {
        name: "observed".to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]),
    };
    near.create_topics(&[new], false).await.unwrap()["observed"].as_ref().unwrap();
    for first in (0..RECORDS).step_by(100) {
        append(near, first, 100).await;
    }
    let place = TopicPartition::new("observed", 0);
    near.delete_records([(place.clone(), DELETED)]).await[&place].as_ref().unwrap();
    for (group, offset) in GROUPS {
        let committed = CommittedOffset { offset, leader_epoch: None, metadata: String::new() };
        let positions = BTreeMap::from([(place.clone(), committed)]);
        near.commit_group_offsets(group, &positions).await.unwrap()[&place].as_ref().unwrap();
    }
}

async fn append(near: &Cluster, first: i64, count: i64) {
    let mut batch = BatchWriter::new();
    for number in first..first + count {
        // Half of all records have an equal one.
        let value = (number / 2).to_string();
        batch.push(1_795_000_000_000, None, Some(value.as_bytes()), &[]);
    }
    let batch = batch.finish(ProducerStamp::NONE).unwrap();
    near.produce_batch(&TopicPartition::new("observed", 0), &batch).await.unwrap();
}

fn look(place: &Place) -> Value {
    let output = farlog(&["observe", place.file(), "--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    json(&String::from_utf8(output.stdout).unwrap())
}

/// Looks until it is so; says what was seen when patience ends.
fn until(
    place: &Place,
    mirror_maker: &MirrorMaker,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look(place);
        if wanted(&seen["flows"][0]) {
            return seen;
        }
        let log = || mirror_maker.log_tail();
        assert!(Instant::now() < deadline, "{what} did not come: {seen:#}\n{}", log());
        std::thread::sleep(LOOK);
    }
}

fn array<'v>(value: &'v Value, name: &str) -> &'v Vec<Value> {
    value[name].as_array().unwrap()
}

fn exactly(offset: i64) -> Value {
    serde_json::json!({ "lowest": offset, "highest": offset })
}
