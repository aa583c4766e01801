//! Compares what a mirror partition should hold with what it holds, and names every difference.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use super::account::Expected;
use super::reader::PartitionLog;
use super::record::{Identity, LogRecord};

/// Findings of one partition that are kept; the rest is counted.
pub const FINDINGS_MAX: usize = 100;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Committed at the source, and not in the mirror.
    Lost,
    /// More than once in the mirror.
    Twice,
    /// Behind a record that follows it at the source.
    OutOfOrder,
    /// Key, value, headers or timestamp differ.
    Altered,
    /// Of an aborted transaction.
    Aborted,
    /// Not of this source partition.
    Foreign,
    /// A batch whose base sequence is not its base offset mod 2^31: the compare-and-swap that keeps
    /// a second writer out does not hold.
    Sequence,
    /// Batches of more than one producer id, or of another producer epoch than the first.
    Writers,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// Mirror topic.
    pub topic: String,
    /// Partition, on both sides.
    pub partition: i32,
    /// The record; `None` if it is about a batch.
    pub record: Option<Identity>,
    /// Where it is at the source, if it is there.
    pub source_offset: Option<i64>,
    /// Where it is in the mirror, or where it should have been: before this offset.
    pub mirror_offset: i64,
    /// What else is to say.
    pub detail: String,
}

/// What was compared, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Differences, at most `FINDINGS_MAX` of each partition.
    pub findings: Vec<Finding>,
    /// Differences, all of them.
    pub findings_total: u64,
    /// Records that were expected.
    pub expected_total: u64,
    /// Records that the mirrors hold.
    pub mirrored_total: u64,
    /// Partitions compared.
    pub partitions_total: u64,
}

/// How much of what is expected has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// All up to the last record that is there: the partition was stopped, or is still catching up.
    Prefix,
}

/// Compares one partition.
///
/// `aborted` tells records of aborted transactions from foreign ones.
pub fn check(
    expected: &[Expected],
    aborted: &BTreeSet<Identity>,
    mirror: &PartitionLog,
    extent: Extent,
) -> Report {
    let mut check = Check::new(expected, mirror);
    check.records(aborted);
    check.losses(extent);
    check.batches();
    check.report
}

struct Check<'a> {
    expected: &'a [Expected],
    mirror: &'a PartitionLog,
    /// Index into `expected` of each identity.
    places: HashMap<&'a Identity, usize>,
    /// For each expected record, the mirror offset at which it was first seen.
    seen: Vec<Option<i64>>,
    /// Mirror records that belong to nothing, with the index of the expected record before them.
    strangers: Vec<(&'a LogRecord, Option<usize>)>,
    report: Report,
}

impl<'a> Check<'a> {
    fn new(expected: &'a [Expected], mirror: &'a PartitionLog) -> Check<'a> {
        let places = expected.iter().enumerate().map(|(at, one)| (&one.identity, at)).collect();
        let report = Report {
            expected_total: expected.len() as u64,
            mirrored_total: mirror.records.len() as u64,
            partitions_total: 1,
            ..Report::default()
        };
        let seen = vec![None; expected.len()];
        Check { expected, mirror, places, seen, strangers: Vec::new(), report }
    }

    /// Walks the mirror: who is there, how often, in which order, and unaltered?
    fn records(&mut self, aborted: &BTreeSet<Identity>) {
        let mut furthest: Option<usize> = None;
        for record in &self.mirror.records {
            let identity = record.identity();
            let Some(&at) = self.places.get(&identity) else {
                if aborted.contains(&identity) {
                    let detail = "its transaction was aborted at the source".to_owned();
                    self.find(Fault::Aborted, Some(identity), None, record.offset, detail);
                } else {
                    self.strangers.push((record, furthest));
                }
                continue;
            };
            let one = &self.expected[at];
            let source_offset = Some(one.source_offset);
            if let Some(first) = self.seen[at] {
                let detail = format!("first at mirror offset {first}");
                self.find(Fault::Twice, Some(identity), source_offset, record.offset, detail);
                continue;
            }
            self.seen[at] = Some(record.offset);
            let differences = one.fields.differences(&record.fields());
            if !differences.is_empty() {
                let detail = format!("{} changed", differences.join(", "));
                let identity = Some(identity.clone());
                self.find(Fault::Altered, identity, source_offset, record.offset, detail);
            }
            match furthest {
                Some(before) if before > at => {
                    let detail = format!("behind {}", self.expected[before].identity);
                    self.find(
                        Fault::OutOfOrder,
                        Some(identity),
                        source_offset,
                        record.offset,
                        detail,
                    );
                }
                _ => furthest = Some(at),
            }
        }
    }

    /// Reports what is missing, and who came in its place.
    fn losses(&mut self, extent: Extent) {
        let last_seen = self.seen.iter().rposition(Option::is_some);
        let end = match extent {
            Extent::Whole => self.expected.len(),
            Extent::Prefix => last_seen.map_or(0, |last| last + 1),
        };
        // A record whose id itself was changed is a stranger in the place of a lost one.
        let mut replaced: HashMap<usize, &LogRecord> = HashMap::new();
        for (stranger, before) in std::mem::take(&mut self.strangers) {
            let place = before.map_or(0, |before| before + 1);
            let alone = self.seen.get(place) == Some(&None)
                && self.seen.get(place + 1).is_none_or(Option::is_some)
                && !replaced.contains_key(&place);
            if alone {
                replaced.insert(place, stranger);
                continue;
            }
            let detail = "no such record was committed to the source partition".to_owned();
            self.find(Fault::Foreign, Some(stranger.identity()), None, stranger.offset, detail);
        }
        let mut offset = self.mirror.log_start_offset;
        for at in 0..self.expected.len() {
            if let Some(seen) = self.seen[at] {
                offset = seen + 1;
                continue;
            }
            let one = &self.expected[at];
            let (identity, source_offset) = (Some(one.identity.clone()), Some(one.source_offset));
            if let Some(stranger) = replaced.get(&at) {
                let detail = format!("{} is in its place", stranger.identity());
                self.find(Fault::Altered, identity, source_offset, stranger.offset, detail);
            } else if one.required && at < end {
                let detail = "committed at the source".to_owned();
                self.find(Fault::Lost, identity, source_offset, offset, detail);
            }
        }
    }

    /// The compare-and-swap: one producer id, and sequences that count the partition's records.
    fn batches(&mut self) {
        let Some(first) = self.mirror.batches.first() else { return };
        let writer = (first.producer_id, first.producer_epoch);
        for batch in &self.mirror.batches {
            if (batch.producer_id, batch.producer_epoch) != writer {
                let detail = format!(
                    "written by producer id {} epoch {}, the first batch by {} epoch {}",
                    batch.producer_id, batch.producer_epoch, writer.0, writer.1
                );
                self.find(Fault::Writers, None, None, batch.base_offset, detail);
            }
            if i64::from(batch.base_sequence) != batch.base_offset % (1 << 31) {
                let detail = format!("base sequence {}", batch.base_sequence);
                self.find(Fault::Sequence, None, None, batch.base_offset, detail);
            }
        }
    }

    fn find(
        &mut self,
        fault: Fault,
        record: Option<Identity>,
        source_offset: Option<i64>,
        mirror_offset: i64,
        detail: String,
    ) {
        self.report.findings_total += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding {
                fault,
                topic: self.mirror.topic.clone(),
                partition: self.mirror.partition,
                record,
                source_offset,
                mirror_offset,
                detail,
            });
        }
    }
}

// === impl Report ===

impl Report {
    /// Adds the report of another partition.
    pub fn merge(&mut self, other: Report) {
        self.findings.extend(other.findings);
        self.findings_total += other.findings_total;
        self.expected_total += other.expected_total;
        self.mirrored_total += other.mirrored_total;
        self.partitions_total += other.partitions_total;
    }

    /// How often a kind of fault is among the findings kept.
    pub fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records expected, {} mirrored in {} partitions, {} findings",
            self.expected_total, self.mirrored_total, self.partitions_total, self.findings_total
        )?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.mirror_offset;
        write!(f, "{}-{} at mirror offset {at}: ", self.topic, self.partition)?;
        match &self.record {
            Some(record) => write!(f, "{record} {}", self.fault)?,
            None => write!(f, "batch {}", self.fault)?,
        }
        if let Some(offset) = self.source_offset {
            write!(f, " (source offset {offset})")?;
        }
        write!(f, ": {}", self.detail)
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Lost => "lost",
            Fault::Twice => "twice",
            Fault::OutOfOrder => "out of order",
            Fault::Altered => "altered",
            Fault::Aborted => "aborted, but mirrored",
            Fault::Foreign => "foreign",
            Fault::Sequence => "out of sequence",
            Fault::Writers => "of another writer",
        })
    }
}

#[cfg(test)]
mod tests;
