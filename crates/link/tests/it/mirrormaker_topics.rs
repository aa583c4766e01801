//! What a link writes for MirrorMaker 2's readers, read by them: Java's `RemoteClusterUtils`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use farlog_client::admin::CommittedOffset;
use farlog_client::{Cluster, TopicPartition, TopicSelection};
use farlog_link::LinkOptions;
use farlog_link::mm2::{
    Checkpoint, CheckpointWriter, HeartbeatPair, MirrorMakerTopics, OffsetSync, OffsetSyncsLocation,
};
use farlog_link::topics::{JavaPattern, Naming, NamingPolicy};
use farlog_testkit::kafka::KafkaVersion;
use farlog_testkit::tools::Tool;
use farlog_wire::records::{Compression, records};
use tokio::time::{Instant, sleep};

use crate::fixture::{self, Pair, create_topic, log, pair, produce, start, unique};
use crate::mirror::{NOW_MS, batch};

const PATIENCE: Duration = Duration::from_secs(60);
const GROUPS: i64 = 50;
const DELETED: i64 = 30;

/// A link named as MirrorMaker 2 would name things, between aliases of its own.
fn options(topic: &str, source: &str, target: &str) -> LinkOptions {
    let mut options = fixture::options(topic);
    let naming = NamingPolicy::new(Naming::Prefixed, source, target);
    options.topics.naming = naming.clone();
    options.topics.heartbeats = true;
    let beat = |from: &str, to: &str| HeartbeatPair {
        source_alias: from.to_owned(),
        target_alias: to.to_owned(),
    };
    options.source_alias = source.to_owned();
    options.target_alias = target.to_owned();
    options.mirrormaker = Some(MirrorMakerTopics {
        pair: farlog_link::mm2::Pair { naming, location: OffsetSyncsLocation::Source },
        heartbeats: vec![beat(source, target), beat(target, source)],
        heartbeat_interval: Duration::from_millis(200),
        heartbeats_replication_factor: 1,
        offset_lag_max: Some(9),
        offset_syncs_replication_factor: 1,
        checkpoint_interval: Some(Duration::from_millis(200)),
        checkpoints_replication_factor: 1,
        groups: Some(JavaPattern::new("group-.*").unwrap()),
        groups_exclude: None,
    });
    options
}

/// The offset syncs of a topic: source offset to target offset, in order.
async fn offset_syncs(cluster: &Cluster, name: &str, topic: &str) -> Vec<(i64, i64)> {
    let asked = TopicSelection::one(name);
    if cluster.metadata(&asked).await.unwrap().topic(name).is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for batch in log(cluster, name, 0).await {
        for record in records(&batch).unwrap() {
            let sync = OffsetSync::read(record.key, record.value).unwrap().unwrap();
            if sync.topic == topic {
                found.push((sync.upstream_offset, sync.downstream_offset));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn java_finds_heartbeats_and_checkpoints_and_syncs_are_true() {
    let pair = pair().await;
    let (source, target) = (unique("from"), unique("to"));
    let topic = unique("told");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    for part in 0..5 {
        produce(&pair.source, &topic, 0, &batch(Compression::None, part * 40, 40, NOW_MS)).await;
    }
    let place = TopicPartition::new(topic.as_str(), 0);
    let deleted = pair.source.delete_records([(place.clone(), DELETED)]).await;
    deleted[&place].as_ref().unwrap();
    let link = start(&pair, options(&topic, &source, &target));
    let syncs_topic = format!("mm2-offset-syncs.{target}.internal");
    // The heartbeats of the source are mirrored as well, so that Java finds the way.
    let mirrored = format!("{source}.heartbeats");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let syncs = offset_syncs(&pair.source, &syncs_topic, &topic).await;
        let metadata = pair.target.metadata(&TopicSelection::All).await.unwrap();
        if syncs.last() == Some(&(199, 199 - DELETED)) && metadata.topic(&mirrored).is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "{syncs:?}, {:?}", metadata.topics.keys());
        sleep(Duration::from_millis(50)).await;
    }
    produce(&pair.source, &topic, 0, &batch(Compression::Zstd, 200, 25, NOW_MS)).await;
    let end = DELETED..225;
    let done = |status: &farlog_link::status::LinkStatus| {
        status
            .partitions
            .iter()
            .any(|one| one.source_topic == topic && one.source_offset == end.end)
    };
    link.until("the rest", done).await;
    let mirror = format!("{source}.{topic}");
    let checkpoints = commit(&pair, &place, &mirror).await;
    let name = format!("{source}.checkpoints.internal");
    let deadline = Instant::now() + PATIENCE;
    while checkpoints_of(&pair.target, &name).await != checkpoints {
        assert!(Instant::now() < deadline, "{:?}", checkpoints_of(&pair.target, &name).await);
        sleep(Duration::from_millis(50)).await;
    }
    // The last record of a burst gets a sync although it is not ten behind the one before.
    let deadline = Instant::now() + PATIENCE;
    let syncs = loop {
        let syncs = offset_syncs(&pair.source, &syncs_topic, &topic).await;
        if syncs.last() == Some(&(224, 224 - DELETED)) {
            break syncs;
        }
        assert!(Instant::now() < deadline, "{syncs:?}");
        sleep(Duration::from_millis(50)).await;
    };
    link.stop().await;
    for (upstream, downstream) in &syncs {
        assert!(end.contains(upstream), "{syncs:?}");
        assert_eq!(upstream - downstream, DELETED, "{syncs:?}");
    }
    assert!(syncs.windows(2).all(|two| two[1].0 - two[0].0 <= 10 || two[0].0 < 199), "{syncs:?}");
    java_finds(&pair, &source, &checkpoints).await;

    // Nothing is written twice, and what is new is.
    let mut all: Vec<Checkpoint> = checkpoints.into_values().collect();
    let mut writer = CheckpointWriter::new(pair.target.clone(), &name, 1);
    assert_eq!(writer.write(&all, NOW_MS).await.unwrap(), 0);
    all[7].downstream_offset += 1;
    let again = [all[7].clone(), all[8].clone(), all[7].clone()];
    assert_eq!(writer.write(&again, NOW_MS).await.unwrap(), 1);
    let last = checkpoints_of(&pair.target, &name).await;
    assert!(last.into_values().eq(all));
}

/// Commits positions of groups at the source; the checkpoints that belong to them.
async fn commit(pair: &Pair, place: &TopicPartition, mirror: &str) -> BTreeMap<String, Checkpoint> {
    let mut checkpoints = BTreeMap::new();
    for number in 0..GROUPS {
        let (group, offset) = (format!("group-{number:02}"), DELETED + 3 * number);
        let metadata = "kept".to_owned();
        let committed = CommittedOffset { offset, leader_epoch: None, metadata: metadata.clone() };
        let positions = BTreeMap::from([(place.clone(), committed)]);
        let done = pair.source.commit_group_offsets(&group, &positions).await.unwrap();
        done[place].as_ref().unwrap();
        let checkpoint = Checkpoint {
            group: group.clone(),
            topic: mirror.to_owned(),
            partition: 0,
            upstream_offset: offset,
            downstream_offset: offset - DELETED,
            metadata,
        };
        checkpoints.insert(group, checkpoint);
    }
    checkpoints
}

/// The last checkpoint of each group.
async fn checkpoints_of(cluster: &Cluster, name: &str) -> BTreeMap<String, Checkpoint> {
    let mut found = BTreeMap::new();
    let asked = TopicSelection::one(name);
    if cluster.metadata(&asked).await.unwrap().topic(name).is_none() {
        return found;
    }
    for batch in log(cluster, name, 0).await {
        for record in records(&batch).unwrap() {
            let one = Checkpoint::read(record.key, record.value).unwrap().unwrap();
            found.insert(one.group.clone(), one);
        }
    }
    found
}

/// What `RemoteClusterUtils` answers for each group is what the checkpoints say, one hop away.
async fn java_finds(pair: &Pair, source: &str, checkpoints: &BTreeMap<String, Checkpoint>) {
    let bootstrap: Vec<String> = {
        let brokers = &pair.target.cached_metadata().brokers;
        brokers.values().map(|broker| broker.name.address.to_string()).collect()
    };
    let bootstrap = bootstrap.join(",");
    let asked = checkpoints.keys().map(|group| format!("{bootstrap}/{source}/{group}"));
    let tool = Tool::java_client(KafkaVersion::V4_3, "Translate").args(asked);
    let said = tokio::task::spawn_blocking(|| tool.run().unwrap().stdout).await.unwrap();
    let mut expected = String::new();
    for one in checkpoints.values() {
        let (topic, offset) = (&one.topic, one.downstream_offset);
        write!(expected, "{source} 1\n{topic} 0 {offset}\n").unwrap();
    }
    assert_eq!(said, expected);
}
