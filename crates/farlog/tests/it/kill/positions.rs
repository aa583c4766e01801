//! Where groups would resume: the exact record, whatever happened to source, mirror and instances.

use std::collections::HashMap;
use std::process::Command;

use farlog_testkit::history::Session;
use farlog_testkit::history::generator::{Generator, TopicKind};
use farlog_testkit::history::reader::read_partition;
use farlog_testkit::history::record::{Identity, LogRecord};
use farlog_wire::ErrorCode;
use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use serde_json::Value;
use tokio::task::block_in_place;

use super::fixture::{FARLOG, History, OLD_MS};

/// By topic names, as a group without members.
const OFFSET_COMMIT: i16 = 7;

/// Groups that stand at so many places, from the start to the end.
const PLACES: i64 = 6;

/// Commits as a group that manages its partitions itself.
async fn commit(
    history: &History,
    session: &Session,
    group: &str,
    positions: &[(String, i32, i64)],
) {
    let topics = positions.iter().map(|(topic, partition, offset)| OffsetCommitRequestTopic {
        name: topic.clone(),
        partitions: vec![OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            ..OffsetCommitRequestPartition::default()
        }],
        ..OffsetCommitRequestTopic::default()
    });
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: topics.collect(),
        ..OffsetCommitRequest::default()
    };
    // The first group of a cluster makes it create the topic of all of them.
    let committed = async || {
        let coordinator = session.cluster().group_coordinator(group).await;
        let Ok(coordinator) = coordinator else { return false };
        let Ok(response) = coordinator.send_version(&request, OFFSET_COMMIT).await else {
            return false;
        };
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.all(|partition| partition.error_code == ErrorCode::NONE)
    };
    history.until("committing", committed).await;
}

/// What `farlog groups describe` says of a group.
fn describe(history: &History, group: &str, to: &str) -> Vec<Value> {
    let file = history.file();
    let said = block_in_place(|| {
        Command::new(FARLOG)
            .args(["groups", "describe", group, "--to", to, "--output", "json", "--file"])
            .arg(file)
            .output()
            .unwrap()
    });
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{group} to {to}: {complaint}");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    said["partitions"].as_array().unwrap().clone()
}

/// Source offset of each record of a partition that was ever committed there.
fn source_offsets(generator: &Generator, topic: &str, partition: i32) -> HashMap<Identity, i64> {
    let account = generator.account(topic, partition).unwrap();
    account.expected().into_iter().map(|one| (one.identity, one.source_offset)).collect()
}

/// Source offset and offset of each record that the mirror has.
async fn mirrored(
    history: &History,
    generator: &Generator,
    topic: &str,
    partition: i32,
) -> Vec<(i64, i64)> {
    let known = source_offsets(generator, topic, partition);
    let mirror = read_partition(&history.target, topic, partition).await.unwrap();
    let pair = |record: &LogRecord| (known[&record.identity()], record.offset);
    mirror.records.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_would_resume_at_the_exact_record() {
    let mut history = History::new("positions").await;
    let topics = [
        ("plain", TopicKind::Plain, 1),
        ("transactional", TopicKind::Transactional, 2),
        ("compacted", TopicKind::Compacted, 1),
    ];
    let mut generator = history.generator(7, &topics, OLD_MS).await;
    for round in 0..6 {
        history.start(round % 2).await;
        for _ in 0..25 {
            generator.step().await.unwrap();
        }
        history.kill(round % 2);
    }
    assert!(history.verdict(&mut generator).await.is_clean());
    let partitions: Vec<(String, i32)> = topics
        .iter()
        .flat_map(|(name, _, count)| (0..*count).map(|partition| (history.topic(name), partition)))
        .collect();
    let mut mirrors = HashMap::new();
    for (topic, partition) in &partitions {
        let pairs = mirrored(&history, &generator, topic, *partition).await;
        mirrors.insert((topic.clone(), i64::from(*partition)), pairs);
    }
    for place in 0..=PLACES {
        let group = format!("positions-{place}");
        let (mut at_source, mut at_target) = (Vec::new(), Vec::new());
        for (topic, partition) in &partitions {
            let end = history.source.log_end(topic, *partition).await.unwrap();
            at_source.push((topic.clone(), *partition, end * place / PLACES));
            let end = history.target.log_end(topic, *partition).await.unwrap();
            at_target.push((topic.clone(), *partition, end * place / PLACES));
        }
        commit(&history, &history.source, &group, &at_source).await;
        commit(&history, &history.target, &group, &at_target).await;
        for (to, forward) in [("target", true), ("source", false)] {
            let said = describe(&history, &group, to);
            assert_eq!(said.len(), partitions.len());
            for one in said {
                assert_eq!(one["exact"], true, "{one}");
                let name = one["topic"].as_str().unwrap().to_owned();
                let pairs = &mirrors[&(name, one["partition"].as_i64().unwrap())];
                let from = one["current_offset"].as_i64().unwrap();
                let to = one["target_offset"].as_i64().unwrap();
                // Whoever has consumed what is before the one position has consumed exactly what is
                // before the other.
                for &(source, target) in pairs {
                    let (here, there) = if forward { (source, target) } else { (target, source) };
                    assert_eq!(here < from, there < to, "{here} is {there}: {one}");
                }
            }
        }
    }
}
