//! A simple program that mirrors: it starts at the end of the mirror, counts on from there, and
//! trusts the broker to refuse a sequence that is not the next. The kill harness is proven on it
//! before it judges Farlog: where brokers remember its producer id it is exact, and if it takes up
//! its work one record too early after each start, the histories must catch it.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use farlog_testkit::history::batch::Stamp;
use farlog_testkit::history::checker::Fault;
use farlog_testkit::history::generator::{TopicKind, TopicPlan};
use farlog_testkit::history::orchestrator::script::Side;
use farlog_testkit::history::orchestrator::{Clusters, Command, Diary, KillOptions, Summary, run};
use farlog_testkit::history::reader::read_partition;
use farlog_testkit::history::{HistoryError, Session};
use farlog_testkit::scratch::Scratch;

use super::LINK;

/// The arguments of the copier's process, in its environment.
const SOURCE: &str = "FARLOG_COPIER_SOURCE";
const TARGET: &str = "FARLOG_COPIER_TARGET";
const TOPICS: &str = "FARLOG_COPIER_TOPICS";
const REWINDS: &str = "FARLOG_COPIER_REWINDS";

const BATCH_RECORDS: usize = 50;

#[test]
#[ignore = "run by other tests, in processes of its own"]
fn copier_process() {
    let Ok(source) = std::env::var(SOURCE) else { return };
    let (target, topics) = (std::env::var(TARGET).unwrap(), std::env::var(TOPICS).unwrap());
    let rewinds = std::env::var_os(REWINDS).is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        loop {
            // Any error is an occasion to look again.
            if let Err(error) = copy(&source, &target, &topics, rewinds).await {
                println!("{error}");
            }
        }
    });
}

async fn copy(source: &str, target: &str, topics: &str, rewinds: bool) -> Result<(), HistoryError> {
    let source = Session::connect(source).await?;
    let target = Session::connect(target).await?;
    let mut places: HashMap<(&str, i32), Place> = HashMap::new();
    loop {
        for topic in topics.split(',') {
            let partitions = source.partitions(topic).await?;
            let there = target.partitions(topic).await?;
            if there == 0 && partitions > 0 {
                target.create_topic(topic, partitions, &[("retention.ms", "-1")]).await?;
            } else if there < partitions {
                target.create_partitions(topic, partitions).await?;
            }
            for partition in 0..partitions {
                let mut place = match places.get(&(topic, partition)) {
                    Some(place) => *place,
                    None => find_place(&target, topic, partition, rewinds).await?,
                };
                let log = read_partition(&source, topic, partition).await?;
                let rest = log.records.get(place.copied..).unwrap_or_default();
                for records in rest.chunks(BATCH_RECORDS) {
                    let stamp = Stamp::idempotent(&LINK, place.sequence);
                    target.append(topic, partition, records, &stamp).await?;
                    place.copied += records.len();
                    place.sequence += records.len() as i32;
                }
                places.insert((topic, partition), place);
            }
        }
    }
}

/// Where a partition is to be gone on with.
#[derive(Clone, Copy)]
struct Place {
    /// Records of the source that are there.
    copied: usize,
    /// Of the next batch.
    sequence: i32,
}

async fn find_place(
    target: &Session,
    topic: &str,
    partition: i32,
    rewinds: bool,
) -> Result<Place, HistoryError> {
    let sequence = target.log_end(topic, partition).await? as i32;
    if !rewinds {
        return Ok(Place { copied: sequence as usize, sequence });
    }
    let there = read_partition(target, topic, partition).await?;
    let different: BTreeSet<_> = there.records.iter().map(|record| record.identity()).collect();
    Ok(Place { copied: different.len().saturating_sub(1), sequence })
}

fn command(clusters: &Clusters, topics: &[TopicPlan], rewinds: bool) -> Command {
    let names: Vec<&str> = topics.iter().map(|plan| plan.name.as_str()).collect();
    let arguments = ["--exact", "history::copier::copier_process", "--ignored", "--nocapture"];
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    let mut environment: Vec<(OsString, OsString)> = vec![
        (SOURCE.into(), clusters.bootstrap(Side::Source).into()),
        (TARGET.into(), clusters.bootstrap(Side::Target).into()),
        (TOPICS.into(), names.join(",").into()),
    ];
    if rewinds {
        environment.push((REWINDS.into(), "1".into()));
    }
    Command {
        program: std::env::current_exe().unwrap(),
        arguments: Arc::new(move |_, _| arguments.clone()),
        environment,
    }
}

fn plan(name: &str, kind: TopicKind) -> TopicPlan {
    TopicPlan { name: name.to_owned(), kind, partitions: 2, age_ms: 0 }
}

async fn history(
    (seed, kills, broker_restarts): (u64, u32, u32),
    clusters: &Arc<Clusters>,
    topics: Vec<TopicPlan>,
    rewinds: bool,
) -> Summary {
    let options = KillOptions {
        seed,
        kills,
        broker_restarts,
        pace: Duration::from_millis(40),
        session_timeout: Duration::from_secs(1),
        catch_up_patience: Duration::from_secs(60),
    };
    let scratch = Scratch::new("copier").unwrap();
    let diary = Diary::create(&scratch.join("history.log")).unwrap();
    let command = command(clusters, &topics, rewinds);
    let summary = run(options, Arc::clone(clusters), topics, command, diary).await.unwrap();
    println!("{}", std::fs::read_to_string(scratch.join("history.log")).unwrap());
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_are_judged_fairly() {
    let clusters = Arc::new(tokio::task::block_in_place(|| Clusters::start().unwrap()));
    let topics = vec![
        plan("plain", TopicKind::Plain),
        plan("transactional", TopicKind::Transactional),
        plan("growing", TopicKind::Growing),
    ];
    let summary = history((1, 10, 2), &clusters, topics, false).await;
    assert_eq!((summary.kills, summary.broker_restarts), (10, 2), "{summary}");
    assert!(summary.verdict.is_clean(), "a sound copier was blamed: {summary}");
    assert!(summary.verdict.mirrors.expected_total > 1_000, "{summary}");

    let topics = vec![plan("rewound", TopicKind::Plain)];
    let summary = history((2, 10, 0), &clusters, topics, true).await;
    assert_eq!(summary.verdict.sources.findings_total, 0, "{summary}");
    let findings = &summary.verdict.mirrors.findings;
    let twice = findings.iter().any(|finding| finding.fault == Fault::Twice);
    assert!(twice, "an unsound copier got away: {summary}");
}
