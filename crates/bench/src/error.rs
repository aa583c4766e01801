//! Why a bench ended without figures.

use std::fmt;
use std::process::ExitStatus;

/// Why a bench ended without figures. Whatever it is, every process that was started is gone.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A broker or a tool ended although nobody asked it to.
    #[error("{name} ended ({status}); the end of its log:\n{tail}{}", noticed_as(.noticed))]
    Died {
        /// Which, with its process id.
        name: String,
        /// How.
        status: ExitStatus,
        /// Its last lines.
        tail: String,
        /// What the bench was told when it next needed the process, if it was first.
        noticed: Option<Box<BenchError>>,
    },
    /// A tool runs, and does not do what it is there for.
    #[error("{name}: {what}; the end of its log:\n{tail}")]
    Misbehaved {
        /// Which, with its process id.
        name: String,
        /// What it did instead.
        what: String,
        /// Its last lines.
        tail: String,
    },
    /// Something that was asked for was refused.
    #[error("{what}: {why}")]
    Refused {
        /// What was being done.
        what: String,
        /// What the system or a broker said.
        why: String,
    },
    /// What was found cannot be: records that are lost, or a broker that is not what it should be.
    #[error("{0}")]
    Wrong(String),
    /// Any of these, and what the brokers had complained about until then.
    #[error("{error}\nwhat the brokers complained about:\n{complaints}")]
    WithComplaints {
        /// What happened.
        error: Box<BenchError>,
        /// Their warnings and errors, a line each.
        complaints: String,
    },
}

impl BenchError {
    pub(crate) fn new(sentence: impl Into<String>) -> BenchError {
        BenchError::Wrong(sentence.into())
    }

    /// For `map_err`: what was being done when something refused, and what it said.
    pub(crate) fn while_doing<E: fmt::Display>(
        what: impl fmt::Display,
    ) -> impl FnOnce(E) -> BenchError {
        move |error| BenchError::Refused { what: what.to_string(), why: error.to_string() }
    }
}

fn noticed_as(noticed: &Option<Box<BenchError>>) -> String {
    match noticed {
        Some(error) => format!("\nwhich was noticed as: {error}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_death_tells_who_how_and_the_last_words() {
        let noticed = BenchError::while_doing("cannot ask for log ends")("connection closed");
        let error = BenchError::Died {
            name: "the target broker (Kafka 4.3.1, process 77)".to_owned(),
            status: ExitStatus::from_raw(9),
            tail: "a line\nthe last line".to_owned(),
            noticed: Some(Box::new(noticed)),
        };
        assert_eq!(
            error.to_string(),
            "the target broker (Kafka 4.3.1, process 77) ended (signal: 9 (SIGKILL)); the end of \
             its log:\na line\nthe last line\nwhich was noticed as: cannot ask for log ends: \
             connection closed"
        );
    }
}
