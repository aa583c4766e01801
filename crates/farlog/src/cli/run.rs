//! `farlog run FILE`: replicate until a signal.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use farlog_link::Clock;
use indicatif::MultiProgress;

use super::Outcome;
use super::logging::LoggingArguments;
use crate::app::supervisor::DRAIN_DEADLINE;
use crate::app::{App, AppOptions, signals};
use crate::http::Listen;
use crate::logging::LogFormat;
use crate::settings::diagnostics::{Report, Severity};
use crate::settings::topology::Topology;
use crate::settings::{LoadOptions, Loaded, load_file};

/// Arguments of `farlog run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// farlog.yaml, or a MirrorMaker 2 file that ends in .properties, as it is.
    pub file: PathBuf,
    /// Where to serve /metrics, /status and /health: IP:PORT, or `none`.
    ///
    /// Anybody who reaches this address can read topic names and lag; 0.0.0.0:9464 is for a
    /// container behind a network policy.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464", env = "FARLOG_LISTEN")]
    pub listen: Listen,
    /// The name of this instance in `farlog status`; host name and process id if not given.
    ///
    /// Start as many instances of one file as you like: one of them mirrors each link, the others
    /// stand by. With a name of its own that stays the same, a restarted instance takes its place
    /// at once instead of after the session timeout; two of one name take links from each other.
    #[arg(long, value_name = "NAME", env = "FARLOG_INSTANCE", value_parser = instance_name)]
    pub instance: Option<String>,
    /// Run only the links into these clusters, separated by commas (as MirrorMaker 2's --clusters).
    #[arg(long, value_name = "ALIAS", value_delimiter = ',')]
    pub clusters: Vec<String>,
    /// How long to wait, after SIGTERM or SIGINT, until what was sent has been acknowledged.
    #[arg(long, value_name = "SECONDS", default_value_t = DRAIN_DEADLINE.as_secs())]
    pub drain_deadline: u64,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Runs the links of a file until a signal. Nothing is written to stdout.
///
/// # Errors
/// If stderr cannot be written.
pub fn run(arguments: &RunArguments) -> io::Result<Outcome> {
    let bars = MultiProgress::new();
    let started = arguments.logging.start("info", &bars)?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let format = arguments.logging.log_format;
    let topology = match accepted(arguments, format)? {
        Ok(topology) => topology,
        Err(outcome) => return Ok(outcome),
    };
    let is_live = format == LogFormat::Human && io::stderr().is_terminal();
    let options = AppOptions {
        topology,
        settings_file: Some(arguments.file.clone()),
        listen: arguments.listen,
        instance: arguments.instance.clone().unwrap_or_else(default_instance),
        is_named: arguments.instance.is_some(),
        clock: Clock::system(),
        drain_deadline: Duration::from_secs(arguments.drain_deadline),
        live: is_live.then_some(bars),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(build_and_run(arguments, options));
    // What a second signal or the deadline cut off must not hold the process up.
    runtime.shutdown_background();
    outcome
}

async fn build_and_run(arguments: &RunArguments, options: AppOptions) -> io::Result<Outcome> {
    // From here on a signal drains.
    let signals = signals::listen()?;
    let app = match App::build(options).await {
        Ok(app) => app,
        Err(error) => {
            writeln!(io::stderr(), "error: {error}")?;
            return Ok(error.exit());
        }
    };
    let file = arguments.file.display();
    tracing::info!("`farlog status {file}` and `farlog lag {file}` tell how it goes");
    Ok(app.run(signals).await)
}

/// The topology, if the file is accepted and has links to run.
fn accepted(arguments: &RunArguments, format: LogFormat) -> io::Result<Result<Topology, Outcome>> {
    let name = arguments.file.display();
    let loaded = match load_file(&arguments.file, &LoadOptions::default()) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(io::stderr(), "error: cannot read {name}: {error}")?;
            return Ok(Err(Outcome::NoInput));
        }
    };
    tell(&loaded.report, format)?;
    if !loaded.is_accepted() {
        let counts = loaded.report.summary().unwrap_or_default();
        writeln!(io::stderr(), "{name}: refused, {counts}; nothing was started")?;
        return Ok(Err(Outcome::Usage));
    }
    let Loaded { mut topology, .. } = loaded;
    if !arguments.clusters.is_empty() {
        let stranger =
            arguments.clusters.iter().find(|each| !topology.clusters.contains_key(*each));
        if let Some(stranger) = stranger {
            writeln!(io::stderr(), "error: --clusters: {name} has no cluster `{stranger}`")?;
            return Ok(Err(Outcome::Usage));
        }
        topology.only_targets(&arguments.clusters);
    }
    if topology.links.is_empty() {
        writeln!(io::stderr(), "error: {name} has no link to run here")?;
        return Ok(Err(Outcome::Usage));
    }
    Ok(Ok(topology))
}

/// What there is to say about the file: as text for people, one line each for machines.
fn tell(report: &Report, format: LogFormat) -> io::Result<()> {
    if format == LogFormat::Human {
        return write!(io::stderr(), "{}", report.render());
    }
    for diagnostic in report.sorted() {
        let line = diagnostic.place.map(|(_, place)| place.line);
        let hint = diagnostic.hint.as_deref().unwrap_or_default();
        let message = &diagnostic.message;
        match diagnostic.severity {
            Severity::Info => tracing::info!(line, hint, "settings: {message}"),
            Severity::Warning => tracing::warn!(line, hint, "settings: {message}"),
            Severity::NotYet => tracing::warn!(line, hint, "settings: not yet: {message}"),
            Severity::Error => tracing::error!(line, hint, "settings: {message}"),
        }
    }
    Ok(())
}

/// Letters that Kafka allows in instance ids; `|` would end the key of the status topic.
fn instance_name(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("letters, digits, `.`, `_` and `-` only".to_owned());
    }
    Ok(text.to_owned())
}

/// Host name and process id: tells two instances apart, also on one machine.
fn default_instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .and_then(|host| instance_name(host.trim()).ok())
        .unwrap_or_else(|| "farlog".to_owned());
    format!("{host}-{}", std::process::id())
}
