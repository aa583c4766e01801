//! Scenario files, read. The language is told at the top of `differential.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Steps that belong together, on topics of their own.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The file's name without its ending.
    pub(super) file: String,
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

/// One line that does something, and what is known to differ about its answer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) differs: Option<Difference>,
}

/// Lines of the answer in which the two brokers differ knowingly.
#[derive(Clone, Debug, Default)]
pub(super) struct Difference {
    pub(super) kafka: Vec<String>,
    pub(super) ours: Vec<String>,
    pub(super) because: String,
}

/// The words and options of a step. Whoever asks for an option that nobody knows is told so by
/// [`Args::check_all_used`].
#[derive(Debug)]
pub(super) struct Args {
    pub(super) command: String,
    words: Vec<String>,
    options: BTreeMap<String, String>,
    used: Mutex<BTreeSet<String>>,
}

impl Case {
    /// What tells it from all others.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.file, self.name)
    }
}

/// Where the scenario files are.
pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// All cases of all files.
pub(super) fn all_cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory())
        .expect("the directory of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "scenario"))
        .collect();
    paths.sort();
    let cases: Vec<Case> = paths.iter().flat_map(|path| cases_of(path)).collect();
    let mut ids = BTreeSet::new();
    for case in &cases {
        assert!(ids.insert(case.id()), "two cases are called {}", case.id());
    }
    cases
}

fn cases_of(path: &Path) -> Vec<Case> {
    let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("a scenario file");
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = || format!("{file}.scenario:{}", index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("case ") {
            let (file, name) = (file.clone(), name.trim().to_owned());
            assert!(!name.contains(' '), "{}: names of cases have no spaces", at());
            cases.push(Case { file, name, steps: Vec::new() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}: no case yet", at()));
        if take_difference(case, line) {
            continue;
        }
        case.steps.push(Step { line: index + 1, text: line.to_owned(), differs: None });
    }
    cases
}

/// Adds a line about a difference to the step before it; false if the line is something else.
fn take_difference(case: &mut Case, line: &str) -> bool {
    let Some((who, text)) = line.split_once('|') else { return false };
    if !["kafka", "ours", "because"].contains(&who) {
        return false;
    }
    let step = case.steps.last_mut().expect("a step before what differs");
    let differs = step.differs.get_or_insert_default();
    let text = text.trim().to_owned();
    match who {
        "kafka" => differs.kafka.push(text),
        "ours" => differs.ours.push(text),
        _ if differs.because.is_empty() => differs.because = text,
        _ => differs.because = format!("{} {text}", differs.because),
    }
    true
}

impl Args {
    /// Splits a step; `"…"` keeps spaces together.
    pub(super) fn parse(text: &str) -> Self {
        let mut words = split(text).into_iter();
        let command = words.next().expect("a step has a command");
        let mut args =
            Self { command, words: Vec::new(), options: BTreeMap::new(), used: Mutex::default() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    let before = args.options.insert(name.to_owned(), value.to_owned());
                    assert!(before.is_none(), "{name} is given twice: {text}");
                }
                _ => args.words.push(word),
            }
        }
        args
    }

    /// The words that are not options.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The word at `index`.
    pub(super) fn word(&self, index: usize) -> &str {
        let word = self.words.get(index);
        word.unwrap_or_else(|| panic!("{} needs more than {index} words", self.command))
    }

    /// The word at `index`, a number.
    pub(super) fn number_at<T: std::str::FromStr>(&self, index: usize) -> T {
        parse(self.word(index))
    }

    /// An option, if it is given.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.used.lock().expect("no panic").insert(name.to_owned());
        self.options.get(name).map(String::as_str)
    }

    /// An option that is a number, or what it is if it is not given.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.option(name).map_or(default, parse)
    }

    /// Whether the bare word `name` is among the words.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// Fails on options that nobody asked for.
    pub(super) fn check_all_used(&self) {
        let used = self.used.lock().expect("no panic");
        for name in self.options.keys().filter(|name| *name != "version") {
            assert!(used.contains(name), "{} knows no {name}=", self.command);
        }
    }
}

/// A number, with `min` and `max` for the ends of its type where that is i32 or i64.
pub(super) fn parse<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("'{text}' is not a number of its kind"))
}

fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("never empty").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
