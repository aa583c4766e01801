//! Random histories at the source while links are ended without a word and started again: every
//! committed record is in the mirror once, in order, and nothing else is.
//!
//! The processes of `crates/farlog/tests` are killed for real; here the same happens to tasks,
//! which is faster and finds most of the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farlog_client::admin::CommittedOffset;
use farlog_client::{Cluster, TopicPartition, TopicSelection};
use farlog_link::groups::{Direction, GroupSelection};
use farlog_link::limits::STATE_PARTITIONS;
use farlog_link::offsets::{Certainty, Translated};
use farlog_link::state::{MirrorId, StateKey};
use farlog_link::status::LinkStatus;
use farlog_link::topics::TopicRule;
use farlog_link::{LinkOptions, Offsets, ProducerIds};
use farlog_testkit::history::Session;
use farlog_testkit::history::account::Expected;
use farlog_testkit::history::checker::{Extent, check};
use farlog_testkit::history::generator::{Generator, GeneratorOptions, TopicKind, TopicPlan};
use farlog_testkit::history::random::Random;
use farlog_testkit::history::reader::{PartitionLog, read_partition};
use farlog_testkit::history::record::Identity;
use farlog_wire::records::records;
use tokio::time::sleep;

use crate::fixture::{PATIENCE, Pair, bootstraps, log, log_end, options, pair, start, unique};

const DAY_MS: i64 = 24 * 3600 * 1000;
const ROUNDS: usize = 12;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn link_options(prefix: &str, static_instance: bool) -> LinkOptions {
    let mut options = options(prefix);
    options.topics.filter.include = vec![TopicRule::Prefix(format!("{prefix}."))];
    options.static_instance = static_instance;
    options.groups = Some(GroupSelection::everything());
    options.sealed_records_min = 2;
    options
}

/// Writes histories while links come and go, then compares.
async fn survive(seed: u64, base_timestamp_ms: i64, producer_ids: ProducerIds) {
    survive_with(seed, base_timestamp_ms, producer_ids, Offsets::Translate).await;
}

async fn survive_with(
    seed: u64,
    base_timestamp_ms: i64,
    producer_ids: ProducerIds,
    offsets: Offsets,
) {
    let pair = pair().await;
    let prefix = unique("history");
    let kinds = [
        TopicKind::Plain,
        TopicKind::Transactional,
        TopicKind::Compacted,
        TopicKind::AppendTime,
        TopicKind::Growing,
    ];
    let topics = kinds.map(|kind| TopicPlan {
        name: format!("{prefix}.{kind:?}"),
        kind,
        partitions: 2,
        age_ms: 0,
    });
    let (source, target) = bootstraps();
    let source = Session::connect(&source).await.unwrap();
    let target = Session::connect(&target).await.unwrap();
    let generator_options = GeneratorOptions { seed, topics: topics.to_vec(), base_timestamp_ms };
    let mut generator = Generator::create(source, generator_options).await.unwrap();
    let mut random = Random::named(seed, "kills");
    let mut groups = Groups::new(&prefix);
    for round in 0..ROUNDS {
        let options =
            LinkOptions { producer_ids, offsets, ..link_options(&prefix, round % 3 != 0) };
        let link = start(&pair, options);
        let until = tokio::time::Instant::now() + Duration::from_millis(random.between(100, 1500));
        while tokio::time::Instant::now() < until {
            generator.step().await.unwrap();
            if random.between(0, 4) == 0 {
                groups.commit(&pair, &generator, &mut random).await;
            }
        }
        if round % 4 == 3 { link.stop().await } else { link.kill().await }
    }
    generator.settle().await.unwrap();
    let options = LinkOptions { producer_ids, offsets, ..link_options(&prefix, true) };
    let link = start(&pair, options.clone());
    catch_up(&pair, &generator, &link).await;
    check_maps(&pair, &target, &generator, &link, &options).await;
    groups.check(&pair, &link, &options).await;
    link.stop().await;
    if offsets == Offsets::Translate {
        // Its turns find what the one before wrote ahead, and replace it.
        let link = start(&pair, options.clone());
        catch_up(&pair, &generator, &link).await;
        becomes_small(&pair, &options).await;
        link.stop().await;
    }
    for (plan, partition, account) in generator.accounts() {
        let mirror = read_partition(&target, &plan.name, partition).await.unwrap();
        let mut expected = account.expected();
        if plan.kind == TopicKind::Compacted {
            only_last_of_each_key(&mut expected, &source_keys(plan, partition).await);
        }
        let report = check(&expected, &account.aborted, &mirror, Extent::Whole);
        assert_eq!(report.findings_total, 0, "seed {seed}, {} {partition}: {report}", plan.name);
        if offsets == Offsets::Preserve {
            let source = read_partition(generator.session(), &plan.name, partition).await.unwrap();
            same_offsets(&source, &mirror);
        }
    }
}

/// Every record of the mirror has the offset that it has at the source, and the logs end alike.
fn same_offsets(source: &PartitionLog, mirror: &PartitionLog) {
    let place = format!("{} {}", source.topic, source.partition);
    assert_eq!(mirror.end_offset, source.end_offset, "{place}");
    let offsets: HashMap<Identity, i64> =
        source.records.iter().map(|record| (record.identity(), record.offset)).collect();
    for record in &mirror.records {
        // Compaction of the source may have taken it since.
        let at_source = offsets.get(&record.identity()).copied();
        assert!(at_source.is_none_or(|offset| offset == record.offset), "{place}: {record:?}");
    }
}

async fn mirror_id(pair: &Pair, options: &LinkOptions, topic: &str, partition: i32) -> MirrorId {
    let topic_id = async |cluster: &Cluster| {
        let metadata = cluster.metadata(&TopicSelection::one(topic)).await.unwrap();
        metadata.topic(topic).unwrap().topic_id.unwrap()
    };
    MirrorId {
        link: options.name.clone(),
        source_topic_id: topic_id(&pair.source).await,
        target_topic_id: topic_id(&pair.target).await,
        partition,
    }
}

/// Groups that commit anywhere at the source, forwards and backwards, while links come and go.
struct Groups {
    names: [String; 3],
    committed: BTreeMap<(String, TopicPartition), i64>,
}

impl Groups {
    fn new(prefix: &str) -> Self {
        Self { names: [1, 2, 3].map(|n| format!("{prefix}-{n}")), committed: BTreeMap::new() }
    }

    /// One of them commits, within what the source has, or a little beyond what is mirrored.
    async fn commit(&mut self, pair: &Pair, generator: &Generator, random: &mut Random) {
        let places: Vec<(String, i32)> = generator
            .accounts()
            .map(|(plan, partition, _)| (plan.name.clone(), partition))
            .collect();
        let (topic, partition) = &places[random.between(0, places.len() as u64 - 1) as usize];
        let group = &self.names[random.between(0, 2) as usize];
        let end = log_end(&pair.source, topic, *partition).await;
        let offset = end - (random.between(0, 20) as i64).min(end);
        let place = TopicPartition::new(topic.as_str(), *partition);
        let metadata = random.between(0, 9).to_string();
        let offsets = CommittedOffset { offset, leader_epoch: None, metadata };
        let offsets = BTreeMap::from([(place.clone(), offsets)]);
        let results = pair.source.commit_group_offsets(group, &offsets).await.unwrap();
        results[&place].as_ref().unwrap();
        self.committed.insert((group.clone(), place), offset);
    }

    /// They are at the target where they are at the source.
    async fn check(&self, pair: &Pair, link: &crate::fixture::Running, options: &LinkOptions) {
        assert!(!self.committed.is_empty());
        for ((group, place), committed) in &self.committed {
            let mirror = mirror_id(pair, options, &place.topic, place.partition).await;
            let expected =
                link.handle.translated(&mirror, Direction::ToTarget, *committed).unwrap();
            assert_eq!(expected.certainty, Certainty::Exact);
            let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
            loop {
                let found = pair.target.group_offsets(group).await.unwrap();
                let found = found.get(place).map(|found| found.offset);
                if found == Some(expected.offset) {
                    break;
                }
                let status = link.handle.status().groups;
                assert!(
                    tokio::time::Instant::now() < deadline,
                    "{group} {place}: {committed} is {expected:?}, not {found:?}: {status:#?}"
                );
                sleep(Duration::from_millis(20)).await;
            }
        }
        // What failed on a loaded machine is tried again.
        let settled = |status: &LinkStatus| {
            let groups = status.groups.as_ref();
            groups.is_some_and(|groups| (groups.foreign_total, groups.trouble_total) == (0, 0))
        };
        link.until("groups without trouble", settled).await;
    }
}

/// The maps that the link keeps translate every record both ways.
async fn check_maps(
    pair: &Pair,
    target: &Session,
    generator: &Generator,
    link: &crate::fixture::Running,
    options: &LinkOptions,
) {
    let mut translated = 0;
    for (plan, partition, account) in generator.accounts() {
        let mirror = mirror_id(pair, options, &plan.name, partition).await;
        let expected = account.expected().into_iter();
        let sources: HashMap<Identity, i64> =
            expected.map(|one| (one.identity, one.source_offset)).collect();
        for record in read_partition(target, &plan.name, partition).await.unwrap().records {
            let Some(&source_offset) = sources.get(&record.identity()) else { continue };
            let pairs = [
                (Direction::ToTarget, source_offset, record.offset),
                (Direction::ToSource, record.offset, source_offset),
            ];
            translated += 1;
            for (direction, position, offset) in pairs {
                let exact = Some(Translated { offset, certainty: Certainty::Exact });
                let said = link.handle.translated(&mirror, direction, position);
                assert_eq!(said, exact, "{} {partition}: {direction:?} {position}", plan.name);
            }
        }
    }
    assert!(translated > 0);
}

/// Blocks take the place of entries in the state topic.
async fn becomes_small(pair: &Pair, options: &LinkOptions) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let kept = state_keys(pair, options).await;
        let count = |kind: &str, only_kept: bool| {
            kept.iter()
                .filter(|(key, kept)| key.starts_with(kind) && (**kept || !only_kept))
                .count()
        };
        let is_small = count("entry|", true) < count("entry|", false);
        if is_small && count("block|", true) > 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing was sealed: {kept:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The keys that the link has ever written to its state topic, and whether they have a value.
async fn state_keys(pair: &Pair, options: &LinkOptions) -> BTreeMap<String, bool> {
    let mut kept = BTreeMap::new();
    for partition in 0..STATE_PARTITIONS {
        for batch in log(&pair.target, "__farlog_state", partition).await {
            for record in records(&batch).unwrap() {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                if StateKey::parse(&key).unwrap().link() == options.name {
                    kept.insert(key, record.value.is_some());
                }
            }
        }
    }
    kept
}

/// What both cleaners must leave: the last record of each key, unless it is a tombstone.
fn only_last_of_each_key(expected: &mut [Expected], kept: &HashSet<Identity>) {
    let mut later = HashSet::new();
    for one in expected.iter_mut().rev() {
        let last = later.insert(one.fields.key);
        one.required = last && kept.contains(&one.identity);
    }
}

/// The records with a value that the source still has.
async fn source_keys(plan: &TopicPlan, partition: i32) -> HashSet<Identity> {
    let source = Session::connect(&bootstraps().0).await.unwrap();
    let source = read_partition(&source, &plan.name, partition).await.unwrap();
    let kept = source.records.iter().filter(|record| record.value.is_some());
    kept.map(|record| record.identity()).collect()
}

async fn catch_up(pair: &Pair, generator: &Generator, link: &crate::fixture::Running) {
    let mut ends = Vec::new();
    for (plan, partition, _) in generator.accounts() {
        let end = log_end(&pair.source, &plan.name, partition).await;
        ends.push((plan.name.clone(), partition, end));
    }
    link.until("catching up", |status| {
        ends.iter().all(|(topic, partition, end)| {
            status.partitions.iter().any(|found| {
                found.source_topic == *topic
                    && found.partition == *partition
                    && found.source_offset >= *end
            })
        })
    })
    .await;
    sleep(Duration::from_millis(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn armed_histories_survive() {
    survive(11, now_ms(), ProducerIds::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unarmed_histories_survive() {
    survive(12, now_ms() - 2 * DAY_MS, ProducerIds::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_survive_with_an_allocated_producer_id() {
    survive(13, now_ms(), ProducerIds::Allocated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_survive_under_their_source_offsets() {
    survive_with(14, now_ms(), ProducerIds::Auto, Offsets::Preserve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unarmed_histories_survive_under_their_source_offsets() {
    survive_with(15, now_ms() - 2 * DAY_MS, ProducerIds::Auto, Offsets::Preserve).await;
}
