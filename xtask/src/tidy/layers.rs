//! Which crate may know which: the manifests prove that dependencies point one way.

use std::path::Path;

use super::Violation;

/// Each crate with those it may depend on, lowest first. The order of the design, with room for
/// the crates that have not appeared yet.
const LAYERS: [(&str, &[&str]); 10] = [
    ("farlog-wire", &[]),
    ("farlog-client", &["farlog-wire"]),
    ("farlog-store", &["farlog-wire"]),
    ("farlog-broker", &["farlog-wire", "farlog-store"]),
    ("farlog-link", &["farlog-wire", "farlog-client", "farlog-store"]),
    ("farlog-runbook", &["farlog-wire", "farlog-client", "farlog-store", "farlog-link"]),
    (
        "farlog",
        &[
            "farlog-wire",
            "farlog-client",
            "farlog-store",
            "farlog-broker",
            "farlog-link",
            "farlog-runbook",
            "farlog-bench",
        ],
    ),
    ("farlog-testkit", &["farlog-wire", "farlog-client"]),
    // Starts the other tools and knows Farlog only as a program, like any of them.
    ("farlog-bench", &["farlog-wire", "farlog-client", "farlog-testkit"]),
    ("xtask", &["farlog-wire", "farlog-client", "farlog-testkit", "farlog-bench"]),
];

/// What any crate's tests may use besides: our client is one of the clients that a broker is tested
/// with.
const FOR_TESTS: [&str; 2] = ["farlog-testkit", "farlog-client"];

/// All breaches in one manifest.
pub(super) fn check(file: &Path, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut add = |line: usize, what: String| {
        violations.push(Violation { file: file.to_owned(), line, what });
    };
    let Some(name) = package(text) else { return violations };
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        if name.starts_with("farlog") && !file.starts_with("fuzz") {
            add(1, format!("crate `{name}` has no place in the layers of xtask's tidy"));
        }
        return violations;
    };
    let mut section = "";
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        if !section.ends_with("dependencies") {
            continue;
        }
        let dependency = line.split(['=', '.', ' ']).next().unwrap_or_default();
        let ours = LAYERS.iter().any(|(layer, _)| *layer == dependency);
        let for_tests = section == "dev-dependencies" && FOR_TESTS.contains(&dependency);
        if ours && !allowed.contains(&dependency) && !for_tests {
            add(index + 1, format!("`{name}` must not depend on `{dependency}`: wrong direction"));
        }
    }
    violations
}

/// The package's name.
fn package(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|line| line.strip_prefix("name = "))
        .map(|name| name.trim().trim_matches('"'))
}
