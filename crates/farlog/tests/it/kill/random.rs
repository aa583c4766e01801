//! The random history of every push: 200 kills within six minutes, half of the topics with records
//! that the target forgets its producer id over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use farlog_testkit::history::Session;
use farlog_testkit::history::orchestrator::{
    Clusters, Diary, KillOptions, LinkFile, Summary, run, topics,
};
use farlog_testkit::history::reader::read_partition;
use farlog_testkit::history::record::Identity;
use farlog_testkit::scratch::Scratch;

use super::fixture::FARLOG;

/// Any will do; another one is another history.
const SEED: u64 = 1;
const KILLS: u32 = 200;
const BROKER_RESTARTS: u32 = 6;

/// How many of mirrors that keep offsets.
const PRESERVE_KILLS: u32 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills() {
    let summary = history("kill", SEED, (KILLS, BROKER_RESTARTS), |link| link).await.0;
    assert!(summary.truncations > 0 && summary.trims > 0 && summary.zombies > 0, "{summary}");
    assert!(summary.verdict.mirrors.mirrored_total > 10_000, "{summary}");
}

/// The same for mirrors that keep offsets: what is there has the source's offset.
#[tokio::test(flavor = "multi_thread")]
async fn kills_under_the_offsets_of_the_source() {
    let preserve = |link: LinkFile| link.field("offsets: preserve");
    let (_, clusters) = history("preserve", SEED, (PRESERVE_KILLS, 2), preserve).await;
    let source = Session::connect(&clusters.source().bootstrap()).await.unwrap();
    let target = Session::connect(&clusters.target().bootstrap()).await.unwrap();
    let mut compared = 0;
    for plan in topics("preserve-") {
        for partition in 0..plan.partitions {
            let at_source = read_partition(&source, &plan.name, partition).await.unwrap();
            let offsets: HashMap<Identity, i64> =
                at_source.records.iter().map(|record| (record.identity(), record.offset)).collect();
            let mirror = read_partition(&target, &plan.name, partition).await.unwrap();
            for record in mirror.records {
                // What the source deleted or lost since cannot be compared.
                let Some(&offset) = offsets.get(&record.identity()) else { continue };
                assert_eq!(record.offset, offset, "{} {partition}: {record:?}", plan.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 1_000, "{compared} records compared");
}

/// Kills instances, brokers and networks under a link, and compares.
async fn history(
    name: &str,
    seed: u64,
    (kills, broker_restarts): (u32, u32),
    edit: impl FnOnce(LinkFile) -> LinkFile,
) -> (Summary, Arc<Clusters>) {
    let clusters = Arc::new(tokio::task::block_in_place(|| Clusters::start().unwrap()));
    let options = KillOptions {
        seed,
        kills,
        broker_restarts,
        pace: Duration::from_millis(40),
        session_timeout: Duration::from_secs(1),
        catch_up_patience: Duration::from_secs(60),
    };
    let prefix = format!("{name}-");
    let link = edit(LinkFile::new(name, &clusters, &prefix));
    let scratch = Scratch::new(name).unwrap();
    let command = link.command(Path::new(FARLOG), scratch.path()).unwrap();
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-history.log"));
    let diary = Diary::create(&log).unwrap();
    let topics = topics(&prefix);
    let summary = run(options, Arc::clone(&clusters), topics, command, diary).await.unwrap();
    println!("{summary}");
    assert!(summary.verdict.is_clean(), "{summary}");
    assert_eq!((summary.kills, summary.broker_restarts), (kills, broker_restarts), "{summary}");
    assert!(summary.ended_by_themselves.is_empty(), "{summary}");
    assert!(summary.stopped_cleanly, "{summary}");
    (summary, clusters)
}
