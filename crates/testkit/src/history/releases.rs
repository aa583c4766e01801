//! A link between two clusters of different releases: everything that a link does, once.
//!
//! A random history with kills (see [`orchestrator`](super::orchestrator)), beside it what Java
//! producers of the source's own release write, then configs that follow, the commands for people,
//! and a topic that is created again. Findings are sentences; there are none when all is well.

mod commands;
mod java;
mod recreated;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farlog_client::admin::ConfigResource;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::orchestrator::{
    Clusters, Diary, Instances, KillOptions, LinkFile, Summary, run as run_history, topics,
};
use super::session::{HistoryError, Session};
use crate::jars::KafkaVersion;
use crate::scratch::Scratch;

/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);

/// What the source's retention is changed to; no default is the same.
const RETENTION_MS: &str = "123456789";

/// What to do.
#[derive(Clone, Debug)]
pub struct ReleasesOptions {
    /// The program under test.
    pub program: PathBuf,
    /// Name of the link; topics begin with it.
    pub name: String,
    /// Decides the history.
    pub seed: u64,
    /// Instances to kill.
    pub kills: u32,
    /// Broker restarts, source and target together.
    pub broker_restarts: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ReleasesSummary {
    /// Release of the source.
    pub source: KafkaVersion,
    /// Release of the target.
    pub target: KafkaVersion,
    /// The random history.
    pub history: Summary,
    /// Records of Java producers that were compared.
    pub java_records: usize,
    /// What else was not as it should be.
    pub findings: Vec<String>,
}

/// Runs all of it.
///
/// # Errors
/// When something of the test's own fails; findings are in the summary.
pub async fn run(
    options: ReleasesOptions,
    clusters: Arc<Clusters>,
    log: &Path,
) -> Result<ReleasesSummary, HistoryError> {
    let prefix = format!("{}-", options.name);
    let diary = Diary::create(log)?;
    let scratch = Scratch::new(&options.name)
        .map_err(|source| HistoryError::System { what: "making a directory".to_owned(), source })?;
    let link =
        LinkFile::new(&options.name, &clusters, &prefix).field("config-sync: { interval: 1s }");
    let command = link.command(&options.program, scratch.path())?;
    let source = Session::connect(&clusters.source().bootstrap()).await?;
    let target = Session::connect(&clusters.target().bootstrap()).await?;
    let java = java::produce(&source, clusters.source(), &prefix).await?;
    let kill_options = KillOptions {
        seed: options.seed,
        kills: options.kills,
        broker_restarts: options.broker_restarts,
        pace: Duration::from_millis(40),
        session_timeout: link.session_timeout,
        catch_up_patience: Duration::from_secs(120),
    };
    let history = run_history(
        kill_options,
        Arc::clone(&clusters),
        topics(&prefix),
        command.clone(),
        diary.clone(),
    )
    .await?;
    let mut instances = Instances::new(command, diary)?;
    instances.start(0)?;
    let mut findings = java::compare(&source, &target, &java).await?;
    findings.extend(follow_config(&source, &target, &java.topics[0]).await?);
    let diverged = history.verdict.diverged > 0;
    let said = commands::check(&options.program, scratch.path(), &java.topics, diverged);
    findings.extend(said.await);
    let (topic, address) = (format!("{prefix}recreated"), instances.address(0));
    findings.extend(recreated::check(&source, &target, &address, &topic).await?);
    if !block_in_place(|| instances.stop(0))? {
        findings.push("the instance did not drain in time".to_owned());
    }
    Ok(ReleasesSummary {
        source: clusters.source().version(),
        target: clusters.target().version(),
        history,
        java_records: java.records,
        findings,
    })
}

/// Changes a config at the source, and waits until the mirror has it.
async fn follow_config(
    source: &Session,
    target: &Session,
    topic: &str,
) -> Result<Vec<String>, HistoryError> {
    source.alter_topic(topic, &[("retention.ms", Some(RETENTION_MS))]).await?;
    let resource = ConfigResource::topic(topic);
    let until = Instant::now() + PATIENCE;
    loop {
        let described = target.cluster().describe_configs(std::slice::from_ref(&resource)).await;
        let described = described.map_err(|error| HistoryError::Request {
            what: format!("describing {topic}"),
            source: Box::new(error),
        })?;
        let entries = described.get(&resource).and_then(|entries| entries.as_ref().ok());
        let value = entries.and_then(|all| all.get("retention.ms")?.value.clone());
        if value.as_deref() == Some(RETENTION_MS) {
            return Ok(Vec::new());
        }
        if Instant::now() >= until {
            return Ok(vec![format!("retention.ms of mirror {topic} is {value:?}")]);
        }
        sleep(POLL).await;
    }
}

impl ReleasesSummary {
    /// Nothing lost, nothing twice, nothing wrong.
    pub fn is_clean(&self) -> bool {
        let history = &self.history;
        history.verdict.is_clean()
            && history.ended_by_themselves.is_empty()
            && history.stopped_cleanly
            && self.findings.is_empty()
    }
}

impl fmt::Display for ReleasesSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} -> {}: {} records of Java producers compared, {} findings beside the history",
            self.source,
            self.target,
            self.java_records,
            self.findings.len()
        )?;
        for finding in &self.findings {
            writeln!(f, "finding: {finding}")?;
        }
        write!(f, "{}", self.history)
    }
}
