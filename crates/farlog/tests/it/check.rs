//! `farlog check` as a person meets it: what it prints, word for word, and what it exits with.

use std::path::Path;
use std::process::Command;

fn farlog(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_farlog"))
        .args(arguments)
        .current_dir(folder)
        .env("FARLOG_TEST_HOST", "kafka-a")
        .env("FARLOG_TEST_EU", "eu:hunter2")
        .output()
        .expect("the binary was built for this test");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("farlog prints UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let code = output.status.code().expect("farlog exits by itself");
    assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"), "a secret is shown");
    format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
}

fn files() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files"))
}

fn documents() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))
}

#[test]
fn every_mistake_at_once() {
    insta::assert_snapshot!(farlog(files(), &["check", "everything-wrong.yaml"]));
}

#[test]
fn the_design_s_family_is_read_whole() {
    insta::assert_snapshot!(farlog(files(), &["check", "design-family.yaml"]));
}

#[test]
fn secrets_and_client_files() {
    insta::assert_snapshot!(farlog(files(), &["check", "secrets.yaml"]));
}

#[test]
fn loops() {
    insta::assert_snapshot!(farlog(files(), &["check", "loop.yaml"]));
}

#[test]
fn no_yaml() {
    insta::assert_snapshot!(farlog(files(), &["check", "no-yaml.yaml"]));
}

#[test]
fn mm2_traps() {
    insta::assert_snapshot!(farlog(files(), &["check", "traps.properties"]));
}

#[test]
fn published_file_us_east_eu_west() {
    let file = "examples/mm2-us-east-eu-west.properties";
    insta::assert_snapshot!(farlog(documents(), &["check", file]));
}

#[test]
fn published_file_primary_dr() {
    insta::assert_snapshot!(farlog(documents(), &["check", "examples/mm2-primary-dr.properties"]));
}

#[test]
fn examples_are_accepted_strictly() {
    let links = farlog(documents(), &["check", "--strict", "examples/farlog-links.yaml"]);
    assert!(links.starts_with("exit code 0\n"), "{links}");
    let family = farlog(documents(), &["check", "examples/farlog-family.yaml"]);
    assert!(family.starts_with("exit code 0\n"), "{family}");
}

#[test]
fn strict_asks_the_questions_of_a_review() {
    let strict = farlog(documents(), &["check", "--strict", "examples/farlog-family.yaml"]);
    insta::assert_snapshot!(strict);
}

#[test]
fn exit_codes() {
    let code = |arguments: &[&str]| {
        let output = farlog(files(), arguments);
        output.lines().next().unwrap().to_owned()
    };
    assert_eq!(code(&["check", "no-such.yaml"]), "exit code 66");
    assert_eq!(code(&["check"]), "exit code 64");
    assert_eq!(code(&["frobnicate"]), "exit code 64");
    assert_eq!(code(&["--help"]), "exit code 0");
    assert_eq!(code(&["explain", "sourec"]), "exit code 64");
    assert_eq!(code(&["check", "trust.jks"]), "exit code 64");
}

#[test]
fn explanations() {
    let mut all = String::new();
    for field in ["naming", "links.orders.start", "rpo", "links", "sourec"] {
        all.push_str(&format!("$ farlog explain {field}\n"));
        all.push_str(&farlog(files(), &["explain", field]));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_configuration_page_is_current() {
    let page = std::fs::read_to_string(documents().join("reference/configuration.md")).unwrap();
    let made = farlog(files(), &["schema", "--markdown"]);
    let made = made.strip_prefix("exit code 0\n--- stdout\n").unwrap();
    let made = made.strip_suffix("--- stderr\n").unwrap();
    assert!(page == made, "run: cargo run -- schema --markdown > docs/reference/configuration.md");
}

#[test]
fn the_schema_is_json_with_every_section() {
    let printed = farlog(files(), &["schema"]);
    let json = printed.strip_prefix("exit code 0\n--- stdout\n").unwrap();
    let json: serde_json::Value =
        serde_json::from_str(json.strip_suffix("--- stderr\n").unwrap()).unwrap();
    for section in ["version", "clusters", "families", "links"] {
        assert!(json["properties"].get(section).is_some(), "{section}");
    }
}
