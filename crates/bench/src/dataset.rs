//! What is copied: how large the source's batches are, and whether they are compressed.

use clap::ValueEnum;
use serde::Serialize;

/// Partitions of every topic here.
pub(crate) const PARTITIONS: i32 = 4;

/// Bytes of one record's value; with its framing a record is about 1 KB.
pub(crate) const VALUE_BYTES: usize = 1_000;

/// One shape of source data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DatasetKind {
    /// 127 KB batches, uncompressed
    #[value(name = "127kb")]
    #[serde(rename = "127kb")]
    Large,
    /// 2 KB batches, uncompressed
    #[value(name = "2kb")]
    #[serde(rename = "2kb")]
    Small,
    /// 127 KB batches, zstd
    #[value(name = "127kb-zstd")]
    #[serde(rename = "127kb-zstd")]
    LargeZstd,
    /// 2 KB batches, zstd
    #[value(name = "2kb-zstd")]
    #[serde(rename = "2kb-zstd")]
    SmallZstd,
}

impl DatasetKind {
    pub(crate) const ALL: [DatasetKind; 4] =
        [DatasetKind::Large, DatasetKind::Small, DatasetKind::LargeZstd, DatasetKind::SmallZstd];

    /// Its name on the command line, in topics and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DatasetKind::Large => "127kb",
            DatasetKind::Small => "2kb",
            DatasetKind::LargeZstd => "127kb-zstd",
            DatasetKind::SmallZstd => "2kb-zstd",
        }
    }

    pub(crate) fn is_compressed(self) -> bool {
        matches!(self, DatasetKind::LargeZstd | DatasetKind::SmallZstd)
    }

    /// Bytes of a batch as the broker stores it: no batch is larger, and all come close.
    pub(crate) fn batch_bytes_max(self) -> usize {
        match self {
            DatasetKind::Large | DatasetKind::LargeZstd => 127_000,
            // Two records of 1 KB and their framing are a little more than 2,000 bytes.
            DatasetKind::Small | DatasetKind::SmallZstd => 2_100,
        }
    }
}
