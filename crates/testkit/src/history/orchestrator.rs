//! Runs instances of a mirroring program as processes between two real clusters, and does to them
//! what happens to processes, networks and brokers, while the generator writes. Then it lets one
//! instance catch up and has the checker compare source and mirror, record by record.
//!
//! What is done, to whom and after which pause depends on the seed alone ([`script`]); what the
//! processes are doing at that moment is real life.

mod act;
mod clusters;
mod diary;
mod instances;
mod link_file;
pub mod script;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

pub use clusters::Clusters;
pub(super) use clusters::{fixture, now_ms};
pub use diary::Diary;
pub use instances::Instances;
pub use link_file::LinkFile;
pub use verify::{Verdict, check_topics, partition_state, status};

use super::generator::{Generator, GeneratorOptions, TopicKind, TopicPlan};
use super::session::{HistoryError, Session};

/// Two days: beyond what brokers remember producers for by default.
pub const UNARMED_AGE_MS: i64 = 2 * 24 * 3_600 * 1_000;

/// From an instance's name and the address of its status to its arguments.
pub type Arguments = dyn Fn(&str, &str) -> Vec<OsString> + Send + Sync;

/// The program that mirrors.
#[derive(Clone)]
pub struct Command {
    /// What to run.
    pub program: PathBuf,
    /// Its arguments, for an instance of this name that serves its status at this address.
    pub arguments: Arc<Arguments>,
    /// Environment variables beside those of this process.
    pub environment: Vec<(OsString, OsString)>,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct KillOptions {
    /// Decides what happens.
    pub seed: u64,
    /// Instances to kill with SIGKILL.
    pub kills: u32,
    /// Broker restarts, source and target together. Source kills also truncate a log.
    pub broker_restarts: u32,
    /// Wait between two steps of the generator; about thirty records each.
    pub pace: Duration,
    /// How long the group waits for a silent instance: zombies sleep longer than that.
    pub session_timeout: Duration,
    /// How long one instance has, in the end, to catch up.
    pub catch_up_patience: Duration,
}

/// What was done, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// Instances killed with SIGKILL.
    pub kills: u32,
    /// Instances stopped for longer than the session timeout, and let go on.
    pub zombies: u32,
    /// Connections cut, to the source or the target.
    pub cuts: u32,
    /// Connections stalled, in one direction or both.
    pub stalls: u32,
    /// Times a second instance was started beside the first.
    pub seconds: u32,
    /// Brokers stopped for a while, and let go on.
    pub broker_pauses: u32,
    /// Brokers restarted.
    pub broker_restarts: u32,
    /// Source logs that lost their tail.
    pub truncations: u32,
    /// Times old records were deleted at the source.
    pub trims: u32,
    /// Instances that ended by themselves, with their last words.
    pub ended_by_themselves: Vec<String>,
    /// The last instance ended in time when it was told to.
    pub stopped_cleanly: bool,
    /// Records written to the source.
    pub records: u64,
    /// How long it took, without starting the clusters.
    pub took: Duration,
    /// What the mirrors hold in the end.
    pub verdict: Verdict,
}

/// The topics of one history: of every kind one with records of now, and one with records two days
/// old (but with `LogAppendTime`, where the broker decides).
pub fn topics(prefix: &str) -> Vec<TopicPlan> {
    let kinds = [
        ("plain", TopicKind::Plain, 2),
        ("transactional", TopicKind::Transactional, 3),
        ("compacted", TopicKind::Compacted, 1),
        ("trimmed", TopicKind::Trimmed, 1),
        ("truncated", TopicKind::Truncated, 1),
        ("growing", TopicKind::Growing, 1),
    ];
    let mut topics = Vec::new();
    for (name, kind, partitions) in kinds {
        for (age, age_ms) in [("armed", 0), ("unarmed", UNARMED_AGE_MS)] {
            topics.push(TopicPlan {
                name: format!("{prefix}{name}-{age}"),
                kind,
                partitions,
                age_ms,
            });
        }
    }
    let name = format!("{prefix}append-time");
    topics.push(TopicPlan { name, kind: TopicKind::AppendTime, partitions: 1, age_ms: 0 });
    topics
}

/// Runs one history.
///
/// # Errors
/// When something of the test's own fails; findings are in the summary.
pub async fn run(
    options: KillOptions,
    clusters: Arc<Clusters>,
    topics: Vec<TopicPlan>,
    command: Command,
    diary: Diary,
) -> Result<Summary, HistoryError> {
    let started = tokio::time::Instant::now();
    diary.note(&format!("seed {}: {options:?}", options.seed));
    let source = Session::connect(&clusters.source().bootstrap()).await?;
    let target = Session::connect(&clusters.target().bootstrap()).await?;
    let generator_options =
        GeneratorOptions { seed: options.seed, topics, base_timestamp_ms: now_ms() };
    let generator = Generator::create(source.clone(), generator_options).await?;
    let generator = Arc::new(Mutex::new(generator));
    let instances = Instances::new(command, diary.clone())?;
    let (stop, stopped) = watch::channel(false);
    let writing = tokio::spawn(write(Arc::clone(&generator), options.pace, stopped));
    let mut acts = act::Acts::new(options, clusters, generator, instances, target, diary);
    let acted = acts.run(|| writing.is_finished()).await;
    // The writer ends in any case; its own error says more than what followed from it.
    stop.send_replace(true);
    let written = writing.await;
    written.map_err(|error| HistoryError::Fixture {
        what: "writing".to_owned(),
        problem: error.to_string(),
    })??;
    acted?;
    let mut summary = acts.finish(&source).await?;
    summary.took = started.elapsed();
    Ok(summary)
}

async fn write(
    generator: Arc<Mutex<Generator>>,
    pace: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), HistoryError> {
    loop {
        generator.lock().await.step().await?;
        tokio::select! {
            // An error means that nobody waits for more.
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            () = tokio::time::sleep(pace) => {}
        }
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "seed {}: {} kills, {} zombies, {} cuts, {} stalls, {} second instances, {} broker \
             pauses, {} broker restarts, {} truncations, {} trims, {} ended by themselves; {} \
             records in {} s, caught up in {} ms, {} partitions stopped as diverged",
            self.seed,
            self.kills,
            self.zombies,
            self.cuts,
            self.stalls,
            self.seconds,
            self.broker_pauses,
            self.broker_restarts,
            self.truncations,
            self.trims,
            self.ended_by_themselves.len(),
            self.records,
            self.took.as_secs(),
            self.verdict.catch_up.as_millis(),
            self.verdict.diverged,
        )?;
        for stuck in &self.verdict.stuck {
            writeln!(f, "stuck: {stuck}")?;
        }
        for ended in &self.ended_by_themselves {
            writeln!(f, "ended by itself: {ended}")?;
        }
        writeln!(f, "sources: {}", self.verdict.sources)?;
        write!(f, "mirrors: {}", self.verdict.mirrors)
    }
}
