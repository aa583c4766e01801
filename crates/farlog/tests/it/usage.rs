//! What a wrong command line or a wrong world ends with. No broker is needed.

use farlog_testkit::ports::PortLease;
use farlog_testkit::process::Signal;

use crate::binary::{Place, farlog, get};

fn ends(arguments: &[&str]) -> (Option<i32>, String) {
    let output = farlog(arguments);
    assert!(output.stdout.is_empty(), "errors are talk, not data");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Two clusters on ports that nobody listens on, for as long as the leases are kept.
fn nowhere() -> (Place, [PortLease; 2]) {
    let ports = [PortLease::take().unwrap(), PortLease::take().unwrap()];
    let settings = format!(
        "clusters = primary, dr\n\
         primary.bootstrap.servers = {}\n\
         dr.bootstrap.servers = {}\n\
         primary->dr.enabled = true\n",
        ports[0].address(),
        ports[1].address(),
    );
    (Place::new("mm2.properties", &settings), ports)
}

#[test]
fn wrong_command_lines_and_files_start_nothing() {
    let (place, _ports) = nowhere();
    let file = place.file();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["walk"], 64, "unrecognized subcommand"),
        (&["run"], 64, "FILE"),
        (&["run", "/nowhere/farlog.yaml"], 66, "cannot read /nowhere/farlog.yaml"),
        (&["run", file, "--listen", "9464"], 64, "write IP:PORT"),
        (&["run", file, "--log", "farlog=loud"], 64, "`farlog=loud` is no log filter"),
        (&["run", file, "--clusters", "mars"], 64, "has no cluster `mars`"),
        (&["status", file, "--link", "x"], 64, "has no link `x`; it has primary->dr"),
    ];
    for (arguments, code, says) in cases {
        let (ended, talk) = ends(arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {talk}");
        assert!(talk.contains(says), "{arguments:?}: {talk}");
    }
    let broken = Place::new("farlog.yaml", "version: 1\nclusters: {}\nbanana: 1\n");
    let (ended, talk) = ends(&["run", broken.file()]);
    assert_eq!(ended, Some(64), "{talk}");
    assert!(talk.contains("banana") && talk.contains("nothing was started"), "{talk}");
}

#[test]
fn every_exit_code_is_in_the_help() {
    let help = farlog(&["run", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for exit in farlog::exit::Exit::ALL {
        assert!(text.contains(exit.meaning()), "{exit:?}");
    }
}

#[test]
fn a_cluster_that_is_away_is_waited_for_and_named() {
    let (place, _ports) = nowhere();
    let mut instance = place.run("waiting", &["--log-format", "json"]);
    let address = instance.address();
    instance.until("the reason", |_| get(address, "/health/ready").contains("cannot be reached"));
    let ready = get(address, "/health/ready");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("primary->dr: connecting: cluster dr cannot be reached"), "{ready}");
    assert!(get(address, "/health/live").starts_with("HTTP/1.1 200"));
    instance.process.signal(Signal::Terminate).unwrap();
    assert_eq!(instance.exit_code(), Some(0), "{}", instance.log());
    for line in instance.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn clusters_that_are_away_are_named_by_plan_and_status() {
    let (place, _ports) = nowhere();
    let output = farlog(&["plan", place.file()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("error   cluster primary: no server"), "{text}");
    assert!(text.ends_with("1 of 1 links not known; nothing has been changed\n"), "{text}");
    let output = farlog(&["plan", place.file(), "--output", "yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  error: \"cluster primary: no server"), "{text}");
    let output = farlog(&["status", place.file()]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{talk}");
    assert!(talk.contains("cluster dr cannot be asked"), "{talk}");
}
