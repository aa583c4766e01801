//! Replicated topics whose leaders move, in an orderly way and not, at the target and at the
//! source.

use std::path::Path;
use std::time::Duration;

use farlog_testkit::history::batch::Stamp;
use farlog_testkit::history::checker::{Extent, check};
use farlog_testkit::history::generator::{Generator, GeneratorOptions, TopicKind, TopicPlan};
use farlog_testkit::history::orchestrator::{
    Diary, Instances, LinkFile, UNARMED_AGE_MS, check_topics, partition_state,
};
use farlog_testkit::history::reader::{PartitionLog, read_partition};
use farlog_testkit::history::{Session, record};
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion};
use farlog_testkit::scratch::Scratch;
use farlog_wire::messages::elect_leaders_request::ElectLeadersRequest;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::binary::FARLOG;
use crate::kill::fixture::{PATIENCE, now_ms, records};

const VERSION: KafkaVersion = KafkaVersion::V4_3;
const POLL: Duration = Duration::from_millis(50);

struct Pair {
    source: Session,
    target: Session,
    instances: Instances,
    _scratch: Scratch,
}

impl Pair {
    /// A link between two clusters that mirrors the topics that begin with its name.
    async fn new(name: &str, source: &KafkaCluster, target: &KafkaCluster) -> Pair {
        let scratch = Scratch::new(name).unwrap();
        let replicas = target.brokers().count();
        let link = LinkFile {
            name: name.to_owned(),
            source: source.bootstrap(),
            target: target.bootstrap(),
            topic_prefix: format!("{name}-"),
            session_timeout: Duration::from_secs(1),
            fields: vec![format!("replication-factor: {replicas}")],
        };
        let command = link.command(Path::new(FARLOG), scratch.path()).unwrap();
        let diary = Diary::create(&scratch.join("diary.log")).unwrap();
        let (source, target) = (source.bootstrap(), target.bootstrap());
        Pair {
            source: Session::connect(&source).await.unwrap(),
            target: Session::connect(&target).await.unwrap(),
            instances: Instances::new(command, diary).unwrap(),
            _scratch: scratch,
        }
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            let tail = self.instances.tail(0);
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}:\n{tail}");
            sleep(POLL).await;
        }
    }

    async fn until_state(&self, topic: &str, state: &str) -> Value {
        let address = self.instances.address(0);
        let asked = async || partition_state(&address, topic, 0).await.unwrap_or_default();
        self.until(state, async || asked().await["state"] == state).await;
        asked().await
    }

    async fn until_mirrored(&self, topic: &str, records: i64) {
        self.until("the mirror", async || {
            self.target.partitions(topic).await.unwrap() > 0
                && self.target.log_end(topic, 0).await.unwrap() >= records
        })
        .await;
    }
}

fn kafka(brokers: u8) -> KafkaCluster {
    let options = KafkaOptions::new(VERSION)
        .brokers(brokers)
        .property("replica.lag.time.max.ms", 1_500)
        .property("group.min.session.timeout.ms", 500)
        .property("producer.id.expiration.check.interval.ms", 2_000);
    KafkaCluster::start(options).unwrap()
}

async fn leader(session: &Session, topic: &str) -> i32 {
    session.cluster().forget_topic(topic);
    session.cluster().leader(topic, 0).await.unwrap().name.id.unwrap()
}

async fn until_led_by(pair: &Pair, session: &Session, topic: &str, broker: i32) {
    pair.until("the election", async || {
        session.cluster().forget_topic(topic);
        let leader = session.cluster().leader(topic, 0).await;
        leader.is_ok_and(|leader| leader.name.id == Some(broker))
    })
    .await;
}

/// Three replicas at the target: whoever leads is killed, again and again, and led back; then the
/// mirrors lose what was acknowledged, by an unclean election. What is lost is mirrored again.
#[tokio::test(flavor = "multi_thread")]
async fn leaders_of_mirrors_move_and_lose_records() {
    let source = block_in_place(|| KafkaCluster::start(KafkaOptions::new(VERSION)).unwrap());
    let target = block_in_place(|| kafka(3));
    let mut pair = Pair::new("moves", &source, &target).await;
    let plan = |name: &str, kind, age_ms| TopicPlan {
        name: format!("moves-{name}"),
        kind,
        partitions: 1,
        age_ms,
    };
    let topics = vec![
        plan("armed", TopicKind::Transactional, 0),
        plan("unarmed", TopicKind::Plain, UNARMED_AGE_MS),
    ];
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let options = GeneratorOptions { seed: 31, topics, base_timestamp_ms: now_ms() };
    let mut generator = Generator::create(pair.source.clone(), options).await.unwrap();
    pair.instances.start(0).unwrap();
    for topic in &names {
        steps(&mut generator, 20).await;
        pair.until_mirrored(topic, 10).await;
        let broker = leader(&pair.target, topic).await;
        block_in_place(|| target.broker(broker).kill()).unwrap();
        steps(&mut generator, 20).await;
        block_in_place(|| target.broker(broker).start()).unwrap();
        steps(&mut generator, 10).await;
        // Preferred leaders, of all partitions.
        let request =
            ElectLeadersRequest { election_type: 0, topic_partitions: None, timeout_ms: 20_000 };
        pair.target.cluster().send_controller(&request).await.unwrap();
        steps(&mut generator, 10).await;
    }
    lose_records(&pair, &target, &names, &mut generator).await;
    steps(&mut generator, 20).await;
    generator.settle().await.unwrap();
    let address = pair.instances.address(0);
    let verdict = check_topics(&pair.source, &pair.target, &generator, &address, PATIENCE);
    let verdict = verdict.await.unwrap();
    let tail = pair.instances.tail(0);
    assert!(verdict.is_clean(), "{:?}\n{}\n{tail}", verdict.stuck, verdict.mirrors);
    assert!(pair.instances.ended().unwrap().is_empty(), "it gave up");
}

async fn steps(generator: &mut Generator, count: u32) {
    for _ in 0..count {
        generator.step().await.unwrap();
    }
}

/// Two brokers miss what the third acknowledges; then one of them leads.
async fn lose_records(
    pair: &Pair,
    target: &KafkaCluster,
    topics: &[String],
    generator: &mut Generator,
) {
    for topic in topics {
        let unclean = [("unclean.leader.election.enable", Some("true"))];
        pair.target.alter_topic(topic, &unclean).await.unwrap();
    }
    let ends = async || {
        let mut ends = Vec::new();
        for topic in topics {
            ends.push(pair.target.log_end(topic, 0).await.unwrap());
        }
        ends
    };
    block_in_place(|| [2, 3].map(|broker| target.broker(broker).kill().unwrap()));
    let before = ends().await;
    let grown = async || {
        let now = ends().await;
        now.iter().zip(&before).all(|(now, before)| now > before)
    };
    let deadline = Instant::now() + PATIENCE;
    while !grown().await {
        assert!(Instant::now() < deadline, "nothing is mirrored to the last replica");
        generator.step().await.unwrap();
    }
    let most = ends().await;
    block_in_place(|| {
        target.broker(1).kill().unwrap();
        target.broker(2).start().unwrap();
    });
    for topic in topics {
        until_led_by(pair, &pair.target, topic, 2).await;
    }
    let less = ends().await;
    assert!(less.iter().zip(&most).all(|(less, most)| less < most), "{most:?}, then {less:?}");
    block_in_place(|| [1, 3].map(|broker| target.broker(broker).start().unwrap()));
}

/// A source that loses acknowledged records by an unclean election and goes on with others: what
/// was mirrored stays, nothing follows it, and the partition says so; one whose lost records nobody
/// had mirrored goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_election_at_the_source_is_reported() {
    let source = block_in_place(|| kafka(2));
    let target = block_in_place(|| kafka(1));
    let mut pair = Pair::new("lost", &source, &target).await;
    let configs = [("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")];
    let (ahead, behind) = ("lost-ahead", "lost-behind");
    for topic in [ahead, behind] {
        pair.source.create_replicated_topic(topic, 1, 2, &configs).await.unwrap();
        append(&pair, topic, 0, 20).await;
    }
    pair.instances.start(0).unwrap();
    pair.until_mirrored(behind, 20).await;
    pair.until_mirrored(ahead, 20).await;
    block_in_place(|| source.broker(2).kill()).unwrap();
    append(&pair, ahead, 20, 20).await;
    pair.until_mirrored(ahead, 40).await;
    block_in_place(|| pair.instances.kill(0)).unwrap();
    append(&pair, behind, 20, 20).await;
    block_in_place(|| {
        source.broker(1).kill().unwrap();
        source.broker(2).start().unwrap();
    });
    for topic in [ahead, behind] {
        until_led_by(&pair, &pair.source, topic, 2).await;
        assert_eq!(pair.source.log_end(topic, 0).await.unwrap(), 20, "nothing was lost");
    }
    // One before the source has others in their place, one after.
    pair.instances.start(0).unwrap();
    pair.until_state(ahead, "stopped-diverged").await;
    for topic in [ahead, behind] {
        append(&pair, topic, 1_000, 40).await;
    }
    pair.until_mirrored(behind, 60).await;
    let said = pair.until_state(ahead, "stopped-diverged").await;
    assert!(said["why"].as_str().unwrap().contains("lost-ahead-0 lost records that are"), "{said}");
    let mirror = read_partition(&pair.target, ahead, 0).await.unwrap();
    assert_eq!(ordinals(&mirror), (0..40).collect::<Vec<_>>(), "nothing may follow");
    let log = read_partition(&pair.source, behind, 0).await.unwrap();
    let mirror = read_partition(&pair.target, behind, 0).await.unwrap();
    let report = check(&log.expected(), &log.aborted_identities(), &mirror, Extent::Whole);
    assert_eq!(report.findings_total, 0, "{report}");
}

async fn append(pair: &Pair, topic: &str, first: u64, count: u64) {
    let records = records(topic, 0, first, count, now_ms());
    pair.source.append(topic, 0, &records, &Stamp::plain()).await.unwrap();
}

fn ordinals(log: &PartitionLog) -> Vec<u64> {
    let ordinal = |record: &record::LogRecord| match record.identity() {
        record::Identity::Named(id) => id.ordinal,
        other => panic!("{other} in the mirror"),
    };
    log.records.iter().map(ordinal).collect()
}
