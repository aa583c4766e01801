//! `cargo xtask soak --old-brokers`: every older release of Kafka as source, as target, and as
//! both, with kills of instances and brokers; `docs/broker-versions.md` tells what came of it.

use std::path::Path;
use std::sync::Arc;

use farlog_testkit::history::orchestrator::Clusters;
use farlog_testkit::history::releases::{ReleasesOptions, ReleasesSummary, run};
use farlog_testkit::kafka::KafkaVersion;

use crate::command::Failure;
use crate::fetch_kafka;

/// Instances to kill between each pair of releases.
const KILLS: u32 = 12;

/// Brokers to restart, every other one by a kill.
const BROKER_RESTARTS: u32 = 4;

/// What the others are held against.
const NEWEST: KafkaVersion = KafkaVersion::V4_3;

/// The last release before that.
const NEWEST_OLD: KafkaVersion = KafkaVersion::V3_9;

/// In the place of a release: each of them.
pub(super) const ALL: &str = "all";

/// Runs the pairs of `release`, or all, one after the other; fails if any has findings.
pub(super) fn run_all(
    program: &Path,
    directory: &Path,
    seed: u64,
    release: &str,
) -> Result<(), Failure> {
    let all: Vec<KafkaVersion> = KafkaVersion::OLD.into_iter().chain([NEWEST_OLD]).collect();
    let wanted = |version: &KafkaVersion| release == ALL || version.to_string() == release;
    let versions: Vec<KafkaVersion> = all.iter().copied().filter(wanted).collect();
    if versions.is_empty() {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        return Err(Failure::new(format!("{release} is none of the old releases: {names}")));
    }
    for version in versions.iter().copied().chain([NEWEST]) {
        fetch_kafka::fetch(version)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::while_doing("starting the runtime"))?;
    let mut text = String::new();
    let mut dirty = Vec::new();
    for (number, version) in versions.into_iter().enumerate() {
        let seed = seed + number as u64 * 3;
        for summary in runtime.block_on(three(version, seed, program, directory))? {
            if !summary.is_clean() {
                dirty.push(format!("{} -> {}", summary.source, summary.target));
            }
            text.push_str(&format!("{summary}\n\n"));
        }
    }
    let path = directory.join("old-brokers.txt");
    std::fs::write(&path, &text)
        .map_err(Failure::while_doing(format!("writing {}", path.display())))?;
    if dirty.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("findings: {}", dirty.join(", "))))
}

/// One release as the source of the newest, as its target, and as both.
async fn three(
    version: KafkaVersion,
    seed: u64,
    program: &Path,
    directory: &Path,
) -> Result<Vec<ReleasesSummary>, Failure> {
    let mut summaries = Vec::new();
    let clusters = start(version, NEWEST)?;
    let reversed = Arc::new(clusters.reversed());
    for (pair, clusters) in [clusters, reversed].into_iter().enumerate() {
        summaries.push(one(clusters, seed + pair as u64, program, directory).await?);
    }
    let same = start(version, version)?;
    summaries.push(one(same, seed + 2, program, directory).await?);
    Ok(summaries)
}

fn start(source: KafkaVersion, target: KafkaVersion) -> Result<Arc<Clusters>, Failure> {
    let clusters = tokio::task::block_in_place(|| Clusters::start_releases(source, target));
    clusters.map(Arc::new).map_err(Failure::while_doing(format!("starting {source} and {target}")))
}

async fn one(
    clusters: Arc<Clusters>,
    seed: u64,
    program: &Path,
    directory: &Path,
) -> Result<ReleasesSummary, Failure> {
    let (source, target) = (clusters.source().version(), clusters.target().version());
    let what = format!("{source} -> {target}");
    let log = directory.join(format!("{source}-to-{target}.log"));
    println!("{what}: log in {}", log.display());
    let options = ReleasesOptions {
        program: program.to_owned(),
        name: format!("releases-{seed}"),
        seed,
        kills: KILLS,
        broker_restarts: BROKER_RESTARTS,
    };
    let summary = run(options, clusters, &log).await.map_err(Failure::while_doing(what))?;
    println!("{summary}");
    Ok(summary)
}
