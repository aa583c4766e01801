//! Filling a mirror partition up to the offset at which it is to begin.
//!
//! A broker gives out offsets from 0. So records of no content are appended up to the first offset
//! of the mirror and deleted at once. Up to 100,000 of them compress into about 60 KB; a broker
//! keeps a list of all records of a compressed batch, so there must not be many more. All batches
//! are the same but for their sequences, and for the last ones.

use farlog_wire::records::{
    BatchError, BatchWriter, Compression, OutgoingBatch, ProducerStamp, RawBatch, pass_through,
};

use crate::identity::PRODUCER_EPOCH;
use crate::position::{records_before_wrap, sequence_at};

/// Records of one batch of filler.
pub const FILLER_RECORDS_MAX: i64 = 100_000;

/// From so many offsets on the filler takes up enough of the disk (about 0.6 bytes for each) to be
/// worth a segment of its own, which goes at the next look at retention.
pub const SHED_FROM_OFFSETS: i64 = 2_000_000;

/// How many records each batch has that fills `log_end..until`, in order.
///
/// No batch straddles the wrap of the sequence. The last one has one record: whoever wants the
/// filler in segments of its own has the log rolled before it.
pub fn filler_counts(log_end: i64, until: i64) -> impl Iterator<Item = i64> {
    let mut offset = log_end;
    std::iter::from_fn(move || {
        let left = until - offset;
        let before_last = if left > 1 { left - 1 } else { left };
        let count = before_last.min(FILLER_RECORDS_MAX).min(records_before_wrap(offset));
        offset += count;
        (count > 0).then_some(count)
    })
}

/// Makes batches of filler; compresses only where the number of records differs from the last.
#[derive(Debug, Default)]
pub struct Filler {
    last: Option<RawBatch>,
}

impl Filler {
    /// A batch of `count` records without content for `offset`.
    ///
    /// # Errors
    /// If `count` is no number of records that one batch can have.
    pub fn batch(
        &mut self,
        offset: i64,
        count: i64,
        producer_id: i64,
    ) -> Result<OutgoingBatch, BatchError> {
        let stamp = ProducerStamp {
            producer_id,
            producer_epoch: PRODUCER_EPOCH,
            base_sequence: sequence_at(offset),
        };
        if self.last.as_ref().is_none_or(|last| i64::from(last.header.record_count) != count) {
            let mut writer = BatchWriter::new().compression(Compression::Zstd);
            for _ in 0..count {
                // Without a timestamp: no search for one finds the filler. A compacted topic asks
                // for keys.
                writer.push(-1, Some(&[]), None, &[]);
            }
            let batch = writer.finish(ProducerStamp::NONE)?;
            self.last = Some(RawBatch::new(batch.to_bytes())?);
        }
        let template = self.last.as_ref().ok_or(BatchError::Empty)?;
        pass_through(template, stamp)
    }
}

#[cfg(test)]
mod tests;
