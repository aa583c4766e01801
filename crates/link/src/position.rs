//! Where a mirror partition stands: from the target's log end and what was written ahead to the
//! source offset that comes next.
//!
//! Pure. The target's log end says how much was mirrored; the state topic says which source offset
//! that is. Every batch that does not simply continue the one before it was written ahead as an
//! entry, so from the last entry whose batch is really in the mirror the rest is counting
//! (ADR 0005).

use std::cmp::Reverse;

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
        /// The hypotheses, newest first.
        entries: Vec<Hypothesis<'a>>,
    },
    /// Known to be true.
    Fact(Fact),
}

impl Candidate<'_> {
    /// The offset of the mirror that it is about.
    pub fn target_offset(&self) -> i64 {
        match self {
            Self::Entries { target_offset, .. } => *target_offset,
            Self::Fact(fact) => fact.target_offset,
        }
    }
}

/// A batch written ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypothesis<'a> {
    /// Who wrote it.
    pub claim: Claim,
    /// What it says.
    pub entry: &'a Entry,
    /// Whether it may be believed when the mirror no longer has the batch as it was written.
    ///
    /// A turn begins with a fact: where the mirror ends and what comes next. From there on only
    /// what that turn wrote ahead can have landed; what older turns wrote ahead was in vain, or
    /// comes late and then stays the last batch, which no cleaner touches, until the next turn has
    /// taken note of it. Without a fact to begin with, any of them may have landed.
    pub is_current: bool,
}

/// Lists what may tell the position at a log end, best first.
pub fn candidates(facts: &MirrorFacts, log_end: i64) -> Vec<Candidate<'_>> {
    let latest = facts.latest(log_end);
    let mut found: Vec<Candidate<'_>> = Vec::new();
    for (&(target_offset, claim), entry) in facts.entries.iter().rev() {
        if target_offset + entry.record_count() > log_end {
            continue;
        }
        let is_current = latest.is_none_or(|latest| entry.turn >= latest.turn);
        let hypothesis = Hypothesis { claim, entry, is_current };
        match found.last_mut() {
            Some(Candidate::Entries { target_offset: last, entries }) if *last == target_offset => {
                entries.push(hypothesis);
            }
            _ => found.push(Candidate::Entries { target_offset, entries: vec![hypothesis] }),
        }
    }
    for candidate in &mut found {
        if let Candidate::Entries { entries, .. } = candidate {
            entries.sort_by_key(|one| Reverse((one.entry.turn, one.claim)));
        }
    }
    let start = facts.start.filter(|start| start.target_offset <= log_end);
    for fact in latest.into_iter().chain(start) {
        // An entry at a fact's own offset comes after the fact, so it is asked first.
        let place =
            found.iter().position(|candidate| candidate.target_offset() < fact.target_offset);
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
                    entries.iter().find(|one| landed_as(one, header))
                }
                // Part of an earlier batch: none of these entries was used.
                Seen::Batch(header) if header.base_offset < *target_offset => None,
                // Compaction or retention of the mirror removed the batch. Had another batch of the
                // current turn held this offset, it would have been written ahead before it, and a
                // turn writes ahead in order: so this one landed.
                Seen::Batch(_) | Seen::Deleted => entries.iter().find(|one| one.is_current),
            };
            let entry = landed?.entry;
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
fn landed_as(hypothesis: &Hypothesis<'_>, header: &BatchHeader) -> bool {
    let entry = hypothesis.entry;
    let extent = i64::from(header.last_offset_delta) + 1;
    let cleaned = i64::from(header.record_count) < extent || header.attributes.has_delete_horizon();
    let told_by_extent = cleaned && hypothesis.is_current;
    extent == entry.record_count() && (told_by_extent || header.crc == entry.crc)
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
#[cfg(test)]
pub(crate) use tests::histories;
