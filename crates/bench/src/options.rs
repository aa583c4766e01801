//! What a person may choose.

use clap::ValueEnum;

use crate::dataset::DatasetKind;
use crate::report::Tool;

/// What to measure, and how thoroughly.
// Without a group of its own, whose name would be that of whoever has such arguments, too.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Less than a minute with little data, to see that the bench works; its figures mean nothing
    #[arg(long, conflicts_with = "full")]
    pub smoke: bool,
    /// An hour: 2 GB of every dataset and the full number of runs
    #[arg(long)]
    pub full: bool,
    /// Only this part; repeat the option for more
    #[arg(long, value_enum, value_name = "PART")]
    pub only: Vec<Part>,
    /// Only this tool; repeat the option for more
    #[arg(long, value_enum, value_name = "TOOL")]
    pub tool: Vec<ToolChoice>,
    /// Runs of Farlog and of the relay for each figure [default: 3, 5 with --full, 1 with --smoke;
    /// for latency 1, 5 with --full]
    #[arg(long, value_name = "NUMBER")]
    pub runs: Option<usize>,
    /// Runs before those that count, for each dataset [default: 1, 5 with --full, 0 with --smoke]
    #[arg(long, value_name = "NUMBER")]
    pub warm_up_runs: Option<usize>,
    /// Runs of MirrorMaker 2 for each figure [default: 1, 3 with --full]
    #[arg(long, value_name = "NUMBER")]
    pub mirror_maker_runs: Option<usize>,
    /// Megabytes of each dataset, uncompressed [default: 300, 2000 with --full, 8 with --smoke]
    #[arg(long, value_name = "MB")]
    pub megabytes: Option<u64>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The plain TCP relay
    Relay,
    /// Catch-up of 127 KB batches
    #[value(name = "127kb")]
    Large,
    /// Catch-up of 2 KB batches
    #[value(name = "2kb")]
    Small,
    /// Catch-up of 127 KB batches, zstd
    #[value(name = "127kb-zstd")]
    LargeZstd,
    /// Catch-up of 2 KB batches, zstd
    #[value(name = "2kb-zstd")]
    SmallZstd,
    /// End-to-end latency at 2,000 records/s
    Latency,
    /// What groups read again after the source was killed; not without `--full` or this
    Failover,
}

impl Part {
    pub(crate) fn of(kind: DatasetKind) -> Part {
        match kind {
            DatasetKind::Large => Part::Large,
            DatasetKind::Small => Part::Small,
            DatasetKind::LargeZstd => Part::LargeZstd,
            DatasetKind::SmallZstd => Part::SmallZstd,
        }
    }
}

/// A tool, as the command line knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ToolChoice {
    /// Farlog on the file of MirrorMaker 2
    Farlog,
    /// Farlog with `recompress: zstd`, on 2kb-zstd
    #[value(name = "farlog-recompress")]
    Recompress,
    /// MirrorMaker 2, tuned for throughput
    #[value(name = "mm2")]
    MirrorMaker2,
    /// MirrorMaker 2 with its clients' defaults
    #[value(name = "mm2-defaults")]
    MirrorMaker2Defaults,
}

impl ToolChoice {
    pub(crate) const ALL: [ToolChoice; 4] = [
        ToolChoice::Farlog,
        ToolChoice::Recompress,
        ToolChoice::MirrorMaker2,
        ToolChoice::MirrorMaker2Defaults,
    ];

    pub(crate) fn tool(self) -> Tool {
        match self {
            ToolChoice::Farlog => Tool::Farlog,
            ToolChoice::Recompress => Tool::FarlogRecompress,
            ToolChoice::MirrorMaker2 => Tool::MirrorMaker2,
            ToolChoice::MirrorMaker2Defaults => Tool::MirrorMaker2Defaults,
        }
    }
}
