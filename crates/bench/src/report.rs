//! What a bench measured, as it goes into the JSON file. MB is 10^6 bytes and GB 10^9.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::dataset::DatasetKind;
use crate::statistics::{Percentiles, Spread};
use crate::table;

const MB: f64 = 1e6;
const GB: f64 = 1e9;

/// A whole bench.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `smoke`, `quick` or `full`.
    pub(crate) mode: &'static str,
    /// Seconds since 1970.
    pub(crate) started_at: u64,
    pub(crate) machine: Machine,
    /// Release of the brokers and of MirrorMaker 2.
    pub(crate) kafka_version: String,
    /// How everything was configured.
    pub(crate) settings: Settings,
    pub(crate) relay: Vec<RelayRun>,
    pub(crate) catch_up: Vec<CatchUp>,
    pub(crate) latency: Vec<Latency>,
    pub(crate) failover: Vec<Failover>,
    /// The limits, each with what was measured.
    pub(crate) verdicts: Vec<crate::limits::Verdict>,
}

impl Report {
    /// Its tables, as Markdown.
    pub fn tables(&self) -> String {
        table::render(self)
    }

    /// All of it.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has string keys and finite numbers")
    }
}

/// Where it ran.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpus: usize,
    pub(crate) cpu_model: String,
    pub(crate) memory_gb: f64,
    pub(crate) kernel: String,
}

impl Machine {
    /// The one we run on; what `/proc` does not tell stays empty.
    pub(crate) fn this() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let memory_kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            memory_gb: memory_kib * 1024.0 / GB,
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        }
    }
}

/// The files and flags that tools and brokers were given.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Settings {
    pub(crate) brokers: String,
    pub(crate) farlog: String,
    pub(crate) mirror_maker: String,
    pub(crate) load: String,
}

/// Who did the copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    Farlog,
    /// With `recompress: zstd`.
    FarlogRecompress,
    /// Tuned for throughput.
    MirrorMaker2,
    /// With the clients' defaults, as most published files run it.
    MirrorMaker2Defaults,
    /// Nobody: the records are consumed where they were produced. Shows what load generator,
    /// consumer and broker cost by themselves.
    None,
}

impl Tool {
    /// How its runs name the source cluster.
    pub(crate) fn alias(self) -> &'static str {
        match self {
            Tool::Farlog => "farlog",
            Tool::FarlogRecompress => "farlogz",
            Tool::MirrorMaker2 => "mm",
            Tool::MirrorMaker2Defaults => "mmd",
            Tool::None => "none",
        }
    }

    pub(crate) fn is_mirror_maker(self) -> bool {
        matches!(self, Tool::MirrorMaker2 | Tool::MirrorMaker2Defaults)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Farlog => "Farlog",
            Tool::FarlogRecompress => "Farlog, recompress",
            Tool::MirrorMaker2 => "MirrorMaker 2",
            Tool::MirrorMaker2Defaults => "MM2 defaults",
            Tool::None => "(source itself)",
        }
    }
}

/// Bytes through the plain relay.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RelayRun {
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) mb_per_second: f64,
    /// Sender, relay and receiver together.
    pub(crate) cpu_seconds_per_gb: f64,
}

impl RelayRun {
    pub(crate) fn new(bytes: u64, seconds: f64, cpu: Duration) -> RelayRun {
        RelayRun {
            bytes,
            seconds,
            mb_per_second: bytes as f64 / MB / seconds,
            cpu_seconds_per_gb: cpu.as_secs_f64() / (bytes as f64 / GB),
        }
    }
}

/// One tool on one dataset.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CatchUp {
    pub(crate) dataset: DatasetKind,
    pub(crate) tool: Tool,
    pub(crate) runs: Vec<CatchUpRun>,
}

impl CatchUp {
    /// Median and ends of one figure over the runs.
    pub(crate) fn spread(&self, figure: impl Fn(&CatchUpRun) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(figure))
    }
}

/// What one run took. "Copying" is from the last look at an empty mirror to the first look at a
/// complete one; "from start" is from the start of the tool's process.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CatchUpRun {
    pub(crate) records: u64,
    /// Batches as they lie on the source: compressed, where they are.
    pub(crate) bytes: u64,
    /// The same batches uncompressed.
    pub(crate) logical_bytes: u64,
    pub(crate) first_record_seconds: f64,
    pub(crate) copying_seconds: f64,
    pub(crate) from_start_seconds: f64,
    pub(crate) mb_per_second: f64,
    pub(crate) mb_per_second_from_start: f64,
    pub(crate) logical_mb_per_second: f64,
    pub(crate) copying_cpu: CpuPerGb,
    pub(crate) from_start_cpu: CpuPerGb,
    pub(crate) peak_memory_mb: f64,
    /// Records in the mirror beyond those of the source, once the tool had stopped: duplicates.
    pub(crate) records_too_many: u64,
}

/// CPU seconds per GB of `bytes`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CpuPerGb {
    pub(crate) tool: f64,
    pub(crate) source_broker: f64,
    pub(crate) target_broker: f64,
}

/// CPU time of all three at one moment, or between two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuOfAll {
    pub(crate) tool: Duration,
    pub(crate) source_broker: Duration,
    pub(crate) target_broker: Duration,
}

impl CpuOfAll {
    pub(crate) fn since(self, earlier: CpuOfAll) -> CpuOfAll {
        CpuOfAll {
            tool: self.tool.saturating_sub(earlier.tool),
            source_broker: self.source_broker.saturating_sub(earlier.source_broker),
            target_broker: self.target_broker.saturating_sub(earlier.target_broker),
        }
    }

    fn per_gb(self, bytes: u64) -> CpuPerGb {
        let gb = bytes as f64 / GB;
        CpuPerGb {
            tool: self.tool.as_secs_f64() / gb,
            source_broker: self.source_broker.as_secs_f64() / gb,
            target_broker: self.target_broker.as_secs_f64() / gb,
        }
    }
}

/// The raw readings of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchUpReadings {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) logical_bytes: u64,
    pub(crate) first_record_seconds: f64,
    /// From the start of the process to the last look at an empty mirror.
    pub(crate) empty_seconds: f64,
    pub(crate) from_start_seconds: f64,
    pub(crate) copying_cpu: CpuOfAll,
    pub(crate) from_start_cpu: CpuOfAll,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) records_too_many: u64,
}

impl CatchUpReadings {
    pub(crate) fn run(self) -> CatchUpRun {
        let mb = self.bytes as f64 / MB;
        let copying_seconds = self.from_start_seconds - self.empty_seconds;
        CatchUpRun {
            records: self.records,
            bytes: self.bytes,
            logical_bytes: self.logical_bytes,
            first_record_seconds: self.first_record_seconds,
            copying_seconds,
            from_start_seconds: self.from_start_seconds,
            mb_per_second: mb / copying_seconds,
            mb_per_second_from_start: mb / self.from_start_seconds,
            logical_mb_per_second: self.logical_bytes as f64 / MB / copying_seconds,
            copying_cpu: self.copying_cpu.per_gb(self.bytes),
            from_start_cpu: self.from_start_cpu.per_gb(self.bytes),
            peak_memory_mb: self.peak_memory_bytes as f64 / MB,
            records_too_many: self.records_too_many,
        }
    }
}

/// One tool whose source was killed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failover {
    pub(crate) tool: Tool,
    pub(crate) runs: Vec<FailoverRun>,
}

/// What the groups of one run would read again.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FailoverRun {
    /// Records per second.
    pub(crate) rate: u64,
    /// Records that the source was sent.
    pub(crate) records: u64,
    pub(crate) groups: Vec<FailoverGroup>,
}

/// One group; records of all partitions together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct FailoverGroup {
    /// How far it was behind.
    pub(crate) lag: u64,
    /// What it had consumed, by its last commit.
    pub(crate) committed: u64,
    /// What of that it would read again.
    pub(crate) reread: u64,
    /// What of that it had committed 200 ms before the end, or earlier.
    pub(crate) reread_older: u64,
    /// What it would never see.
    pub(crate) skipped: u64,
    /// Partitions that it has no offset of at the target.
    pub(crate) partitions_without_offset: u64,
}

/// One tool under the steady load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) tool: Tool,
    pub(crate) runs: Vec<LatencyRun>,
}

impl Latency {
    /// Median and ends of one percentile over the runs.
    pub(crate) fn spread(&self, figure: impl Fn(&Percentiles) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| figure(&run.end_to_end)))
    }
}

/// The latency of every record that was due within the measured time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LatencyRun {
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    /// From the moment a record was due to be sent until a consumer of the mirror held it.
    pub(crate) end_to_end: Percentiles,
    /// From the same moment until the source broker had acknowledged it.
    pub(crate) acknowledged: Percentiles,
    /// Share of one CPU that the tool used meanwhile.
    pub(crate) tool_cpus: f64,
    pub(crate) peak_memory_mb: f64,
}
