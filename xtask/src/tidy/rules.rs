//! The rules for one Rust file.

use std::path::Path;

use super::Violation;
use super::source::Source;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// How many lines at the top of a file may say that it is generated.
const HEADER_LINES: usize = 5;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["common", "commons", "util", "utils", "misc", "helper", "helpers"];

/// Words that mean unfinished work; spelled in halves so that this file may name them.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that mean unfinished work.
const UNFINISHED_MACROS: [&str; 3] = ["dbg!", concat!("to", "do!"), "unimplemented!"];

/// All breaches in one file, whose path is relative to the workspace's root.
pub(super) fn check(file: &Path, text: &str) -> Vec<Violation> {
    let source = Source::new(text);
    let mut found = Found { file, violations: Vec::new() };
    names(&mut found);
    if is_generated(&source) {
        return found.violations;
    }
    module_docs(&source, &mut found);
    if !is_test(file) {
        file_length(&source, &mut found);
    }
    function_lengths(&source, &mut found);
    columns(&source, &mut found);
    unfinished(&source, &mut found);
    inline_modules(&source, &mut found);
    found.violations
}

struct Found<'a> {
    file: &'a Path,
    violations: Vec<Violation>,
}

impl Found<'_> {
    fn add(&mut self, line: usize, what: impl Into<String>) {
        self.violations.push(Violation { file: self.file.to_owned(), line, what: what.into() });
    }
}

/// Generated files say so at their top.
fn is_generated(source: &Source<'_>) -> bool {
    source.lines.iter().take(HEADER_LINES).any(|line| line.contains("@generated"))
}

/// Tests may be long: a `tests.rs`, or anything below `tests/` or `benches/`.
fn is_test(file: &Path) -> bool {
    let in_tests = |part: &std::ffi::OsStr| part == "tests" || part == "benches";
    file.file_stem().is_some_and(|stem| stem == "tests") || file.iter().any(in_tests)
}

fn names(found: &mut Found<'_>) {
    let stem = found.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folders = found.file.parent().into_iter().flat_map(Path::iter);
    let mut parts: Vec<String> = folders.map(|part| part.to_string_lossy().into_owned()).collect();
    parts.push(stem);
    for part in parts {
        if EMPTY_NAMES.contains(&part.as_str()) {
            found.add(1, format!("`{part}` says nothing: name the module after what it holds"));
        }
    }
}

fn inline_modules(source: &Source<'_>, found: &mut Found<'_>) {
    for (index, line) in source.code.iter().enumerate() {
        let words: Vec<&str> = words(line).collect();
        for pair in words.windows(2) {
            if pair[0] == "mod" && EMPTY_NAMES.contains(&pair[1]) && line.contains('{') {
                found.add(index + 1, format!("module `{}` says nothing by its name", pair[1]));
            }
        }
    }
}

fn module_docs(source: &Source<'_>, found: &mut Found<'_>) {
    let first = source.lines.iter().position(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("#![")
    });
    let documented = first.is_some_and(|index| source.lines[index].starts_with("//!"));
    if !documented {
        found.add(1, "the file does not start with `//!` and what it is for");
    }
}

/// Counts up to the tests at the end of the file.
fn file_length(source: &Source<'_>, found: &mut Found<'_>) {
    let tests = source.code.windows(2).position(|pair| {
        let module = pair[1].trim_start();
        pair[0].trim() == "#[cfg(test)]" && module.starts_with("mod ") && module.contains('{')
    });
    let lines = tests.unwrap_or(source.lines.len());
    if lines > FILE_LINES_MAX {
        found.add(
            FILE_LINES_MAX + 1,
            format!("{lines} lines outside tests, and {FILE_LINES_MAX} are allowed"),
        );
    }
}

fn columns(source: &Source<'_>, found: &mut Found<'_>) {
    for (index, line) in source.lines.iter().enumerate() {
        let columns = line.chars().count();
        // A link cannot be broken.
        if columns > COLUMNS_MAX && !line.contains("://") {
            found.add(index + 1, format!("{columns} columns, and {COLUMNS_MAX} are allowed"));
        }
    }
}

fn unfinished(source: &Source<'_>, found: &mut Found<'_>) {
    for (index, line) in source.lines.iter().enumerate() {
        for word in words(line).filter(|word| UNFINISHED.contains(word)) {
            found.add(index + 1, format!("`{word}`: finish it, or write an issue"));
        }
    }
    for (index, line) in source.code.iter().enumerate() {
        for name in UNFINISHED_MACROS {
            let inside =
                |at: usize| line[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric());
            if line.match_indices(name).any(|(at, _)| !inside(at)) {
                found.add(index + 1, format!("`{name}` is for unfinished work"));
            }
        }
    }
}

fn function_lengths(source: &Source<'_>, found: &mut Found<'_>) {
    for (start, line) in source.code.iter().enumerate() {
        let Some((at, name)) = function_name(line) else { continue };
        let Some(end) = function_end(&source.code, start, at) else { continue };
        let lines = end - start + 1;
        if lines > FUNCTION_LINES_MAX {
            found.add(
                start + 1,
                format!("`{name}` has {lines} lines, and {FUNCTION_LINES_MAX} are allowed"),
            );
        }
    }
}

/// The name of the function that is defined on this line and where `fn` stands; a pointer type
/// `fn(…)` has no name.
fn function_name(line: &str) -> Option<(usize, &str)> {
    let (at, _) = line.match_indices("fn ").find(|&(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })?;
    Some((at, words(&line[at + 3..]).next()?))
}

/// The line of a function's closing brace; `None` for one without a body.
fn function_end(code: &[String], start: usize, at: usize) -> Option<usize> {
    let mut braces = 0_usize;
    // A semicolon inside brackets belongs to an array type in the signature.
    let mut brackets = 0_usize;
    for (index, line) in code.iter().enumerate().skip(start) {
        let from = if index == start { at } else { 0 };
        for one in line[from..].chars() {
            match one {
                '{' => braces += 1,
                '}' if braces == 1 => return Some(index),
                '}' => braces = braces.checked_sub(1)?,
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|one: char| !one.is_alphanumeric() && one != '_').filter(|word| !word.is_empty())
}
