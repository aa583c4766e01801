//! Farlog and MirrorMaker 2 as processes, both run on the very same `mm2.properties`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use farlog_testkit::jars::Jars;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_testkit::usage::{self, Usage};

use crate::clusters::Pair;
use crate::error::BenchError;
use crate::report::Tool;

/// The alias of the target cluster; that of the source is another one in every run, so that no run
/// finds anything of an earlier one.
const TARGET: &str = "target";

/// How long a tool may take to end in an orderly way.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How often a tool is looked at while it is under load.
const DEATH_POLL: Duration = Duration::from_millis(100);

/// Kafka's own start script, but for the heap: MirrorMaker 2 gets twice that of a broker.
const MIRROR_MAKER_JVM: [&str; 6] = [
    "-Xmx2g",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

const LOGGING: &str = "status=error\n\
    appender.out.type=Console\n\
    appender.out.name=OUT\n\
    appender.out.layout.type=PatternLayout\n\
    appender.out.layout.pattern=%d %p %m (%c)%n\n\
    rootLogger.level=warn\n\
    rootLogger.appenderRef.out.ref=OUT\n";

/// What any flow between two single brokers needs. Housekeeping that has nothing to do with copying
/// records is off, in MirrorMaker's favour.
const SETTINGS: [(&str, &str); 14] = [
    ("tasks.max", "4"),
    ("replication.factor", "1"),
    ("offset.storage.replication.factor", "1"),
    ("status.storage.replication.factor", "1"),
    ("config.storage.replication.factor", "1"),
    ("offset-syncs.topic.replication.factor", "1"),
    ("checkpoints.topic.replication.factor", "1"),
    ("heartbeats.topic.replication.factor", "1"),
    ("offset-syncs.topic.location", "target"),
    ("emit.heartbeats.enabled", "false"),
    ("emit.checkpoints.enabled", "false"),
    ("sync.group.offsets.enabled", "false"),
    ("sync.topic.acls.enabled", "false"),
    ("target->SOURCE.enabled", "false"),
];

/// How MirrorMaker 2 is tuned: what a careful operator sets for throughput.
const TUNING: [(&str, &str); 10] = [
    ("SOURCE.consumer.fetch.min.bytes", "1"),
    ("SOURCE.consumer.fetch.max.bytes", "52428800"),
    ("SOURCE.consumer.max.partition.fetch.bytes", "8388608"),
    ("SOURCE.consumer.max.poll.records", "5000"),
    ("SOURCE.consumer.receive.buffer.bytes", "1048576"),
    ("target.producer.batch.size", "1000000"),
    ("target.producer.linger.ms", "0"),
    ("target.producer.max.request.size", "8388608"),
    ("target.producer.buffer.memory", "67108864"),
    ("target.producer.send.buffer.bytes", "1048576"),
];

/// Added where groups are carried over: those of the defaults are MirrorMaker's own, a minute each.
const GROUPS: [(&str, &str); 2] =
    [("emit.checkpoints.enabled", "true"), ("sync.group.offsets.enabled", "true")];

/// What a careful operator sets for them.
const GROUPS_TUNING: [(&str, &str); 4] = [
    ("emit.checkpoints.interval.seconds", "1"),
    ("sync.group.offsets.interval.seconds", "1"),
    ("refresh.groups.interval.seconds", "5"),
    ("offset.lag.max", "10"),
];

/// Added for compressed sources: their mirror is to be no larger than they are.
const COMPRESSED_SETTING: &str = "target.producer.compression.type = zstd";

/// What to mirror: a topic of the source, known as `alias`, to `alias.topic`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow<'a> {
    pub(crate) alias: &'a str,
    pub(crate) topic: &'a str,
    /// Whether the source is compressed with zstd.
    pub(crate) compressed: bool,
    /// Whether groups are carried over.
    pub(crate) groups: bool,
}

impl Flow<'_> {
    /// The topic on the target.
    pub(crate) fn mirror(&self) -> String {
        format!("{}.{}", self.alias, self.topic)
    }
}

/// Where the tools are, and where their files go.
#[derive(Debug)]
pub(crate) struct Tools {
    farlog: PathBuf,
    jars: Jars,
    scratch: Scratch,
}

impl Tools {
    /// MirrorMaker 2 of these jars, and this binary of Farlog.
    pub(crate) fn new(jars: Jars, farlog: PathBuf) -> Result<Tools, BenchError> {
        let scratch =
            Scratch::new("bench").map_err(BenchError::while_doing("making a directory"))?;
        Ok(Tools { farlog, jars, scratch })
    }

    /// Starts a tool on a flow between the two clusters.
    pub(crate) fn start(
        &self,
        tool: Tool,
        pair: &Pair,
        flow: &Flow<'_>,
    ) -> Result<Supervised, BenchError> {
        let directory = self.scratch.join(flow.alias);
        let (file, text) = match tool {
            Tool::FarlogRecompress => ("farlog.yaml", recompressing(pair, flow)),
            _ => ("mm2.properties", properties(tool, pair, flow)),
        };
        let settings = directory.join(file);
        let logging = directory.join("logging.properties");
        let writing = || BenchError::while_doing(format!("writing to {}", directory.display()));
        fs::create_dir_all(&directory).map_err(writing())?;
        fs::write(&settings, text).map_err(writing())?;
        fs::write(&logging, LOGGING).map_err(writing())?;
        let output = directory.join("output.log");
        let name = tool.name();
        let program = match tool {
            Tool::MirrorMaker2 | Tool::MirrorMaker2Defaults => {
                Program::new(name, "java", &directory, &output)
                    .args(MIRROR_MAKER_JVM)
                    .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
                    .args(["-cp", &self.jars.class_path()])
                    .arg("org.apache.kafka.connect.mirror.MirrorMaker")
                    .arg(&settings)
            }
            Tool::Farlog | Tool::FarlogRecompress | Tool::None => {
                Program::new(name, &self.farlog, &directory, &output)
                    .arg("run")
                    .arg(&settings)
                    .args(FARLOG_FLAGS)
            }
        };
        let program = program.in_directory(self.scratch.path());
        program.spawn().map_err(BenchError::while_doing(format!("cannot start {name}")))
    }

    /// Ends a tool in an orderly way.
    pub(crate) fn stop(&self, mut process: Supervised) -> Result<(), BenchError> {
        let stopped = tokio::task::block_in_place(|| process.stop(STOP_PATIENCE));
        match stopped.map_err(BenchError::while_doing(format!("cannot stop {}", process.name())))? {
            true => Ok(()),
            // Its work is done and measured; how it ends is not what is measured here.
            false => {
                eprintln!("{} had to be killed after {STOP_PATIENCE:?}", process.name());
                Ok(())
            }
        }
    }
}

/// What errors call a tool.
pub(crate) fn called(process: &Supervised) -> String {
    format!("{} (process {})", process.name(), process.pid())
}

/// That a tool ended, and how.
pub(crate) fn died(process: &Supervised, status: ExitStatus) -> BenchError {
    let (name, tail) = (called(process), process.tail());
    BenchError::Died { name, status, tail, noticed: None }
}

/// Comes back when a tool has ended.
pub(crate) async fn death(process: &mut Supervised) -> BenchError {
    loop {
        match process.ended() {
            Ok(None) => tokio::time::sleep(DEATH_POLL).await,
            Ok(Some(status)) => return died(process, status),
            Err(error) => return BenchError::while_doing(called(process))(error),
        }
    }
}

/// CPU time of a process so far.
pub(crate) fn cpu(pid: u32) -> Result<Duration, BenchError> {
    usage::cpu(pid).map_err(BenchError::while_doing(format!("CPU time of process {pid}")))
}

/// The most memory that a process ever had in RAM.
pub(crate) fn peak_memory_bytes(pid: u32) -> Result<u64, BenchError> {
    let usage = Usage::of(pid);
    let usage = usage.map_err(BenchError::while_doing(format!("memory of process {pid}")))?;
    Ok(usage.rss_bytes_peak)
}

/// The metrics endpoint is not needed, and its default port may be taken.
const FARLOG_FLAGS: [&str; 2] = ["--listen", "none"];

/// How Farlog is run, for the report.
pub(crate) fn farlog_described() -> String {
    format!(
        "farlog run mm2.properties {}; the file of MirrorMaker 2; with `recompress` the same link \
         as a farlog.yaml",
        FARLOG_FLAGS.join(" ")
    )
}

/// How MirrorMaker 2 is run, for the report.
pub(crate) fn mirror_maker_described() -> String {
    let list = |settings: &[(&str, &str)]| {
        let settings: Vec<String> =
            settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        settings.join(", ")
    };
    format!(
        "dedicated mode, java {}; {}; tuned (not for the row of defaults): {}; for zstd datasets \
         {COMPRESSED_SETTING}; for groups {}, tuned {}",
        MIRROR_MAKER_JVM.join(" "),
        list(&SETTINGS),
        list(&TUNING),
        list(&GROUPS),
        list(&GROUPS_TUNING)
    )
}

/// The same link with the one setting that MirrorMaker's file has no name for.
fn recompressing(pair: &Pair, flow: &Flow<'_>) -> String {
    let Flow { alias, topic, .. } = flow;
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    format!(
        "version: 1\n\
         clusters:\n  \
           {alias}: {{ bootstrap-servers: [\"{source}\"] }}\n  \
           {TARGET}: {{ bootstrap-servers: [\"{target}\"] }}\n\
         links:\n  \
           {alias}:\n    \
             source: {alias}\n    \
             target: {TARGET}\n    \
             topics: [{topic}]\n    \
             naming: prefixed\n    \
             replication-factor: 1\n    \
             recompress: zstd\n"
    )
}

fn properties(tool: Tool, pair: &Pair, flow: &Flow<'_>) -> String {
    let Flow { alias, topic, compressed, groups } = flow;
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let mut text = format!(
        "clusters = {alias}, {TARGET}\n\
         {alias}.bootstrap.servers = {source}\n\
         {TARGET}.bootstrap.servers = {target}\n\
         {alias}->{TARGET}.enabled = true\n\
         {alias}->{TARGET}.topics = {topic}\n"
    );
    let tuning: &[(&str, &str)] = if tool == Tool::MirrorMaker2Defaults { &[] } else { &TUNING };
    let grouped: &[(&str, &str)] = if *groups { &GROUPS } else { &[] };
    let tuned = *groups && tool == Tool::MirrorMaker2;
    let grouped_tuning: &[(&str, &str)] = if tuned { &GROUPS_TUNING } else { &[] };
    // Of a key that is there twice the last one counts.
    for (name, value) in SETTINGS.iter().chain(tuning).chain(grouped).chain(grouped_tuning) {
        let name = name.replace("SOURCE", alias);
        writeln!(text, "{name} = {value}").expect("writing to a String cannot fail");
    }
    if *compressed {
        writeln!(text, "{COMPRESSED_SETTING}").expect("writing to a String cannot fail");
    }
    text
}
