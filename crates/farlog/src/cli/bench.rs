//! `farlog bench`: this binary beside MirrorMaker 2, on this machine.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use farlog_bench::{BenchError, Doing, Jars, Missing, Plan, Progress, Report};
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::app::signals;

/// How often the live line moves while there is nothing new to tell.
const TICK: Duration = Duration::from_millis(500);

/// How long to wait, after a signal, for what cannot be interrupted; whatever it is then, it ends
/// with this process.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `farlog bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to measure.
    #[command(flatten)]
    pub bench: farlog_bench::Arguments,
    /// A folder of Kafka's jars, or an unpacked Kafka; without it, Kafka is fetched through Maven
    /// into farlog/kafka in the user's cache folder, once.
    #[arg(long, value_name = "FOLDER")]
    pub kafka: Option<PathBuf>,
    /// Where to write the report as JSON.
    #[arg(long, value_name = "FILE", default_value = "farlog-bench.json")]
    pub json: PathBuf,
}

/// Why there is no bench.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{missing}{}", remedy(.missing))]
    Missing {
        #[from]
        missing: Missing,
    },
    #[error("cannot write {}: {source}", path.display())]
    Report { path: PathBuf, source: io::Error },
    #[error("cannot tell where this binary is: {0}")]
    Binary(io::Error),
    #[error("the search for Kafka's jars failed: {0}")]
    Search(tokio::task::JoinError),
    #[error("{0}")]
    Bench(#[from] BenchError),
}

impl Refusal {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Missing { missing: Missing::Folder(_) } => Outcome::Usage,
            Self::Missing { .. } | Self::Binary(_) => Outcome::Machine,
            Self::Report { .. } => Outcome::Output,
            Self::Search(_) | Self::Bench(_) => Outcome::Failed,
        }
    }
}

/// What to do about it, where the sentence does not say it already.
fn remedy(missing: &Missing) -> &'static str {
    match missing {
        Missing::Java(_) => ": install one, as openjdk-17-jre-headless of Debian",
        Missing::Folder(_) => " (--kafka)",
        Missing::Cache => ": set HOME or XDG_CACHE_HOME, or name Kafka's folder by --kafka",
        Missing::Fetch(_) => "\nOr unpack a Kafka by hand, and name its folder by --kafka.",
    }
}

/// Measures, prints the tables and writes the report.
///
/// # Errors
/// If output cannot be written.
pub fn run(arguments: &BenchArguments, data: &mut impl Write) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(until_a_signal(arguments));
    // A cluster that is being started is killed as soon as it is up.
    runtime.shutdown_timeout(END_PATIENCE);
    match outcome? {
        Ended::Measured(report) => {
            write!(data, "{}", report.tables())?;
            writeln!(io::stderr(), "report: {}", arguments.json.display())?;
            Ok(Outcome::Done)
        }
        Ended::Refused(refusal) => {
            writeln!(io::stderr(), "error: {refusal}")?;
            Ok(refusal.outcome())
        }
        Ended::Stopped(outcome) => Ok(outcome),
    }
}

/// How the bench ended.
enum Ended {
    Measured(Box<Report>),
    Refused(Refusal),
    Stopped(Outcome),
}

/// A signal ends the bench as if it had failed: its processes are killed and its files removed.
async fn until_a_signal(arguments: &BenchArguments) -> io::Result<Ended> {
    let mut signals = signals::listen()?;
    let signal = tokio::select! {
        measured = measure(arguments) => return Ok(match measured {
            Ok(report) => Ended::Measured(Box::new(report)),
            Err(refusal) => Ended::Refused(refusal),
        }),
        Some(signal) = signals.recv() => signal,
    };
    writeln!(io::stderr(), "{}: ended, and everything that was started", signal.name())?;
    remove_if_empty(&arguments.json);
    Ok(Ended::Stopped(signal.exit()))
}

async fn measure(arguments: &BenchArguments) -> Result<Report, Refusal> {
    let farlog = std::env::current_exe().map_err(Refusal::Binary)?;
    let json = &arguments.json;
    let writing = |source| Refusal::Report { path: json.clone(), source };
    // Now, not after minutes of work.
    File::options().create(true).append(true).open(json).map_err(writing)?;
    let measured = measure_with(&arguments.bench, arguments.kafka.clone(), farlog).await;
    if measured.is_err() {
        remove_if_empty(json);
    }
    let report = measured?;
    fs::write(json, report.json()).map_err(writing)?;
    Ok(report)
}

async fn measure_with(
    bench: &farlog_bench::Arguments,
    folder: Option<PathBuf>,
    farlog: PathBuf,
) -> Result<Report, Refusal> {
    let mut talk = Talk { bar: bar() };
    let finding = tokio::task::spawn_blocking(move || {
        let jars = jars(folder.as_deref(), &mut talk);
        jars.map(|jars| (jars, talk))
    });
    let (jars, mut talk) = finding.await.map_err(Refusal::Search)??;
    let plan = Plan::new(bench).described();
    talk.line(&format!("Farlog beside MirrorMaker 2 of Kafka {}: {plan}", jars.release()));
    if cfg!(debug_assertions) {
        talk.line("This farlog was built without optimisation: its figures mean nothing.");
    }
    let progress = Box::new(talk);
    let surroundings = farlog_bench::Surroundings { jars, farlog, progress };
    Ok(farlog_bench::measure(bench, surroundings).await?)
}

/// Kafka, from where the person said or from the cache.
fn jars(folder: Option<&Path>, talk: &mut Talk) -> Result<Jars, Missing> {
    let cache = cache().map(|folder| folder.join("farlog/kafka"));
    farlog_bench::provide(folder, cache.as_deref(), |what| {
        talk.line(what);
        if let Some(bar) = &talk.bar {
            bar.set_message("Maven is at work");
        }
    })
}

/// As the XDG Base Directory Specification has it: a relative path is no path.
fn cache() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))
}

/// What was opened to see whether it can be written, and then was not.
fn remove_if_empty(path: &Path) {
    if fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        // It is empty: leaving it behind does no harm.
        let _ = fs::remove_file(path);
    }
}

/// A live line, if there is a terminal to draw it on.
fn bar() -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .expect("the template is a constant that indicatif understands");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(TICK);
    Some(bar)
}

/// Lines for what was measured; on a terminal, a live one for what is going on.
struct Talk {
    bar: Option<ProgressBar>,
}

impl Progress for Talk {
    fn line(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn doing(&mut self, doing: &Doing<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_message(doing.to_string());
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
