//! Whether the source's log still holds what was taken from it.
//!
//! A source that loses its tail normally goes on under a new leader epoch, and fetches answer with
//! the point of divergence. A single broker before KIP-966 keeps its epoch over a crash, so a lost
//! and regrown tail would be taken for the old one. What was mirrored last is therefore compared
//! with what the source has there, at the start and after every lost connection. Pure.

use farlog_wire::records::{BatchError, BatchHeader, RawBatch, Record, records};

/// A batch taken from the source, as far as it can be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    base_offset: i64,
    last_offset_delta: i32,
    record_count: i32,
    crc: u32,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    /// The same, as far as it can be told.
    Holds,
    /// The source has something else there.
    Broken,
}

impl Taken {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            record_count: header.record_count,
            crc: header.crc,
        }
    }

    /// Offset of the last record of the batch.
    pub(super) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Compares with the batch that the source now has at the last offset.
    pub(super) fn compare(&self, now: &BatchHeader) -> Continuity {
        let cleaned = now.record_count != self.record_count || now.attributes.has_delete_horizon();
        let same_place =
            now.base_offset == self.base_offset && now.last_offset_delta == self.last_offset_delta;
        if now.base_offset > self.last_offset() {
            // The cleaner removed the batch.
            return Continuity::Holds;
        }
        if same_place && (cleaned || now.crc == self.crc) {
            return Continuity::Holds;
        }
        Continuity::Broken
    }
}

/// Compares the last record of the mirror with the source's record that it is a copy of.
///
/// `source` is the batch at `source_offset`, `mirror` the mirror's last batch, whose last record is
/// at `mirror_offset`; both may be compressed. A record that a cleaner removed says nothing.
pub(super) fn compare_records(
    (source, source_offset): (&RawBatch, i64),
    (mirror, mirror_offset): (&RawBatch, i64),
    decompressed_bytes_max: usize,
) -> Result<Continuity, BatchError> {
    let source = source.decompressed(decompressed_bytes_max)?;
    let mirror = mirror.decompressed(decompressed_bytes_max)?;
    let (source, mirror) = (records(&source)?, records(&mirror)?);
    let ours = source.iter().find(|record| record.offset == source_offset);
    let last = mirror.last().filter(|record| record.offset == mirror_offset);
    let (Some(ours), Some(theirs)) = (ours, last) else {
        return Ok(Continuity::Holds);
    };
    Ok(if same_content(ours, theirs) { Continuity::Holds } else { Continuity::Broken })
}

fn same_content(one: &Record<'_>, other: &Record<'_>) -> bool {
    one.timestamp == other.timestamp
        && one.key == other.key
        && one.value == other.value
        && one.headers == other.headers
}

#[cfg(test)]
mod tests {
    use farlog_wire::records::{BatchWriter, ProducerStamp};

    use super::*;

    fn batch(values: &[&str], base_offset: i64) -> RawBatch {
        let mut writer = BatchWriter::new();
        for value in values {
            writer.push(7, None, Some(value.as_bytes()), &[]);
        }
        let outgoing = writer.finish(ProducerStamp::NONE).unwrap();
        let mut bytes = outgoing.to_bytes().to_vec();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        RawBatch::new(bytes.into()).unwrap()
    }

    #[test]
    fn another_batch_in_the_place_of_the_one_taken_is_seen() {
        let taken = Taken::of(&batch(&["a", "b"], 10).header);
        assert_eq!(taken.last_offset(), 11);
        assert_eq!(taken.compare(&batch(&["a", "b"], 10).header), Continuity::Holds);
        assert_eq!(taken.compare(&batch(&["a", "c"], 10).header), Continuity::Broken);
        assert_eq!(taken.compare(&batch(&["a", "b", "c"], 9).header), Continuity::Broken);
        let removed = batch(&["z"], 12).header;
        assert_eq!(taken.compare(&removed), Continuity::Holds);
        let cleaned = BatchHeader { record_count: 1, ..batch(&["a", "c"], 10).header };
        assert_eq!(taken.compare(&cleaned), Continuity::Holds);
    }

    #[test]
    fn the_last_record_of_the_mirror_is_held_against_its_source() {
        let mirror = batch(&["x", "b"], 90);
        let compare =
            |source: &RawBatch, at| compare_records((source, at), (&mirror, 91), 1 << 20).unwrap();
        assert_eq!(compare(&batch(&["a", "b"], 10), 11), Continuity::Holds);
        assert_eq!(compare(&batch(&["a", "c"], 10), 11), Continuity::Broken);
        assert_eq!(compare(&batch(&["a", "c"], 12), 11), Continuity::Holds, "removed");
    }
}
