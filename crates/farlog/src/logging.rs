//! Logs on stderr: for people on a terminal, as JSON for machines.
//!
//! Levels say what an operator must do: ERROR = someone must act; WARN = it recovered, or will by
//! itself, but is worth a look; INFO = what happened, a few lines an hour when all is well; DEBUG
//! and TRACE for those who look for a fault in Farlog. stdout is left to data.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people; in colour on a terminal, unless NO_COLOR is set.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// A log filter that cannot be read, or a second start of logging.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Not a filter.
    #[error("`{filter}` is no log filter: {reason}")]
    Filter {
        /// What was asked for.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something else in this process already writes logs.
    #[error("logging has already been started: {0}")]
    Started(String),
}

/// Starts logging for the whole process.
///
/// `filter` is a level (`info`) or levels by crate (`warn,farlog_link=debug`). Lines are written
/// around the live lines of `bars`, not through them.
pub fn start(filter: &str, format: LogFormat, bars: &MultiProgress) -> Result<(), LoggingError> {
    let directives = EnvFilter::builder().parse(filter).map_err(|error| LoggingError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(directives)
        .with_writer(AroundBars(bars.clone()))
        .with_ansi(colour)
        .with_target(false);
    let started = match format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => {
            builder.with_target(true).json().flatten_event(true).with_ansi(false).try_init()
        }
    };
    started.map_err(|error| LoggingError::Started(error.to_string()))
}

/// Writes lines to stderr while the live lines are away.
#[derive(Clone)]
struct AroundBars(MultiProgress);

impl fmt::Debug for AroundBars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AroundBars")
    }
}

impl Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The subscriber hands over whole lines.
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AroundBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named() {
        let error = start("farlog=loud", LogFormat::Human, &MultiProgress::new()).unwrap_err();
        assert!(error.to_string().starts_with("`farlog=loud` is no log filter"), "{error}");
    }
}
