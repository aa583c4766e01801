//! What must hold after the kills, partition by partition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A record of `copies`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The transaction that wrote it.
    pub transaction: u64,
    /// The number that was copied.
    pub number: u64,
}

impl Copy {
    /// From the numbers of its value.
    pub fn read(fields: &[u64]) -> Option<Copy> {
        let &[transaction, number] = fields else { return None };
        Some(Copy { transaction, number })
    }
}

/// A record of `marks`: what a transaction says that it copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The transaction.
    pub transaction: u64,
    /// The first number that it copied.
    pub first: u64,
    /// How many it copied.
    pub count: u64,
}

impl Mark {
    /// From the numbers of its value.
    pub fn read(fields: &[u64]) -> Option<Mark> {
        let &[transaction, first, count] = fields else { return None };
        Some(Mark { transaction, first, count })
    }
}

/// What was told, and what is there, of one partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// Records whose producer got an answer; they are numbered from 0.
    pub acknowledged: u64,
    /// What is in the log.
    pub numbers: Vec<u64>,
    /// What `read_committed` sees of the copies.
    pub copies: Vec<Copy>,
    /// What `read_committed` sees of the marks.
    pub marks: Vec<Mark>,
    /// Transactions whose commit was answered.
    pub committed: BTreeSet<u64>,
    /// Transactions that were aborted, or left by their producer and never ended.
    pub aborted: BTreeSet<u64>,
    /// The offset that is committed; -1 for none.
    pub offset: i64,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The log is not the numbers from 0 on, each once; from which offset.
    Numbers {
        /// The first offset with another number.
        offset: u64,
        /// That number; `None` if the log ends there.
        found: Option<u64>,
    },
    /// The copies are not the numbers up to the committed offset, each once and in order.
    Copies {
        /// The first place that is wrong.
        place: u64,
        /// The number there; `None` if there is none.
        found: Option<u64>,
    },
    /// More was copied than is committed.
    BeyondOffset {
        /// The offset that is committed.
        offset: i64,
        /// Records that were copied.
        copied: u64,
    },
    /// Part of a transaction is there, and part is not.
    Torn {
        /// The transaction.
        transaction: u64,
    },
    /// A reader sees an aborted transaction.
    Aborted {
        /// The transaction.
        transaction: u64,
    },
    /// A transaction whose commit was answered is not there.
    CommitLost {
        /// The transaction.
        transaction: u64,
    },
}

/// All that must not be, with the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// In the order of partitions.
    pub findings: Vec<(usize, Finding)>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (partition, finding) in &self.findings {
            writeln!(out, "partition {partition}: {finding:?}")?;
        }
        Ok(())
    }
}

/// Judges all partitions.
pub fn judge(partitions: &[Partition]) -> Verdict {
    let mut findings = Vec::new();
    for (index, partition) in partitions.iter().enumerate() {
        let found = numbers(partition).into_iter().chain(copies(partition));
        let found = found.chain(transactions(partition));
        findings.extend(found.map(|finding| (index, finding)));
    }
    Verdict { findings }
}

/// The first place where a row is not 0, 1, 2, … of this length at least.
fn first_wrong(row: impl Iterator<Item = u64>, length: u64) -> Option<(u64, Option<u64>)> {
    let mut next = 0;
    for number in row {
        if number != next {
            return Some((next, Some(number)));
        }
        next += 1;
    }
    (next < length).then_some((next, None))
}

fn numbers(partition: &Partition) -> Option<Finding> {
    let (offset, found) = first_wrong(partition.numbers.iter().copied(), partition.acknowledged)?;
    Some(Finding::Numbers { offset, found })
}

fn copies(partition: &Partition) -> Vec<Finding> {
    let mut findings = Vec::new();
    let committed = u64::try_from(partition.offset).unwrap_or(0);
    let copied = partition.copies.iter().map(|copy| copy.number);
    if let Some((place, found)) = first_wrong(copied, committed) {
        findings.push(Finding::Copies { place, found });
    }
    let copied = partition.copies.len() as u64;
    if copied > committed {
        findings.push(Finding::BeyondOffset { offset: partition.offset, copied });
    }
    findings
}

fn transactions(partition: &Partition) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut copied: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for copy in &partition.copies {
        copied.entry(copy.transaction).or_default().push(copy.number);
    }
    let mut marked: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for mark in &partition.marks {
        let numbers = mark.first..mark.first + mark.count;
        marked.entry(mark.transaction).or_default().extend(numbers);
    }
    let seen: BTreeSet<u64> = copied.keys().chain(marked.keys()).copied().collect();
    for &transaction in &seen {
        if copied.get(&transaction) != marked.get(&transaction) {
            findings.push(Finding::Torn { transaction });
        }
        if partition.aborted.contains(&transaction) {
            findings.push(Finding::Aborted { transaction });
        }
    }
    let lost = partition.committed.difference(&seen);
    findings.extend(lost.map(|&transaction| Finding::CommitLost { transaction }));
    findings
}

#[cfg(test)]
mod tests;
