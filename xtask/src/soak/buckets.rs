//! `cargo xtask soak --buckets`: the embedded broker over a bucket with every kind of fault, killed
//! more often than a push may take. Rounds of a hundred kills, each with another seed and a bucket
//! of its own; they wait for the weather most of the time, so they run together.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use farlog_testkit::jars::workspace;

use crate::command::{self, Failure};

/// The test that does it, and what tells it how often and when.
const TEST: &str = "buckets::killed_brokers_lose_nothing_that_the_bucket_has";
const KILLS_NAME: &str = "FARLOG_BUCKET_KILLS";
const SEED_NAME: &str = "FARLOG_BUCKET_SEED";

/// Kills so often, unless told otherwise.
pub(super) const KILLS: &str = "100";

/// Of one round.
const ROUND_KILLS_MAX: u32 = 100;

/// Rounds at the same time.
const ROUNDS_MAX: usize = 3;

/// Runs it; fails if any acknowledged record was lost or is there twice.
pub(super) fn run(directory: &Path, kills: u32, first_seed: u64) -> Result<(), Failure> {
    // Before the rounds, which would all wait for it.
    command::run(cargo().arg("--no-run"))?;
    let mut rounds = Vec::new();
    let (mut left, mut seed) = (kills, first_seed);
    while left > 0 {
        let kills = left.min(ROUND_KILLS_MAX);
        rounds.push((seed, kills));
        left -= kills;
        seed += 1;
    }
    let mut text = String::new();
    for together in rounds.chunks(ROUNDS_MAX) {
        let started = together.iter().map(|&(seed, kills)| start(seed, kills));
        let started = started.collect::<Result<Vec<Child>, Failure>>()?;
        // All of them end before a failure is told.
        let ended: Vec<Result<String, Failure>> = started.into_iter().map(end).collect();
        for line in ended {
            text += &line?;
        }
    }
    print!("{text}");
    let path = directory.join("buckets.txt");
    fs::write(&path, text).map_err(Failure::while_doing(format!("writing {}", path.display())))
}

fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--package", "farlog", "--test", "it"]);
    cargo.current_dir(workspace());
    cargo
}

fn start(seed: u64, kills: u32) -> Result<Child, Failure> {
    let mut test = cargo();
    test.args(["--", "--exact", TEST, "--nocapture"]);
    test.env(KILLS_NAME, kills.to_string()).env(SEED_NAME, seed.to_string());
    test.stdout(Stdio::piped()).stderr(Stdio::piped());
    test.spawn().map_err(Failure::while_doing("running the test"))
}

/// What a round came to, in one line.
fn end(round: Child) -> Result<String, Failure> {
    let done = round.wait_with_output().map_err(Failure::while_doing("running the test"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    let counted = said.lines().find(|line| line.contains(" kills, "));
    match counted {
        Some(counted) if done.status.success() => Ok(format!("{counted}\n")),
        _ => {
            let errors = String::from_utf8_lossy(&done.stderr);
            Err(Failure::new(format!("the broker over a bucket:\n{said}{errors}")))
        }
    }
}
