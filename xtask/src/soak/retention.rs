//! `cargo xtask soak --retention`: many partitions, and much more through a broker than it may
//! keep. What matters is printed: memory for each idle partition, memory and disk while data flows,
//! and what the next start takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use farlog_client::admin::NewTopic;
use farlog_client::{Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_testkit::usage::Usage;
use farlog_wire::records::{BatchWriter, OutgoingBatch};
use tokio::task::JoinSet;

use crate::command::Failure;

/// Partitions of one topic with many.
const TOPIC_PARTITIONS: i32 = 1_000;

/// Partitions that the data flows through.
const THROUGH_PARTITIONS: i32 = 4;

/// A record's value, and how many of them make up a batch.
const VALUE_BYTES: usize = 10_000;
const BATCH_RECORDS: usize = 100;

/// Between two samples.
const SAMPLE_BYTES: u64 = 100_000_000;

/// What a store keeps besides what retention leaves: the write-ahead log, which is written slowly
/// from a gigabyte on, what of it is in segments already, and objects that two manifests wait for.
const DISK_ALLOWANCE_BYTES: u64 = 2_000_000_000;

/// Memory may never be more, whatever is written.
const MEMORY_BYTES_MAX: u64 = 256_000_000;

/// How much more memory the last third may take on average than the second. Single samples say
/// nothing: buffers of some 20 MB come and go.
const GROWTH_MAX: f64 = 1.10;

/// How long a broker may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much of everything.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Amounts {
    /// With --retention: megabytes to write
    #[arg(long, default_value_t = 20_000)]
    write_mb: u64,
    /// With --retention: megabytes that may be kept
    #[arg(long, default_value_t = 1_000)]
    keep_mb: u64,
    /// With --retention: idle partitions beside it
    #[arg(long, default_value_t = 5_000)]
    partitions: i32,
}

/// A broker that runs.
struct Running {
    process: Supervised,
    started_in: Duration,
}

/// What was seen while data flowed.
#[derive(Clone, Copy)]
struct Sample {
    memory_bytes: u64,
    disk_bytes: u64,
}

/// Runs it; fails if memory grows or the disk fills.
pub(super) fn run_all(program: &Path, directory: &Path, amounts: Amounts) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::while_doing("starting the runtime"))?;
    let text = runtime.block_on(measure(program, amounts))?;
    print!("{text}");
    let path = directory.join("retention.txt");
    fs::write(&path, &text).map_err(Failure::while_doing(format!("writing {}", path.display())))
}

async fn measure(program: &Path, amounts: Amounts) -> Result<String, Failure> {
    let scratch = Scratch::new("retention").map_err(Failure::while_doing("a directory"))?;
    let port = PortLease::take().map_err(Failure::while_doing("taking a port"))?;
    let mut text = String::new();
    let mut broker = start(program, &scratch, &port)?;
    let empty = broker.memory_bytes()?;
    say(&mut text, format!("empty: {:.1} MB of memory", mb(empty)));
    let cluster = connect(&port).await?;
    make_idle(&cluster, amounts.partitions).await?;
    let idle = broker.memory_bytes()?;
    let each = idle.saturating_sub(empty) / u64::try_from(amounts.partitions).unwrap_or(1).max(1);
    say(
        &mut text,
        format!("{} partitions: {:.1} MB, {each} bytes each", amounts.partitions, mb(idle)),
    );
    write_each(&cluster, amounts.partitions).await?;
    let used = broker.memory_bytes()?;
    say(&mut text, format!("one record in each: {:.1} MB", mb(used)));
    let samples = flow(&cluster, &broker, &scratch, amounts, &mut text).await?;
    let (second, last) = means(&samples);
    let (second, last) = (second / 1e6, last / 1e6);
    say(&mut text, format!("on average {second:.1} MB in the second third, {last:.1} in the last"));
    drop(cluster);
    let stopped = broker.process.stop(PATIENCE);
    stopped.map_err(Failure::while_doing("stopping the broker"))?;
    let mut again = start(program, &scratch, &port)?;
    let memory = again.memory_bytes()?;
    say(&mut text, format!("started again in {:?}: {:.1} MB", again.started_in, mb(memory)));
    let stopped = again.process.stop(PATIENCE);
    stopped.map_err(Failure::while_doing("stopping the broker"))?;
    check(&samples, amounts)?;
    Ok(text)
}

fn say(text: &mut String, line: String) {
    eprintln!("{line}");
    let _ = writeln!(text, "{line}");
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Of memory, in bytes, in the second and in the last third; the first one fills caches.
fn means(samples: &[Sample]) -> (f64, f64) {
    let third = samples.len() / 3;
    let mean = |samples: &[Sample]| {
        let sum: u64 = samples.iter().map(|one| one.memory_bytes).sum();
        sum as f64 / samples.len().max(1) as f64
    };
    let (second, last) = samples[third..].split_at(third);
    (mean(second), mean(last))
}

fn check(samples: &[Sample], amounts: Amounts) -> Result<(), Failure> {
    let (second, last) = means(samples);
    if last > second * GROWTH_MAX {
        let (second, last) = (second / 1e6, last / 1e6);
        return Err(Failure::new(format!("memory grew from {second:.1} to {last:.1} MB")));
    }
    let memory = samples.iter().map(|one| one.memory_bytes).max().unwrap_or(0);
    if memory > MEMORY_BYTES_MAX {
        let why = format!("{memory} bytes of memory were taken, and {MEMORY_BYTES_MAX} may be");
        return Err(Failure::new(why));
    }
    let disk = samples.iter().map(|one| one.disk_bytes).max().unwrap_or(0);
    let allowed = amounts.keep_mb * 1_000_000 + DISK_ALLOWANCE_BYTES;
    if disk > allowed {
        return Err(Failure::new(format!("{disk} bytes were on disk, and {allowed} may be")));
    }
    Ok(())
}

impl Running {
    fn memory_bytes(&self) -> Result<u64, Failure> {
        let usage = Usage::of(self.process.pid());
        Ok(usage.map_err(Failure::while_doing("the broker's memory"))?.rss_bytes)
    }
}

fn start(program: &Path, scratch: &Scratch, port: &PortLease) -> Result<Running, Failure> {
    let begun = Instant::now();
    let program =
        Program::new("farlog broker", program, scratch.path(), &scratch.join("output.txt"))
            .args(["broker", "--no-fsync", "--listen", &port.address()])
            .args(["--set", "log.retention.check.interval.ms=500"])
            .arg("--data")
            .arg(scratch.join("data"));
    let mut process = program.spawn().map_err(Failure::while_doing("starting the broker"))?;
    while TcpStream::connect(port.address()).is_err() {
        let ended = process.ended().map_err(Failure::while_doing("waiting for the broker"))?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the broker is not up:\n{}", process.tail())));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Running { process, started_in: begun.elapsed() })
}

async fn connect(port: &PortLease) -> Result<Cluster, Failure> {
    let servers = ServerAddress::parse_list(&port.address())
        .map_err(Failure::while_doing("the broker's address"))?;
    let connected = Cluster::connect(ClusterOptions::new(servers)).await;
    connected.map_err(Failure::while_doing("connecting"))
}

async fn make(
    cluster: &Cluster,
    name: String,
    partitions: i32,
    configs: BTreeMap<String, String>,
) -> Result<(), Failure> {
    let (partitions, replication_factor) = (Some(partitions), Some(1));
    let topic = NewTopic { name: name.clone(), partitions, replication_factor, configs };
    let made = cluster.create_topics(&[topic], false).await;
    let mut made = made.map_err(Failure::while_doing(format!("making {name}")))?;
    match made.remove(&name) {
        Some(Ok(_)) => Ok(()),
        other => Err(Failure::new(format!("topic {name} was not made: {other:?}"))),
    }
}

/// The topics with idle partitions, and how many each has.
fn idle_topics(partitions: i32) -> Vec<(String, i32)> {
    let full = (0..partitions / TOPIC_PARTITIONS).map(|_| TOPIC_PARTITIONS);
    let rest = partitions % TOPIC_PARTITIONS;
    let counts = full.chain((rest > 0).then_some(rest));
    counts.enumerate().map(|(index, count)| (format!("idle-{index}"), count)).collect()
}

async fn make_idle(cluster: &Cluster, partitions: i32) -> Result<(), Failure> {
    for (name, count) in idle_topics(partitions) {
        make(cluster, name, count, BTreeMap::new()).await?;
    }
    Ok(())
}

async fn write_each(cluster: &Cluster, partitions: i32) -> Result<(), Failure> {
    let batch = batch(0, 1, 100)?;
    for (name, count) in idle_topics(partitions) {
        for index in 0..count {
            let place = TopicPartition::new(name.clone(), index);
            let produced = cluster.produce_batch(&place, &batch).await;
            produced.map_err(Failure::while_doing(format!("writing to {name}-{index}")))?;
        }
    }
    Ok(())
}

/// Writes all there is to write, and looks at the broker again and again.
async fn flow(
    cluster: &Cluster,
    broker: &Running,
    scratch: &Scratch,
    amounts: Amounts,
    text: &mut String,
) -> Result<Vec<Sample>, Failure> {
    let keep = amounts.keep_mb * 1_000_000 / THROUGH_PARTITIONS.unsigned_abs() as u64;
    let configs = BTreeMap::from([("retention.bytes".to_owned(), keep.to_string())]);
    make(cluster, "through".to_owned(), THROUGH_PARTITIONS, configs).await?;
    let total = amounts.write_mb * 1_000_000;
    let mut samples = Vec::new();
    let mut written_bytes = 0;
    let mut seed = 1;
    while written_bytes < total {
        let mut writing = JoinSet::new();
        for index in 0..THROUGH_PARTITIONS {
            let cluster = cluster.clone();
            let first_seed = seed + u64::try_from(index).unwrap_or(0);
            writing.spawn(async move { write_some(&cluster, index, first_seed).await });
        }
        while let Some(written) = writing.join_next().await {
            written_bytes += written.map_err(Failure::while_doing("writing"))??;
        }
        seed += 1_000_000;
        let (memory_bytes, disk_bytes) =
            (broker.memory_bytes()?, disk_bytes(&scratch.join("data")));
        samples.push(Sample { memory_bytes, disk_bytes });
        let (written, memory, disk) = (mb(written_bytes), mb(memory_bytes), mb(disk_bytes));
        say(text, format!("{written:.0} MB written: {memory:.1} MB, {disk:.0} MB on disk"));
    }
    Ok(samples)
}

/// One partition's part of what is written between two samples.
async fn write_some(cluster: &Cluster, index: i32, first_seed: u64) -> Result<u64, Failure> {
    let place = TopicPartition::new("through", index);
    let mut written = 0;
    let mut seed = first_seed;
    while written < SAMPLE_BYTES / THROUGH_PARTITIONS.unsigned_abs() as u64 {
        let batch = batch(seed, BATCH_RECORDS, VALUE_BYTES)?;
        let produced = cluster.produce_batch(&place, &batch).await;
        produced.map_err(Failure::while_doing(format!("writing to through-{index}")))?;
        written += batch.size_bytes() as u64;
        seed += 17;
    }
    Ok(written)
}

/// Records that do not compress, the same for the same seed.
fn batch(seed: u64, records: usize, value_bytes: usize) -> Result<OutgoingBatch, Failure> {
    let mut state = seed | 1;
    let mut writer = BatchWriter::new();
    let mut value = vec![0; value_bytes];
    for _ in 0..records {
        for chunk in value.chunks_mut(8) {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
        writer.push(-1, None, Some(&value), &[]);
    }
    writer.finish_unsequenced().map_err(Failure::while_doing("making a batch"))
}

/// Bytes of all files below a directory; files may go while they are counted.
fn disk_bytes(directory: &PathBuf) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
