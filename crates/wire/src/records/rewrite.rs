//! Compressed batches that a broker would refuse as they are.

use bytes::Bytes;

use super::builder::{BatchBuilder, BuilderLimits, SourceRun};
use super::compression::compress;
use super::error::BatchError;
use super::header::Attributes;
use super::outgoing::{OutgoingBatch, ProducerStamp};
use super::raw::RawBatch;

/// A compressed batch made anew.
#[derive(Debug)]
pub struct Rewritten {
    /// The batch, compressed as before.
    pub batch: OutgoingBatch,
    /// Source offsets of its records, in order.
    pub runs: Vec<SourceRun>,
    /// Timestamp of its first record.
    pub first_timestamp_ms: i64,
}

/// The records of a compressed batch from source offset `from` on, without holes, with the
/// timestamps that clients of the source see, compressed with the same codec; `None` if there are
/// none.
pub fn rewrite_compressed(
    batch: &RawBatch,
    from: i64,
    stamp: ProducerStamp,
    decompressed_bytes_max: usize,
) -> Result<Option<Rewritten>, BatchError> {
    let compression = batch.header.attributes.compression();
    let plain = batch.decompressed(decompressed_bytes_max)?;
    let limits = BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };
    let mut builder = BatchBuilder::new();
    let appended = builder.append_batch(&plain, from, limits)?;
    if appended.runs.is_empty() {
        return Ok(None);
    }
    let merged = builder.finish(stamp);
    let mut header = *merged.header();
    header.attributes = Attributes::compressed_with(compression);
    let payload = Bytes::from(compress(compression, merged.payload())?);
    Ok(Some(Rewritten {
        batch: OutgoingBatch::seal(header, payload, stamp),
        runs: appended.runs,
        first_timestamp_ms: appended.first_timestamp_ms,
    }))
}
