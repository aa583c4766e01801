//! Where a mirror partition stands: from the target's log end and what was written ahead to the
//! source offset that comes next.
//!
//! Pure. The target's log end says how much was mirrored; the state topic says which source offset
//! that is. Every batch that does not simply continue the one before it was written ahead as an
//! entry, so from the last entry whose batch is really in the mirror the rest is counting.

use farlog_wire::records::BatchHeader;

use crate::state::{Claim, Entry, Fact, MirrorFacts};

/// Sequences wrap to 0 after 2^31 - 1.
pub const SEQUENCE_MODULUS: i64 = 1 << 31;

/// The base sequence of a batch at an offset of an exclusive mirror partition.
///
/// Offset and sequence advance together because the partition has one writer, which makes the
/// broker's sequence check a compare-and-swap on the log end.
pub fn sequence_at(target_offset: i64) -> i32 {
    i32::try_from(target_offset.rem_euclid(SEQUENCE_MODULUS)).expect("below 2^31 by the modulus")
}

/// How many records may follow `target_offset` before the sequence wraps: no batch straddles it.
pub fn records_before_wrap(target_offset: i64) -> i64 {
    SEQUENCE_MODULUS - target_offset.rem_euclid(SEQUENCE_MODULUS)
}

/// Where mirroring goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset in the mirror of the next record.
    pub target_offset: i64,
    /// Source offset after the last mirrored record.
    pub source_offset: i64,
    /// Source leader epoch of the last mirrored record, -1 if none.
    pub source_leader_epoch: i32,
}

/// Something that may tell the position, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// Batches written ahead at one offset: the one whose CRC is in the mirror there counts.
    Entries {
        /// Offset in the mirror.
        target_offset: i64,
        /// The hypotheses, newest claim first.
        entries: Vec<(Claim, &'a Entry)>,
    },
    /// Known to be true.
    Fact(Fact),
}

/// Lists what may tell the position at a log end, best first.
pub fn candidates(facts: &MirrorFacts, log_end: i64) -> Vec<Candidate<'_>> {
    let mut found: Vec<Candidate<'_>> = Vec::new();
    for (&(target_offset, claim), entry) in facts.entries.iter().rev() {
        if target_offset + entry.record_count() > log_end {
            continue;
        }
        match found.last_mut() {
            Some(Candidate::Entries { target_offset: last, entries }) if *last == target_offset => {
                entries.push((claim, entry));
            }
            _ => found.push(Candidate::Entries { target_offset, entries: vec![(claim, entry)] }),
        }
    }
    let known = [facts.anchor, facts.start];
    for fact in known.into_iter().flatten().filter(|fact| fact.target_offset <= log_end) {
        // An entry at a fact's own offset comes after the fact, so it is asked first.
        let place = found.iter().position(|candidate| match candidate {
            Candidate::Entries { target_offset, .. } => *target_offset < fact.target_offset,
            Candidate::Fact(other) => other.target_offset < fact.target_offset,
        });
        found.insert(place.unwrap_or(found.len()), Candidate::Fact(fact));
    }
    found
}

/// What the mirror shows at the offset of a candidate's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The batch that holds the offset.
    Batch(&'a BatchHeader),
    /// The mirror's log starts behind it: retention deleted that part.
    Deleted,
}

/// The position by a candidate, if what is in the mirror bears it out.
pub fn judge(candidate: &Candidate<'_>, seen: Seen<'_>, log_end: i64) -> Option<Position> {
    match candidate {
        Candidate::Fact(fact) => Some(Position {
            target_offset: log_end,
            source_offset: fact.source_offset + (log_end - fact.target_offset),
            source_leader_epoch: fact.source_leader_epoch,
        }),
        Candidate::Entries { target_offset, entries } => {
            let landed = match seen {
                Seen::Batch(header) if header.base_offset == *target_offset => {
                    entries.iter().find(|(_, entry)| landed_as(entry, header))
                }
                // Part of an earlier batch: none of these entries was used.
                Seen::Batch(header) if header.base_offset < *target_offset => None,
                // Compaction or retention of the mirror removed the batch. Any batch there that
                // has no entry would have been followed, before the last record of these entries,
                // by one that has (gaps do not go away), and later entries were asked before. So
                // one of these landed: the newest claim's.
                Seen::Batch(_) | Seen::Deleted => entries.first(),
            };
            let (_, entry) = landed?;
            let after = target_offset + entry.record_count();
            Some(Position {
                target_offset: log_end,
                source_offset: entry.source_offset_next() + (log_end - after),
                source_leader_epoch: entry.source_leader_epoch,
            })
        }
    }
}

/// Whether a batch of the mirror is the one that an entry announced.
///
/// The log cleaner keeps base offset and last offset delta but changes count, horizon and so CRC
/// of what it compacts; such a batch is told by its extent.
fn landed_as(entry: &Entry, header: &BatchHeader) -> bool {
    let extent = i64::from(header.last_offset_delta) + 1;
    let cleaned = i64::from(header.record_count) < extent || header.attributes.has_delete_horizon();
    extent == entry.record_count() && (cleaned || header.crc == entry.crc)
}

/// Why the end of a mirror partition is not what this link alone would have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The last batch was written by another producer.
    Writer {
        /// Its producer id; -1 for a producer that is not idempotent.
        producer_id: i64,
        /// Offset of its batch.
        offset: i64,
    },
    /// The last batch is ours, but records of others lie before it.
    Shifted {
        /// Offset of the batch.
        offset: i64,
        /// The sequence that it should have.
        sequence_expected: i32,
        /// The sequence that it has.
        sequence: i32,
    },
}

/// Checks the last batch of a mirror partition: written by us, sequence in step with the offset.
///
/// In step at the end means in step everywhere: once another producer has written, no later batch
/// of ours can be.
pub fn check_tail(last: &BatchHeader, producer_id: i64) -> Result<(), Foreign> {
    if last.producer_id != producer_id {
        return Err(Foreign::Writer { producer_id: last.producer_id, offset: last.base_offset });
    }
    let sequence_expected = sequence_at(last.base_offset);
    if last.base_sequence != sequence_expected {
        return Err(Foreign::Shifted {
            offset: last.base_offset,
            sequence_expected,
            sequence: last.base_sequence,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
