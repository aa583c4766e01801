//! What was written to one source partition, as its writer knows it: the other half of every check,
//! since compaction and retention take away what the source itself could tell.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Fields, Identity, LogRecord};

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Readers at `read_committed` see it.
    Committed,
    /// Its transaction is open.
    Open,
    /// Its transaction was aborted.
    Aborted,
}

/// One acknowledged record.
#[derive(Clone, Debug)]
pub struct Written {
    /// Who it is.
    pub identity: Identity,
    /// What it holds.
    pub fields: Fields,
    /// How it ended.
    pub outcome: Outcome,
    /// The transaction it belongs to; 0 if to none.
    pub transaction: u64,
}

/// Everything acknowledged in one source partition.
#[derive(Clone, Debug, Default)]
pub struct PartitionAccount {
    /// By source offset.
    pub written: BTreeMap<i64, Written>,
    /// What a truncation took away, by the offset it had: the newest truncation's.
    pub truncated: BTreeMap<i64, Written>,
    /// Ids of records whose transactions were aborted.
    pub aborted: BTreeSet<Identity>,
    /// Source offset of the first record of each open transaction.
    open: BTreeMap<u64, i64>,
}

/// A record that a mirror should hold.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Where it is (or was) in the source.
    pub source_offset: i64,
    /// Who it is.
    pub identity: Identity,
    /// What it holds.
    pub fields: Fields,
    /// Whether its absence is a loss; compaction and retention make it optional.
    pub required: bool,
}

// === impl PartitionAccount ===

impl PartitionAccount {
    /// Enters acknowledged records, in the order of their offsets.
    pub fn acknowledge(&mut self, records: &[LogRecord], outcome: Outcome, transaction: u64) {
        if let (Outcome::Open, Some(first)) = (outcome, records.first()) {
            self.open.entry(transaction).or_insert(first.offset);
        }
        for record in records {
            let (identity, fields) = (record.identity(), record.fields());
            let written = Written { identity, fields, outcome, transaction };
            self.written.insert(record.offset, written);
        }
    }

    /// Ends a transaction.
    pub fn end_transaction(&mut self, transaction: u64, outcome: Outcome) {
        let Some(first) = self.open.remove(&transaction) else { return };
        let behind = self.written.range_mut(first..).map(|(_, written)| written);
        for written in behind.filter(|one| one.transaction == transaction) {
            written.outcome = outcome;
            if outcome == Outcome::Aborted {
                self.aborted.insert(written.identity.clone());
            }
        }
    }

    /// The log lost everything from `end_offset` on.
    pub fn truncate(&mut self, end_offset: i64) {
        self.truncated = self.written.split_off(&end_offset);
    }

    /// The committed records in the order of their offsets, all of them required.
    pub fn expected(&self) -> Vec<Expected> {
        expected(&self.written)
    }

    /// Who was committed last, in the order of offsets.
    pub fn last_committed(&self) -> Option<&Identity> {
        let mut backwards = self.written.values().rev();
        backwards.find(|one| one.outcome == Outcome::Committed).map(|one| &one.identity)
    }

    /// What was committed before the newest truncation, as if that had not happened.
    pub fn expected_before_truncation(&self) -> Vec<Expected> {
        let Some((first, _)) = self.truncated.first_key_value() else { return self.expected() };
        let mut all = expected(&self.written);
        all.retain(|one| one.source_offset < *first);
        all.extend(expected(&self.truncated));
        all
    }

    /// Records whose outcome is not known yet.
    pub fn open_count(&self) -> usize {
        self.written.values().filter(|one| one.outcome == Outcome::Open).count()
    }
}

fn expected(written: &BTreeMap<i64, Written>) -> Vec<Expected> {
    let committed = written.iter().filter(|(_, one)| one.outcome == Outcome::Committed);
    committed
        .map(|(source_offset, one)| Expected {
            source_offset: *source_offset,
            identity: one.identity.clone(),
            fields: one.fields,
            required: true,
        })
        .collect()
}
