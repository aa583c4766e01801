//! How Farlog ends: every exit code, what it means, and what to do.

use std::fmt::Write as _;
use std::process::ExitCode;

/// Why the process ended. The numbers follow `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or drained on a signal.
    Done,
    /// A link, or what was asked for, failed while it ran.
    Failed,
    /// `--check` found something that an operator has to look at.
    Unwell,
    /// The command line or the settings file is wrong; nothing was started.
    Usage,
    /// A file cannot be read.
    NoInput,
    /// A cluster cannot be used: it cannot be reached, or it refuses our credentials.
    Unavailable,
    /// The machine refused something, such as the address to listen on.
    Machine,
    /// Output cannot be written.
    Output,
    /// The deadline of the drain passed before every acknowledgement had arrived.
    DrainDeadline,
    /// A second SIGINT ended the process in the middle of the drain, or one ended a bench.
    Interrupted,
    /// A second SIGTERM ended the process in the middle of the drain, or one ended a bench.
    Terminated,
}

impl Exit {
    /// Every way to end, in order of the codes.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Unwell,
        Self::Usage,
        Self::NoInput,
        Self::Unavailable,
        Self::Machine,
        Self::Output,
        Self::DrainDeadline,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Unwell => 2,
            Self::Usage => 64,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Machine => 71,
            Self::Output => 74,
            Self::DrainDeadline => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What it means and what to do, for `--help`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or drained after a signal",
            Self::Failed => "it failed while it ran; the last error says why",
            Self::Unwell => "with --check: something needs an operator",
            Self::Usage => "wrong command line or settings file; nothing was started",
            Self::NoInput => "a file cannot be read",
            Self::Unavailable => "a cluster cannot be reached, or refuses our credentials",
            Self::Machine => "the machine refused something, such as the address to listen on",
            Self::Output => "output cannot be written",
            Self::DrainDeadline => "stopped before all was acknowledged; safe, start it again",
            Self::Interrupted => {
                "second SIGINT while draining, or one in a bench; safe, start it again"
            }
            Self::Terminated => {
                "second SIGTERM while draining, or one in a bench; safe, start it again"
            }
        }
    }

    /// The list of exit codes at the end of `--help`.
    pub fn help() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert!(Exit::help().contains("   64  wrong command line"));
    }
}
