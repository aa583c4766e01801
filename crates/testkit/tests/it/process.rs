//! A child process ends when it should, and never later than its parent.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use farlog_testkit::process::{Program, Signal};
use farlog_testkit::scratch::Scratch;

fn sleeper(scratch: &Scratch) -> Program {
    let output = scratch.join("output.log");
    Program::new("sleeper", "sleep", scratch.path(), &output).arg("600")
}

/// Whether the process is there and not just waiting to be reaped.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_pid_is_the_programs_own() {
    let scratch = Scratch::new("process").unwrap();
    let process = sleeper(&scratch).spawn().unwrap();
    let name = format!("/proc/{}/comm", process.pid());
    eventually("the shell becomes the program", || {
        fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep")
    });
}

#[test]
fn drop_kills_the_program_and_its_watchdog() {
    let scratch = Scratch::new("process").unwrap();
    let process = sleeper(&scratch).spawn().unwrap();
    let pid = process.pid();
    assert!(runs(pid));
    drop(process);
    assert!(!runs(pid));
    eventually("the watchdog ends", || !group_has_members(pid));
    assert!(scratch.path().exists());
}

/// Whether any process is in this process group and not a zombie.
fn group_has_members(group: u32) -> bool {
    fs::read_dir("/proc").expect("Linux has /proc").flatten().any(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
        let fields: Vec<&str> = rest.split(' ').collect();
        fields[0] != "Z" && fields[2] == group.to_string()
    })
}

#[test]
fn an_end_by_itself_is_seen_with_its_status_and_output() {
    let scratch = Scratch::new("process").unwrap();
    let output = scratch.join("output.log");
    let mut process = Program::new("talker", "sh", scratch.path(), &output)
        .args(["-c", "echo \"$GREETING\"; exit 3"])
        .env("GREETING", "hello there")
        .spawn()
        .unwrap();
    let status = process.wait(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(process.tail(), "hello there");
}

#[test]
fn a_stopped_program_stands_still_and_goes_on() {
    let scratch = Scratch::new("process").unwrap();
    let output = scratch.join("output.log");
    let mut process = Program::new("counter", "sh", scratch.path(), &output)
        .args(["-c", "while :; do echo tick; done"])
        .spawn()
        .unwrap();
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    assert_ne!(state(), 'T');
    process.signal(Signal::Stop).unwrap();
    let state = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    eventually("it stands still", || state(process.pid()) == 'T');
    process.signal(Signal::Continue).unwrap();
    eventually("it goes on", || state(process.pid()) != 'T');
    assert!(process.stop(Duration::from_secs(20)).unwrap());
}

/// The part of [`a_killed_parent_takes_its_children_along`] that is killed: runs this same test
/// binary, which starts a child, says so, and waits.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn parent_that_will_be_killed() {
    let scratch = Scratch::new("process").unwrap();
    let process = sleeper(&scratch).spawn().unwrap();
    fs::write(scratch.join("data"), "x").unwrap();
    let report = std::env::var("FARLOG_TEST_REPORT").unwrap();
    let text = format!("{} {}", process.pid(), scratch.path().display());
    fs::write(format!("{report}.new"), text).unwrap();
    fs::rename(format!("{report}.new"), report).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_killed_parent_takes_its_children_along() {
    let scratch = Scratch::new("process").unwrap();
    let report = scratch.join("report");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process::parent_that_will_be_killed"])
        .env("FARLOG_TEST_REPORT", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the parent has started its child", || report.exists());
    let text = fs::read_to_string(&report).unwrap();
    let (pid, directory) = text.split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    assert!(runs(pid) && Path::new(directory).exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the child is killed", || !runs(pid));
    eventually("its files are removed", || !Path::new(directory).exists());
}
