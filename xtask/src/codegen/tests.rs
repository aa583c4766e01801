//! Tests of the generator itself; what it generates is tested in `crates/wire/tests/messages`.

use super::names::{comment, field_name, snake_case};
use super::schema::{self, Versions};
use super::values::{Condition, condition};
use super::{KAFKA_VERSION, Options, emit, jar, run, without_unstable_versions};

#[test]
fn names_become_snake_case() {
    for (kafka, rust) in [
        ("ThrottleTimeMs", "throttle_time_ms"),
        ("timeoutMs", "timeout_ms"),
        ("SaslHandshake", "sasl_handshake"),
        ("Enable2Pc", "enable2_pc"),
        ("IsrNodes", "isr_nodes"),
        ("HTTPPort", "http_port"),
    ] {
        assert_eq!(snake_case(kafka), rust);
    }
    assert_eq!(field_name("Match"), "r#match");
}

#[test]
fn versions_have_four_forms() {
    let versions = |min, max| Ok(Versions { min, max });
    assert_eq!(Versions::parse("3"), versions(3, 3));
    assert_eq!(Versions::parse("3-7"), versions(3, 7));
    assert_eq!(Versions::parse("3+"), versions(3, i16::MAX));
    assert_eq!(Versions::parse("none"), Ok(Versions::NONE));
    assert!(Versions::parse("latest").is_err());
}

#[test]
fn conditions_say_no_more_than_needed() {
    let all = Versions { min: 2, max: 9 };
    let when = |text: &str| Condition::When(text.to_owned());
    assert_eq!(condition(Versions { min: 0, max: 9 }, all), Condition::Always);
    assert_eq!(condition(Versions { min: 10, max: 12 }, all), Condition::Never);
    assert_eq!(condition(Versions { min: 4, max: i16::MAX }, all), when("version >= 4"));
    assert_eq!(condition(Versions { min: 0, max: 5 }, all), when("version <= 5"));
    assert_eq!(condition(Versions { min: 4, max: 5 }, all), when("(4..=5).contains(&version)"));
}

#[test]
fn comments_go_and_strings_stay() {
    let json = schema::without_comments("{ \"a\": \"http://b\\\"//c\" // d\n}");
    assert_eq!(json, "{ \"a\": \"http://b\\\"//c\" \n}\n");
}

#[test]
fn prose_is_wrapped_and_escaped() {
    let text = "word ".repeat(30) + "an array [] of <T>";
    let comment = comment("///", 0, &text);
    assert!(comment.lines().all(|line| line.len() <= 104 && line.starts_with("/// ")));
    assert!(comment.contains("\\[\\] of \\<T\\>"));
}

const DEFINITION: &str = r#"{
  "apiKey": 99, "type": "request", "name": "TestRequest",
  "validVersions": "1-3", "flexibleVersions": "2+", "latestVersionUnstable": true,
  "fields": [
    { "name": "Old", "type": "int32", "versions": "0", "about": "Before all versions." },
    { "name": "Always", "type": "int32", "versions": "0+", "default": "-1", "about": "A." },
    { "name": "Unstable", "type": "int8", "versions": "3+", "about": "B." },
    { "name": "Must", "type": "string", "versions": "2+", "about": "C." },
    { "name": "May", "type": "string", "versions": "2+", "ignorable": true, "about": "D." }
  ]
}"#;

#[test]
fn only_stable_versions_and_their_fields_are_generated() {
    let mut message = schema::parse(DEFINITION).expect("the definition is well-formed");
    let stable = without_unstable_versions(&message).expect("the latest version is unstable");
    message.restrict(stable);
    let code = emit::message(&message).expect("the definition is supported");
    assert!(code.contains("VersionRange { min: 1, max: 2 }"));
    assert!(!code.contains("unstable") && !code.contains("old"));
}

#[test]
fn a_field_that_a_version_cannot_carry_is_refused_unless_ignorable() {
    let message = schema::parse(DEFINITION).expect("the definition is well-formed");
    let code = emit::message(&message).expect("the definition is supported");
    assert!(code.contains("EncodeError::FieldNotInVersion { field: \"TestRequest.must\""));
    assert!(!code.contains("EncodeError::FieldNotInVersion { field: \"TestRequest.may\""));
}

#[test]
fn what_is_not_understood_is_an_error_and_not_a_guess() {
    for (from, to) in [
        ("\"int8\"", "\"int128\""),
        ("\"ignorable\"", "\"ignoble\""),
        ("\"1-3\"", "\"one\""),
        ("\"-1\"", "\"many\""),
    ] {
        let text = DEFINITION.replacen(from, to, 1);
        assert_ne!(text, DEFINITION);
        let result = schema::parse(&text).and_then(|message| emit::message(&message));
        assert!(result.is_err(), "{from} as {to}");
    }
}

#[test]
fn the_committed_code_is_current() {
    let root = farlog_testkit::jars::workspace();
    if jar::at_hand(root).is_none() {
        eprintln!("skipped: `cargo xtask fetch-kafka` brings the definitions of {KAFKA_VERSION}");
        return;
    }
    let options = Options { check: true, definitions: None };
    run(root, &options).expect("the committed code is current");
}
