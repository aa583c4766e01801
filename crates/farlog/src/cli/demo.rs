//! `farlog demo`: see it work, with nothing else installed.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use indicatif::MultiProgress;

use super::Outcome;
use super::logging::LoggingArguments;
use crate::app::signals;
use crate::demo::{self, DemoOptions};

/// Arguments of `farlog demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// End after so many seconds; without it the demo goes on until Ctrl-C.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Records a second of the live load.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub rate: u64,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Plays the demo.
///
/// # Errors
/// If stderr cannot be written.
pub fn run(arguments: &DemoArguments) -> io::Result<Outcome> {
    let started = arguments.logging.start("warn", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let options = DemoOptions {
        duration: arguments.seconds.map(Duration::from_secs),
        records_per_second: arguments.rate,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let played = runtime
        .block_on(async { Ok::<_, io::Error>(demo::run(options, signals::listen()?).await) });
    runtime.shutdown_background();
    match played? {
        Ok(exit) => Ok(exit),
        Err(error) => {
            writeln!(io::stderr(), "error: {error}")?;
            Ok(Outcome::Failed)
        }
    }
}
