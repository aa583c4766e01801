//! `cargo xtask soak`: the kill tests for longer than a push may take. Rounds of some two hundred
//! kills each, on clusters of their own; everything that is done is in a log, and one line for each
//! round and for all of them together is printed at the end.

mod broker_kills;
mod buckets;
mod old_brokers;
mod retention;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use farlog_testkit::history::orchestrator::{
    Clusters, Diary, KillOptions, LinkFile, Summary, run as run_history, topics,
};
use farlog_testkit::jars::workspace;
use farlog_testkit::scratch::Scratch;

use crate::command::{self, Failure};

/// Kills of one round: clusters stay small, and a failure is near what led to it.
const ROUND_KILLS_MAX: u32 = 250;

/// Broker restarts of one round; four histories of each kind.
const ROUND_BROKER_RESTARTS: u32 = 8;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many instances to kill
    #[arg(long, default_value_t = 1_000)]
    kills: u32,
    /// What decides the histories; each round counts on by one
    #[arg(long, default_value_t = 1_000)]
    seed: u64,
    /// Where to write the logs [default: target/soak]
    #[arg(long)]
    log: Option<PathBuf>,
    /// Instead of that, mirror from and to older releases of Kafka, all or this one
    #[arg(long, value_name = "RELEASE", num_args = 0..=1)]
    #[arg(default_missing_value = old_brokers::ALL)]
    old_brokers: Option<String>,
    /// Instead of that, write much more through an embedded broker than it may keep
    #[arg(long)]
    retention: bool,
    /// Instead of that, kill an embedded broker over a bucket with faults, so many times
    #[arg(long, value_name = "KILLS", num_args = 0..=1)]
    #[arg(default_missing_value = buckets::KILLS)]
    buckets: Option<u32>,
    #[command(flatten)]
    amounts: retention::Amounts,
    /// How often to kill `farlog broker` under load, before that
    #[arg(long, default_value_t = 300)]
    broker_kills: u32,
    /// Use this binary instead of building one
    #[arg(long)]
    farlog: Option<PathBuf>,
    /// Use the farlog that is built without optimisation
    #[arg(long)]
    debug: bool,
}

/// Runs the rounds; fails if any record was lost, repeated, reordered or altered.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = arguments.log.clone().unwrap_or_else(|| workspace().join("target/soak"));
    fs::create_dir_all(&directory)
        .map_err(Failure::while_doing(format!("creating {}", directory.display())))?;
    if let Some(kills) = arguments.buckets {
        return buckets::run(&directory, kills, arguments.seed);
    }
    let program = match &arguments.farlog {
        Some(farlog) => farlog.clone(),
        None => build(arguments.debug)?,
    };
    if let Some(release) = &arguments.old_brokers {
        return old_brokers::run_all(&program, &directory, arguments.seed, release);
    }
    if arguments.retention {
        return retention::run_all(&program, &directory, arguments.amounts);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::while_doing("starting the runtime"))?;
    let brokers = runtime.block_on(broker_kills::run_all(&program, arguments))?;
    let mut summaries = Vec::new();
    let mut left = arguments.kills;
    while left > 0 {
        let kills = left.min(ROUND_KILLS_MAX);
        left -= kills;
        let seed = arguments.seed + summaries.len() as u64;
        let diary = directory.join(format!("seed-{seed}.log"));
        println!("seed {seed}: {kills} kills, log in {}", diary.display());
        let diary = Diary::create(&diary).map_err(Failure::while_doing("the log"))?;
        // A spawned task may block in place, which the history does while it starts processes.
        let round = runtime.spawn(round(seed, kills, program.clone(), diary));
        let summary = runtime.block_on(round).map_err(Failure::while_doing("a round"))??;
        println!("{summary}");
        summaries.push(summary);
    }
    let text = brokers + &conclusion(&summaries);
    print!("{text}");
    let path = directory.join("summary.txt");
    fs::write(&path, &text).map_err(Failure::while_doing(format!("writing {}", path.display())))?;
    match summaries.iter().find(|summary| !is_clean(summary)) {
        Some(bad) => Err(Failure::new(format!("seed {} has findings", bad.seed))),
        None => Ok(()),
    }
}

async fn round(seed: u64, kills: u32, program: PathBuf, diary: Diary) -> Result<Summary, Failure> {
    let what = || Failure::while_doing(format!("seed {seed}"));
    // Every fourth round with mirrors of three replicas, whose leaders move with every restart.
    let brokers = if seed % 4 == 1 { 3 } else { 1 };
    let clusters = tokio::task::block_in_place(|| Clusters::start_with_target_of(brokers));
    let clusters = Arc::new(clusters.map_err(what())?);
    let options = KillOptions {
        seed,
        kills,
        broker_restarts: ROUND_BROKER_RESTARTS,
        pace: Duration::from_millis(40),
        session_timeout: Duration::from_secs(1),
        catch_up_patience: Duration::from_secs(120),
    };
    let scratch = Scratch::new("soak").map_err(Failure::while_doing("making a directory"))?;
    let mut link = LinkFile::new("soak", &clusters, "soak-");
    // Every fourth round with the ids that brokers other than Kafka's need.
    if seed % 4 == 3 {
        link = link.field("producer-ids: allocated");
    }
    let link = link.field(format!("replication-factor: {brokers}"));
    let command = link.command(&program, scratch.path()).map_err(what())?;
    run_history(options, clusters, topics("soak-"), command, diary).await.map_err(what())
}

fn is_clean(summary: &Summary) -> bool {
    summary.verdict.is_clean() && summary.ended_by_themselves.is_empty() && summary.stopped_cleanly
}

/// A line for each round, and one for all.
fn conclusion(summaries: &[Summary]) -> String {
    let sum = |of: fn(&Summary) -> u64| summaries.iter().map(of).sum::<u64>();
    let mut text = String::new();
    for summary in summaries {
        text.push_str(&format!("{summary}\n"));
    }
    text.push_str(&format!(
        "all: {} kills, {} zombies, {} cuts, {} stalls, {} broker pauses, {} broker restarts, {} \
         truncations; {} records expected, {} mirrored, {} findings\n",
        sum(|one| one.kills.into()),
        sum(|one| one.zombies.into()),
        sum(|one| one.cuts.into()),
        sum(|one| one.stalls.into()),
        sum(|one| one.broker_pauses.into()),
        sum(|one| one.broker_restarts.into()),
        sum(|one| one.truncations.into()),
        sum(|one| one.verdict.mirrors.expected_total),
        sum(|one| one.verdict.mirrors.mirrored_total),
        sum(|one| one.verdict.mirrors.findings_total + one.verdict.stuck.len() as u64),
    ));
    text
}

/// Builds the program under test, and says where it is.
fn build(debug: bool) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "farlog"]).current_dir(workspace());
    if !debug {
        cargo.arg("--release");
    }
    command::run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace().join("target"));
    Ok(target.join(if debug { "debug" } else { "release" }).join("farlog"))
}
