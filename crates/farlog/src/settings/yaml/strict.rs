//! `farlog check --strict`: the questions of a design review, each of which has a field.

use super::super::diagnostics::Report;
use super::Document;

/// Question, and the fields that answer it.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("which cluster is authoritative for writes", &["write-cluster"]),
    ("what consumer offsets become at a failover", &["offsets", "groups"]),
    ("where the schemas are", &["schemas"]),
    ("what happens with duplicates and replay", &["duplicates", "replay"]),
    ("which tests prove it", &["drill"]),
];

pub(super) fn ask(document: &Document, report: &mut Report) {
    for (name, _) in document.entries("families") {
        let place = (Report::MAIN, document.key_place(&["families", name]));
        for (question, fields) in QUESTIONS {
            let open: Vec<String> = fields
                .iter()
                .filter(|field| !document.has(&["families", name, field]))
                .map(|field| format!("`{field}`"))
                .collect();
            if !open.is_empty() {
                let message = format!("family {name} does not say {question}");
                report.error(place, message).hint(format!("answer it with {}", open.join(" and ")));
            }
        }
    }
}
