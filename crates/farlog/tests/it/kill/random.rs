//! The random history of every push: 200 kills within six minutes, half of the topics with records
//! that the target forgets its producer id over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use farlog_testkit::history::orchestrator::{Clusters, Diary, KillOptions, LinkFile, run, topics};
use farlog_testkit::scratch::Scratch;

use super::fixture::FARLOG;

/// Any will do; another one is another history.
const SEED: u64 = 1;
const KILLS: u32 = 200;
const BROKER_RESTARTS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills() {
    let clusters = Arc::new(tokio::task::block_in_place(|| Clusters::start().unwrap()));
    let options = KillOptions {
        seed: SEED,
        kills: KILLS,
        broker_restarts: BROKER_RESTARTS,
        pace: Duration::from_millis(40),
        session_timeout: Duration::from_secs(1),
        catch_up_patience: Duration::from_secs(60),
    };
    let link = LinkFile::new("kill", &clusters, "kill-");
    let scratch = Scratch::new("kill").unwrap();
    let command = link.command(Path::new(FARLOG), scratch.path()).unwrap();
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kill-history.log");
    let diary = Diary::create(&log).unwrap();
    let summary = run(options, clusters, topics("kill-"), command, diary).await.unwrap();
    println!("{summary}");
    assert!(summary.verdict.is_clean(), "{summary}");
    assert_eq!((summary.kills, summary.broker_restarts), (KILLS, BROKER_RESTARTS), "{summary}");
    assert!(summary.truncations > 0 && summary.trims > 0 && summary.zombies > 0, "{summary}");
    assert!(summary.ended_by_themselves.is_empty(), "{summary}");
    assert!(summary.stopped_cleanly, "{summary}");
    assert!(summary.verdict.mirrors.mirrored_total > 10_000, "{summary}");
}
