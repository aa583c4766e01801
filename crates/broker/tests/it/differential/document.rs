//! `docs/broker-differences.md`: what differs from Kafka knowingly, from the scenarios.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use super::script::Case;

const PATH: &str = "../../docs/broker-differences.md";

const BEGINNING: &str = "\
# Where the embedded broker differs from Kafka, knowingly

Made from `crates/broker/tests/scenarios`, whose cases run against Apache Kafka 4.3.1 and against
the embedded broker and must be answered alike; change it there
(`FARLOG_WRITE_DOCS=1 cargo test -p farlog-broker --test it differences`). What is not served at all
is in no scenario: such a request costs its connection, and `ApiVersions` does not announce it.
";

/// Fails if the document is not what the scenarios say; writes it if asked to.
pub(super) fn check(cases: &[Case]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let text = text_of(cases);
    if env::var_os("FARLOG_WRITE_DOCS").is_some() {
        fs::write(&path, &text).expect("the document is written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "docs/broker-differences.md is not what the scenarios say");
}

fn text_of(cases: &[Case]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in cases {
        for step in &case.steps {
            let Some(differs) = &step.differs else { continue };
            assert!(!differs.because.is_empty(), "{}: {} has no reason", case.id(), step.text);
            let mut lines = format!("{}: {}\n", case.id(), step.text);
            for (who, said) in [("kafka", &differs.kafka), ("ours", &differs.ours)] {
                for line in said {
                    let _ = writeln!(lines, "  {who:<5} | {line}");
                }
            }
            by_reason.entry(&differs.because).or_default().push(lines);
        }
    }
    let mut text = BEGINNING.to_owned();
    for (reason, steps) in by_reason {
        let _ = write!(text, "\n## {reason}\n\n```text\n{}```\n", steps.join("\n"));
    }
    let _ = write!(text, "\n{} cases in all.\n", cases.len());
    text
}
