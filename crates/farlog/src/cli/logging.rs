//! The logging options that commands share.

use std::io::{self, Write};

use clap::Args;
use indicatif::MultiProgress;

use super::Outcome;
use crate::logging::{self, LogFormat};

/// How to log. Logs go to stderr.
#[derive(Clone, Debug, Args)]
pub struct LoggingArguments {
    /// error, warn, info, debug or trace; or by crate, as `info,farlog_link=debug`.
    #[arg(long, value_name = "LEVELS", env = "FARLOG_LOG")]
    pub log: Option<String>,
    /// What log lines look like.
    #[arg(long, value_enum, default_value_t, env = "FARLOG_LOG_FORMAT")]
    pub log_format: LogFormat,
}

impl LoggingArguments {
    /// Starts logging, or says what is wrong with the arguments.
    ///
    /// # Errors
    /// If stderr cannot be written.
    pub fn start(&self, default_levels: &str, bars: &MultiProgress) -> io::Result<Outcome> {
        let levels = self.log.as_deref().unwrap_or(default_levels);
        match logging::start(levels, self.log_format, bars) {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => {
                writeln!(io::stderr(), "error: --log: {error}")?;
                Ok(Outcome::Usage)
            }
        }
    }
}
