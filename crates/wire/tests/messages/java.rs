//! Apache Kafka itself reads what we write, and writes the same bytes again.
//!
//! Needs `java` and the jars that `cargo xtask fetch-kafka` brings; `cargo xtask test` does that
//! first. Without them the test says so and passes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use farlog_wire::{ApiKey, ErrorCode, Message, Request, for_each_api};

use super::dice::{SAMPLES, Sample, sample};
use super::round_trip::encode;
use super::samples::defaults;

/// One message as Kafka shall read it.
struct Case {
    /// `request` or `response`, API, version.
    what: String,
    bytes: Bytes,
}

fn cases<M: Message + Sample>(kind: &str, api_key: i16, cases: &mut Vec<Case>) {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for seed in 0..SAMPLES {
            let bytes = encode(&sample::<M>(seed, version), version);
            cases.push(Case { what: format!("{kind} {api_key} {version}"), bytes });
        }
    }
}

macro_rules! all_cases {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        fn all_cases() -> Vec<Case> {
            use farlog_wire::messages::*;
            let mut all = Vec::new();
            $(
                let api_key = $request::$Request::API_KEY.into();
                cases::<$request::$Request>("request", api_key, &mut all);
                cases::<$response::$Response>("response", api_key, &mut all);
            )*
            all
        }
    };
}

for_each_api!(all_cases);

/// The jars of the release whose definitions the messages come from.
fn jars() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let jars = root.join("target/kafka/4.3.1/libs");
    jars.join("kafka-clients-4.3.1.jar").is_file().then_some(jars)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Kafka's answers to questions, a line each. `None`, with a word why, where there is no Kafka.
fn ask_kafka(questions: &[String]) -> Option<Vec<String>> {
    let Some(jars) = jars() else {
        eprintln!("skipped: no Kafka 4.3.1 under target/kafka; `cargo xtask fetch-kafka` gets it");
        return None;
    };
    let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/Echo.java");
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .arg(echo)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("stdin is piped");
    let text = questions.join("\n");
    // Kafka answers while it reads: without a thread both sides would wait for each other.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = java.wait_with_output().expect("java ends");
    writer.join().expect("the writer does not panic").expect("java reads everything");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("Kafka answers in ASCII");
    let answers: Vec<_> = answers.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len());
    Some(answers)
}

#[test]
fn kafka_writes_the_same_bytes_again() {
    let cases = all_cases();
    let questions: Vec<_> =
        cases.iter().map(|case| format!("{} {}", case.what, hex(&case.bytes))).collect();
    let Some(answers) = ask_kafka(&questions) else { return };
    for ((case, question), answer) in cases.iter().zip(&questions).zip(answers) {
        assert_eq!(format!("{} {answer}", case.what), *question);
    }
}

#[test]
fn error_codes_and_api_keys_are_kafkas() {
    let (codes, keys) = (-1..=133_i16, 0..=127_i16);
    let errors = codes.clone().map(|code| format!("error {code}"));
    let questions: Vec<_> = errors.chain(keys.clone().map(|key| format!("api {key}"))).collect();
    let Some(answers) = ask_kafka(&questions) else { return };
    let errors = codes.map(|code| {
        let code = ErrorCode(code);
        format!("{} {}", code.name(), code.is_retriable())
    });
    let names = keys.map(|key| ApiKey::try_from(key).map_or("none", ApiKey::name).to_owned());
    let ours: Vec<_> = errors.chain(names).collect();
    assert_eq!(ours, answers);
}

#[test]
fn names_order_and_defaults_of_fields_are_kafkas() {
    let defaults = defaults();
    let questions: Vec<_> = defaults.iter().map(|(class, _)| format!("default {class}")).collect();
    let Some(answers) = ask_kafka(&questions) else { return };
    for ((class, ours), theirs) in defaults.iter().zip(&answers) {
        // Kafka has fields that only versions have which are gone or unstable.
        let ours = fields(&as_java(ours));
        let mut theirs = fields(theirs).into_iter();
        for field in ours {
            assert!(theirs.any(|other| other == field), "{class}: no {field} where it should be");
        }
    }
}

/// `Name { a_field: None, other: "" }` as Java shows it: `Name(aField=null, other='')`.
fn as_java(rust: &str) -> String {
    let mut text = rust.replace(" { ", "(").replace(" }", ")").replace(": ", "=");
    for (rust, java) in [
        ("Some(\"\")", "''"),
        ("\"\"", "''"),
        ("Some([])", "[]"),
        ("b''", "[]"),
        ("None", "null"),
        ("NONE(0)", "0"),
        ("Uuid(AAAAAAAAAAAAAAAAAAAAAA)", "AAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        text = text.replace(rust, java);
    }
    let mut java = String::new();
    let mut upper = false;
    for character in text.chars() {
        match character {
            '_' => upper = true,
            _ if upper => {
                java.push(character.to_ascii_uppercase());
                upper = false;
            }
            _ => java.push(character),
        }
    }
    java
}

/// The fields `a=1` of `Name(a=1, b=Inner(c=2, d=3))`.
fn fields(text: &str) -> Vec<String> {
    let inside = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or("");
    let (mut fields, mut depth) = (vec![String::new()], 0);
    for character in inside.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        fields.last_mut().expect("there is always a field").push(character);
    }
    fields.into_iter().map(|field| field.trim().to_owned()).filter(|f| !f.is_empty()).collect()
}
