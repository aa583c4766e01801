//! Compressed batches that a broker would refuse, or change, as they are.

use super::builder::{Appended, BatchBuilder, BuilderLimits};
use super::error::BatchError;
use super::outgoing::{OutgoingBatch, ProducerStamp};
use super::raw::RawBatch;
use super::runs::SourceRuns;

/// A compressed batch made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The batch, compressed as before.
    pub batch: OutgoingBatch,
    /// Source offsets of its records, in order.
    pub runs: SourceRuns,
    /// Timestamp of its first record, in milliseconds since the epoch.
    pub first_timestamp_ms: i64,
}

/// The records of a compressed batch from source offset `from` on, without holes, with the
/// timestamps that clients of the source see, compressed with the same codec; `None` if there are
/// none. At most `decompressed_bytes_max` bytes of memory are used for the records on each side.
///
/// # Errors
/// If it is a control batch, does not decompress within the bound, or its records do not hold
/// together; [`BatchError::TooManyRecords`] if the sequence would wrap inside the batch;
/// [`BatchError::TimestampRange`] if the timestamps are too far apart for one batch, which no
/// clock brings about.
pub fn rewrite_compressed(
    batch: &RawBatch,
    from: i64,
    stamp: ProducerStamp,
    decompressed_bytes_max: usize,
) -> Result<Option<Rewritten>, BatchError> {
    let header = &batch.header;
    if header.record_count == 0 || header.last_offset() < from {
        return Ok(None);
    }
    let plain = batch.decompressed(decompressed_bytes_max)?;
    // Rewriting does not make one batch into two: it never has more records than before.
    let limits = BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };
    let mut builder = BatchBuilder::new();
    let appended = builder.append_batch(&plain, from, limits)?;
    if appended.runs.is_empty() {
        return Ok(None);
    }
    if appended.next_offset < header.next_offset() {
        return Err(BatchError::TimestampRange {
            base_timestamp: appended.first_timestamp_ms,
            timestamp: header.max_timestamp,
        });
    }
    let batch = builder.finish_compressed(header.attributes.compression(), stamp)?;
    let Appended { runs, first_timestamp_ms, .. } = appended;
    Ok(Some(Rewritten { batch, runs, first_timestamp_ms }))
}
