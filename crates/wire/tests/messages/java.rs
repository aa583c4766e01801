//! Apache Kafka itself reads what we write, and writes the same bytes again.
//!
//! Needs `java` and the jars that `cargo xtask fetch-kafka` brings; `cargo xtask test` does that
//! first. Without them the test says so and passes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use farlog_wire::{Message, Request, for_each_api};

use super::dice::{SAMPLES, Sample, sample};
use super::round_trip::encode;

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

#[test]
fn kafka_writes_the_same_bytes_again() {
    let Some(jars) = jars() else {
        eprintln!("skipped: no Kafka 4.3.1 under target/kafka; `cargo xtask fetch-kafka` gets it");
        return;
    };
    let cases = all_cases();
    let lines: Vec<_> =
        cases.iter().map(|case| format!("{} {}", case.what, hex(&case.bytes))).collect();
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
    let text = lines.join("\n");
    // Kafka answers while it reads: without a thread both sides would wait for each other.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = java.wait_with_output().expect("java ends");
    writer.join().expect("the writer does not panic").expect("java reads everything");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("hexadecimal digits are ASCII");
    let answers: Vec<_> = answers.lines().collect();
    assert_eq!(answers.len(), lines.len());
    for ((case, line), answer) in cases.iter().zip(&lines).zip(answers) {
        assert_eq!(format!("{} {answer}", case.what), *line);
    }
}
