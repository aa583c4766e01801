//! `cargo xtask soak --buckets`: the embedded broker over a bucket with every kind of fault, killed
//! more often than a push may take.

use std::fs;
use std::path::Path;
use std::process::Command;

use farlog_testkit::jars::workspace;

use crate::command::Failure;

/// The test that does it, and what tells it how often.
const TEST: &str = "buckets::killed_brokers_lose_nothing_that_the_bucket_has";
const KILLS_NAME: &str = "FARLOG_BUCKET_KILLS";

/// Kills so often, unless told otherwise.
pub(super) const KILLS: &str = "100";

/// Runs it; fails if any acknowledged record was lost or is there twice.
pub(super) fn run(directory: &Path, kills: u32) -> Result<(), Failure> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "farlog", "--test", "it", "--", "--exact", TEST]);
    test.arg("--nocapture").env(KILLS_NAME, kills.to_string()).current_dir(workspace());
    let done = test.output().map_err(Failure::while_doing("running the test"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    let path = directory.join("buckets.txt");
    let counted: Vec<&str> = said.lines().filter(|line| line.contains(" kills, ")).collect();
    if !done.status.success() || counted.is_empty() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(Failure::new(format!("the broker over a bucket:\n{said}{errors}")));
    }
    let text = format!("{}\n", counted.join("\n"));
    print!("{text}");
    fs::write(&path, text).map_err(Failure::while_doing(format!("writing {}", path.display())))
}
