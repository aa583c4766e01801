//! `cargo xtask tidy`: the rules of style that rustfmt and clippy do not check.
//!
//! Each violation is one line, `file:line: what`. Also a test of the workspace, so that
//! `cargo test` alone finds them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Failure;

mod layers;
mod rules;
mod source;
#[cfg(test)]
mod tests;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

pub(crate) fn run() -> Result<(), Failure> {
    let root = farlog_testkit::jars::workspace();
    let violations = check(root)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{} breaches of the rules of style", violations.len())))
}

/// All breaches below a workspace root, in order.
fn check(root: &Path) -> Result<Vec<Violation>, Failure> {
    let mut violations = Vec::new();
    for file in files(root)? {
        let path = root.join(&file);
        let text = fs::read_to_string(&path)
            .map_err(Failure::while_doing(format!("cannot read {}", path.display())))?;
        if file.ends_with("Cargo.toml") {
            violations.extend(layers::check(&file, &text));
        } else {
            violations.extend(rules::check(&file, &text));
        }
    }
    violations.sort();
    Ok(violations)
}

/// Every Rust source and manifest of the workspace, relative to its root.
fn files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut directories: Vec<PathBuf> = ["crates", "xtask", "fuzz"].map(PathBuf::from).to_vec();
    while let Some(directory) = directories.pop() {
        let path = root.join(&directory);
        if !path.is_dir() {
            continue;
        }
        let doing = || Failure::while_doing(format!("cannot list {}", path.display()));
        for entry in fs::read_dir(&path).map_err(doing())? {
            let entry = entry.map_err(doing())?;
            let relative = directory.join(entry.file_name());
            let is_source = relative.extension().is_some_and(|extension| extension == "rs");
            if entry.file_type().map_err(doing())?.is_dir() {
                if entry.file_name() != "target" {
                    directories.push(relative);
                }
            } else if is_source || entry.file_name() == "Cargo.toml" {
                files.push(relative);
            }
        }
    }
    files.sort();
    Ok(files)
}
