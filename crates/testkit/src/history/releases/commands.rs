//! What the commands for people say of a link that runs.

use std::path::Path;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, POLL};

/// What `status --check` ends with when an operator has to look at something.
const UNWELL: i32 = 2;

/// Asks `check`, `plan`, `lag` and `status` until they say what they must, and tells which did not.
/// Partitions whose source lost what was mirrored are `diverged`, and `status` must say so.
pub(super) async fn check(
    program: &Path,
    directory: &Path,
    topics: &[String],
    diverged: bool,
) -> Vec<String> {
    let of =
        |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.to_owned()).collect() };
    let each_of = |beside: &str| topics.iter().cloned().chain([beside.to_owned()]).collect();
    let status = match diverged {
        true => (UNWELL, of(&["active", "stopped-diverged"])),
        false => (0, of(&["active"])),
    };
    let well = [
        ("check", of(&["source -> target"])),
        ("plan", of(&["every mirror topic is as it should be"])),
        ("lag", each_of("caught-up")),
    ];
    let mut findings = Vec::new();
    for (command, words) in well {
        findings.extend(until_said(program, directory, &[command], (0, &words)).await);
    }
    let (code, words) = status;
    let arguments = ["status", "--check"];
    findings.extend(until_said(program, directory, &arguments, (code, &words)).await);
    findings
}

async fn until_said(
    program: &Path,
    directory: &Path,
    arguments: &[&str],
    (code, words): (i32, &[String]),
) -> Option<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = Command::new(program)
            .args(arguments)
            .arg("farlog.yaml")
            .current_dir(directory)
            .env("NO_COLOR", "1")
            .kill_on_drop(true)
            .output()
            .await;
        let said = match output {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                if output.status.code() == Some(code)
                    && words.iter().all(|word| text.contains(word))
                {
                    return None;
                }
                let errors = String::from_utf8_lossy(&output.stderr);
                format!("{}: {text}{errors}", output.status)
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            return Some(format!("farlog {}: {said}", arguments.join(" ")));
        }
        sleep(POLL).await;
    }
}
