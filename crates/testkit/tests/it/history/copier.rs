//! A simple program that mirrors: it starts at the end of the mirror, counts on from there, and
//! trusts the broker to refuse a sequence that is not the next. The kill harness is proven on it
//! before it judges Farlog: where brokers remember its producer id it is exact, and where they do
//! not, the histories must catch it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use farlog_testkit::history::Session;
use farlog_testkit::history::batch::Stamp;
use farlog_testkit::history::generator::{TopicKind, TopicPlan};
use farlog_testkit::history::orchestrator::script::Side;
use farlog_testkit::history::orchestrator::{
    Clusters, Command, Diary, KillOptions, Summary, UNARMED_AGE_MS, run,
};
use farlog_testkit::history::reader::read_partition;
use farlog_testkit::scratch::Scratch;

use super::LINK;

/// The arguments of the copier's process, in its environment.
const SOURCE: &str = "FARLOG_COPIER_SOURCE";
const TARGET: &str = "FARLOG_COPIER_TARGET";
const TOPICS: &str = "FARLOG_COPIER_TOPICS";

const BATCH_RECORDS: usize = 50;

#[test]
#[ignore = "run by other tests, in processes of its own"]
fn copier_process() {
    let Ok(source) = std::env::var(SOURCE) else { return };
    let (target, topics) = (std::env::var(TARGET).unwrap(), std::env::var(TOPICS).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        loop {
            // Any error is an occasion to look again.
            if let Err(error) = copy(&source, &target, &topics).await {
                println!("{error}");
            }
        }
    });
}

async fn copy(
    source: &str,
    target: &str,
    topics: &str,
) -> Result<(), farlog_testkit::history::HistoryError> {
    let source = Session::connect(source).await?;
    let target = Session::connect(target).await?;
    let mut ends: HashMap<(&str, i32), i64> = HashMap::new();
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
                let end = match ends.get(&(topic, partition)) {
                    Some(end) => *end,
                    None => target.log_end(topic, partition).await?,
                };
                let log = read_partition(&source, topic, partition).await?;
                let rest = log.records.get(end as usize..).unwrap_or_default();
                let mut sequence = end as i32;
                for records in rest.chunks(BATCH_RECORDS) {
                    let stamp = Stamp::idempotent(&LINK, sequence);
                    target.append(topic, partition, records, &stamp).await?;
                    sequence += records.len() as i32;
                }
                ends.insert((topic, partition), i64::from(sequence));
            }
        }
    }
}

fn command(clusters: &Clusters, topics: &[TopicPlan]) -> Command {
    let names: Vec<&str> = topics.iter().map(|plan| plan.name.as_str()).collect();
    let arguments = ["--exact", "history::copier::copier_process", "--ignored", "--nocapture"];
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    Command {
        program: std::env::current_exe().unwrap(),
        arguments: Arc::new(move |_, _| arguments.clone()),
        environment: vec![
            (SOURCE.into(), clusters.bootstrap(Side::Source).into()),
            (TARGET.into(), clusters.bootstrap(Side::Target).into()),
            (TOPICS.into(), names.join(",").into()),
        ],
    }
}

fn plan(name: &str, kind: TopicKind, age_ms: i64) -> TopicPlan {
    TopicPlan { name: name.to_owned(), kind, partitions: 2, age_ms }
}

async fn history(
    (seed, kills, broker_restarts): (u64, u32, u32),
    clusters: &Arc<Clusters>,
    topics: Vec<TopicPlan>,
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
    let command = command(clusters, &topics);
    let summary = run(options, Arc::clone(clusters), topics, command, diary).await.unwrap();
    println!("{}", std::fs::read_to_string(scratch.join("history.log")).unwrap());
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_are_judged_fairly() {
    let clusters = Arc::new(tokio::task::block_in_place(|| Clusters::start().unwrap()));
    let armed = vec![
        plan("plain", TopicKind::Plain, 0),
        plan("transactional", TopicKind::Transactional, 0),
        plan("growing", TopicKind::Growing, 0),
    ];
    let summary = history((1, 10, 2), &clusters, armed).await;
    assert_eq!((summary.kills, summary.broker_restarts), (10, 2), "{summary}");
    assert!(summary.verdict.is_clean(), "a sound copier was blamed: {summary}");
    assert!(summary.verdict.mirrors.expected_total > 1_000, "{summary}");

    // Two of them, and a target that forgets their producer id after two seconds.
    let unarmed = vec![plan("old", TopicKind::Plain, UNARMED_AGE_MS)];
    let summary = history((2, 25, 0), &clusters, unarmed).await;
    assert_eq!(summary.verdict.sources.findings_total, 0, "{summary}");
    assert!(summary.verdict.mirrors.findings_total > 0, "an unsound copier got away: {summary}");
}
