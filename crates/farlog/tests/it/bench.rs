//! `farlog bench`, as a person starts it: with little data, for its figures mean nothing here.

use std::time::{Duration, Instant};

use farlog_testkit::jars::{KafkaVersion, workspace};
use farlog_testkit::process::{Program, Signal, Supervised};
use farlog_testkit::scratch::Scratch;

use crate::binary::{FARLOG, PATIENCE, farlog};

const POLL: Duration = Duration::from_millis(50);

/// A bench in a folder of its own, with a folder of its own for what is temporary.
struct Bench {
    process: Supervised,
    scratch: Scratch,
}

impl Bench {
    fn start(arguments: &[&str]) -> Bench {
        let scratch = Scratch::new("bench-test").unwrap();
        std::fs::create_dir(scratch.join("tmp")).unwrap();
        let process = Program::new("bench", FARLOG, scratch.path(), &scratch.join("tables"))
            .errors(&scratch.join("talk"))
            .args(["bench", "--smoke", "--kafka"])
            .arg(workspace().join("target/kafka").join(KafkaVersion::V4_3.number()))
            .arg("--json")
            .arg(scratch.join("report.json"))
            .args(arguments)
            .env("TMPDIR", scratch.join("tmp"))
            .spawn()
            .unwrap();
        Bench { process, scratch }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.join(name)).unwrap_or_default()
    }

    /// Waits until it is so far.
    fn until(&mut self, what: &str, is_so_far: impl Fn(&str, &[u32]) -> bool) {
        let (talk, pid) = (self.scratch.join("talk"), self.process.pid());
        let so_far =
            |_: &Supervised| is_so_far(&std::fs::read_to_string(&talk).unwrap(), &brokers(pid));
        self.process.wait_for(5 * PATIENCE, so_far).unwrap_or_else(|error| {
            panic!("no {what}: it {error}: {}", self.read("talk"));
        });
    }

    /// Its exit code, once it has ended.
    fn exit_code(&mut self) -> Option<i32> {
        let status = self.process.wait(5 * PATIENCE).unwrap();
        status.expect("the bench ends").code()
    }

    /// Nothing is left of what it made but the locks of ports. On a busy machine the watchdogs of
    /// its processes may be a moment behind it.
    fn assert_clean(&self, brokers: &[u32]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.left(brokers);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(POLL);
        }
    }

    fn left(&self, brokers: &[u32]) -> Vec<String> {
        let alive = brokers.iter().filter(|pid| stat(**pid).is_some());
        let mut left: Vec<String> = alive.map(|pid| format!("process {pid}")).collect();
        for entry in std::fs::read_dir(self.scratch.join("tmp")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("farlog-ports") {
                left.push(name);
            }
        }
        left
    }
}

/// The brokers (or their formatters) that a bench runs.
fn brokers(bench: u32) -> Vec<u32> {
    let ours = |pid: &u32| stat(*pid) == Some(("java".to_owned(), bench));
    processes().filter(ours).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Name and parent of a process, from `/proc/PID/stat`; `None` if there is no such process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    Some((name.to_owned(), after.split(' ').nth(1)?.parse().ok()?))
}

#[test]
fn the_bench_measures_every_row() {
    let mut bench = Bench::start(&[]);
    let code = bench.exit_code();
    let talk = bench.read("talk");
    assert_eq!(code, Some(0), "{talk}");
    assert!(
        talk.contains("TCP relay: ") && talk.contains("catch-up of 8 MB datasets, latency at"),
        "{talk}"
    );
    let report: serde_json::Value = serde_json::from_str(&bench.read("report.json")).unwrap();
    let rows = report["catch_up"].as_array().expect("rows of catch-up");
    let of = |dataset: &str, tool: &str| {
        let row = rows.iter().find(|row| row["dataset"] == dataset && row["tool"] == tool);
        let run = &row.unwrap_or_else(|| panic!("no row for {tool} on {dataset}"))["runs"][0];
        assert_eq!(run["records_too_many"], 0, "{run}");
        assert!(run["mb_per_second"].as_f64() > Some(0.0), "{run}");
    };
    for dataset in ["127kb", "2kb", "127kb-zstd", "2kb-zstd"] {
        of(dataset, "farlog");
    }
    of("2kb-zstd", "farlog-recompress");
    of("127kb", "mirror-maker2");
    let latency = report["latency"].as_array().expect("rows of latency");
    assert!(latency.iter().any(|row| row["tool"] == "farlog"), "{latency:?}");
    assert!(report["relay"][0]["mb_per_second"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["kafka_version"], KafkaVersion::V4_3.number());
    let tables = bench.read("tables");
    assert!(tables.contains("| Farlog, recompress "), "{tables}");
    bench.assert_clean(&[]);
}

#[test]
fn a_broker_that_dies_ends_the_bench_and_is_named() {
    let mut bench = Bench::start(&["--only", "127kb", "--tool", "farlog", "--runs", "1000"]);
    bench.until("first run", |talk, _| talk.contains("Farlog run 1:"));
    let brokers = brokers(bench.process.pid());
    let victim = brokers[0];
    let kill = std::process::Command::new("sh").args(["-c", &format!("kill -9 {victim}")]).status();
    assert!(kill.unwrap().success());
    let code = bench.exit_code();
    let talk = bench.read("talk");
    assert_eq!(code, Some(1), "{talk}");
    let named = format!("broker (Kafka 4.3.1, process {victim}) ended (signal: 9 (SIGKILL)); the");
    assert!(talk.contains(&named) && talk.contains(" INFO "), "{talk}");
    assert!(!bench.scratch.join("report.json").exists(), "there is nothing to report");
    bench.assert_clean(&brokers);
}

#[test]
fn a_bench_that_is_interrupted_leaves_nothing() {
    let mut bench = Bench::start(&["--only", "latency"]);
    bench.until("broker", |_, brokers| brokers.len() == 2);
    let brokers = brokers(bench.process.pid());
    bench.process.signal(Signal::Interrupt).unwrap();
    assert_eq!(bench.exit_code(), Some(130), "{}", bench.read("talk"));
    bench.assert_clean(&brokers);
}

#[test]
fn what_a_bench_needs_is_said_in_a_sentence() {
    let output = farlog(&["bench", "--kafka", "/no/such/folder"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{talk}");
    assert!(talk.starts_with("error: cannot read /no/such/folder: "), "{talk}");
    let without_java = std::process::Command::new(FARLOG)
        .args(["bench", "--json", "/dev/null"])
        .env("PATH", "/no/such/folder")
        .output()
        .unwrap();
    let talk = String::from_utf8(without_java.stderr).unwrap();
    assert_eq!(without_java.status.code(), Some(71), "{talk}");
    assert!(talk.contains("needs Java 17 or newer, and there is no `java` on the PATH"), "{talk}");
    let output = farlog(&["bench", "--json", "/no/such/folder/report.json"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{talk}");
}
