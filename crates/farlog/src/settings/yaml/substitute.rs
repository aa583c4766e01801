//! `${env:NAME}` and `${file:/path}` inside the scalars of a document. `$${` stands for `${`.

use super::super::diagnostics::{Place, Report};
use super::super::surroundings::Surroundings;
use super::document::Node;

/// Resolves every reference in the document. The value of a file loses its trailing line ends.
pub(super) fn expand(root: &mut Node, surroundings: &dyn Surroundings, report: &mut Report) {
    root.for_each_scalar(&mut |text, quoted, place| {
        if text.contains("${") {
            *text = expanded(text, place, surroundings, report);
            // What comes from outside is a text or a number, never a reason to parse again.
            *quoted = false;
        }
    });
}

fn expanded(
    text: &str,
    place: Place,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = rest[start..].find('}') else {
            report
                .error((Report::MAIN, place), "`${` is never closed")
                .hint("write $${ for the characters themselves");
            return out;
        };
        let inside = &rest[start + 2..start + end];
        match value(inside, surroundings) {
            Ok(value) => out.push_str(&value),
            Err((complaint, hint)) => {
                let error = report.error((Report::MAIN, place), complaint);
                error.hint = hint;
            }
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    out
}

fn value(
    inside: &str,
    surroundings: &dyn Surroundings,
) -> Result<String, (String, Option<String>)> {
    match inside.split_once(':') {
        Some(("env", name)) => surroundings
            .variable(name)
            .ok_or_else(|| (format!("the environment variable {name} is not set"), None)),
        Some(("file", path)) => match surroundings.file(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
                Err(_) => Err((format!("{path} is not UTF-8 text"), None)),
            },
            Err(error) => Err((format!("cannot read {path}: {error}"), None)),
        },
        _ => Err((
            format!("`${{{inside}}}` is neither `${{env:NAME}}` nor `${{file:/path}}`"),
            Some("write $${ for the characters themselves".to_owned()),
        )),
    }
}
