//! Running other programs, and saying in one sentence what went wrong.

use std::fmt;
use std::process::Command;
use std::time::Instant;

/// Why a command of ours failed: one sentence for a person.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Failure {
        Failure(sentence.into())
    }

    /// For `map_err`: what was being done when something refused, and what it said.
    pub(crate) fn while_doing<E: fmt::Display>(
        what: impl fmt::Display,
    ) -> impl FnOnce(E) -> Failure {
        move |error| Failure(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    let status = command.status().map_err(Failure::while_doing(format!("cannot run `{shown}`")))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{shown}` failed: {status}"))) }
}

/// Does one step and prints a plain line with its outcome and how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let start = Instant::now();
    let outcome = work();
    let word = if outcome.is_ok() { "ok    " } else { "FAILED" };
    println!("{word} {name} ({:.1} s)", start.elapsed().as_secs_f64());
    outcome
}

/// Whether a program of this name is on the `PATH`.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_how_it_ended() {
        let failure = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(failure.to_string(), "`sh -c exit 3` failed: exit status: 3");
        let failure = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(failure.starts_with("cannot run `no-such-program`: "), "{failure}");
    }

    #[test]
    fn programs_are_looked_up_on_the_path() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }
}
