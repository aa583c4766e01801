//! `farlog broker`, killed again and again under producers, transactions and groups.

use farlog_testkit::broker_kills::verdict::Finding;
use farlog_testkit::broker_kills::{BrokerKills, run};

use crate::binary::FARLOG;

const KILLS: u32 = 100;

/// Idempotent producers, transactional copiers and a group, and a hundred kill -9 at random
/// moments: what was acknowledged is there once and in order, transactions are whole or not there
/// at all, and a member finds its group after each. `cargo xtask soak` does more of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_repeat_nothing() {
    let program = FARLOG.into();
    let options = BrokerKills { program, kills: KILLS, seed: 4_711, plant_a_loss: false };
    let summary = run(&options).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{summary}");
    assert!(summary.verdict.findings.is_empty(), "{}", summary.verdict);
    let (committed, aborted) = summary.transactions;
    assert!(committed > 0 && aborted > 0 && summary.abandoned > 0, "{summary}");
}

/// The same on a broker that forgets: otherwise the test above would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_is_found_out() {
    let options = BrokerKills { program: FARLOG.into(), kills: 6, seed: 11, plant_a_loss: true };
    let summary = run(&options).await.unwrap_or_else(|error| panic!("{error}"));
    let found = |is: fn(&Finding) -> bool| summary.verdict.findings.iter().any(|(_, one)| is(one));
    assert!(found(|one| matches!(one, Finding::Numbers { found: None, .. })), "{summary}");
    assert!(found(|one| matches!(one, Finding::CommitLost { .. })), "{summary}");
}
