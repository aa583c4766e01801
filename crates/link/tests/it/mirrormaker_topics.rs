//! What a link writes for MirrorMaker 2's readers, read by them: Java's `RemoteClusterUtils`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use farlog_client::TopicPartition;
use farlog_link::LinkOptions;
use farlog_link::mm2::{
    Checkpoint, CheckpointWriter, HeartbeatPair, MirrorMakerTopics, OffsetSync, OffsetSyncsLocation,
};
use farlog_link::topics::{Naming, NamingPolicy};
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
        checkpoints_replication_factor: 1,
    });
    options
}

/// The offset syncs of a topic: source offset to target offset, in order.
async fn offset_syncs(
    cluster: &farlog_client::Cluster,
    name: &str,
    topic: &str,
) -> Vec<(i64, i64)> {
    let asked = farlog_client::TopicSelection::one(name);
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
        let metadata = pair.target.metadata(&farlog_client::TopicSelection::All).await.unwrap();
        if syncs.last() == Some(&(199, 199 - DELETED)) && metadata.topic(&mirrored).is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "{syncs:?}, {:?}", metadata.topics.keys());
        sleep(Duration::from_millis(50)).await;
    }
    // More, and the end: what waited is written before the link stops.
    produce(&pair.source, &topic, 0, &batch(Compression::Zstd, 200, 25, NOW_MS)).await;
    let end = DELETED..225;
    let done = |status: &farlog_link::status::LinkStatus| {
        status
            .partitions
            .iter()
            .any(|one| one.source_topic == topic && one.source_offset == end.end)
    };
    link.until("the rest", done).await;
    link.stop().await;
    let syncs = offset_syncs(&pair.source, &syncs_topic, &topic).await;
    assert_eq!(syncs.last(), Some(&(224, 224 - DELETED)), "{syncs:?}");
    for (upstream, downstream) in &syncs {
        assert!(end.contains(upstream), "{syncs:?}");
        assert_eq!(upstream - downstream, DELETED, "{syncs:?}");
    }
    assert!(syncs.windows(2).all(|two| two[1].0 - two[0].0 <= 10 || two[0].0 < 200), "{syncs:?}");

    checkpoints_are_found(&pair, &source, &format!("{source}.{topic}")).await;
}

/// Positions of 50 groups, written as checkpoints and asked for by Java.
async fn checkpoints_are_found(pair: &Pair, source: &str, mirror: &str) {
    let checkpoint = |group: i64, moved: i64| Checkpoint {
        group: format!("group-{group:02}"),
        topic: mirror.to_owned(),
        partition: 0,
        upstream_offset: DELETED + group + moved,
        downstream_offset: group + moved,
        metadata: "kept".to_owned(),
    };
    let name = format!("{source}.checkpoints.internal");
    let mut writer = CheckpointWriter::new(pair.target.clone(), &name, 1);
    let all: Vec<Checkpoint> = (0..GROUPS).map(|group| checkpoint(group, 0)).collect();
    assert_eq!(writer.write(&all, NOW_MS).await.unwrap(), 50);
    assert_eq!(writer.write(&all, NOW_MS).await.unwrap(), 0, "nothing is new");
    let again = [checkpoint(1, 0), checkpoint(7, 5), checkpoint(7, 6)];
    let mut next = CheckpointWriter::new(pair.target.clone(), &name, 1);
    assert_eq!(next.write(&again, NOW_MS).await.unwrap(), 1, "of what is there one is new");

    let bootstrap: Vec<String> = {
        let brokers = &pair.target.cached_metadata().brokers;
        brokers.values().map(|broker| broker.name.address.to_string()).collect()
    };
    let question = |group: i64| format!("{}/{source}/group-{group:02}", bootstrap.join(","));
    let mut expected = String::new();
    for group in 0..GROUPS {
        let offset = if group == 7 { 13 } else { group };
        write!(expected, "{source} 1\n{mirror} 0 {offset}\n").unwrap();
    }
    let asked: BTreeMap<i64, String> = (0..GROUPS).map(|group| (group, question(group))).collect();
    let tool = Tool::java_client(KafkaVersion::V4_3, "Translate").args(asked.into_values());
    let said = tokio::task::spawn_blocking(|| tool.run().unwrap().stdout).await.unwrap();
    assert_eq!(said, expected);
}
