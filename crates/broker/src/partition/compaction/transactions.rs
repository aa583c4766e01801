//! Which batches of transactions may go: what was aborted, and markers that mark nothing any more.
//!
//! Source: KIP-98; Kafka's `CleanedTransactionMetadata`.

use std::collections::{HashMap, HashSet, VecDeque};

use farlog_wire::records::{BatchHeader, ControlType};

use crate::partition::transactions::AbortedTransaction;

/// Follows the transactions of a log from one batch to the next.
#[derive(Debug)]
pub(super) struct CleanedTransactions {
    /// Those that were aborted and have not begun yet, by first offset.
    aborted: VecDeque<AbortedTransaction>,
    /// By producer: the aborted transaction under way, and whether a batch of it is there.
    aborting: HashMap<i64, (AbortedTransaction, bool)>,
    /// Producers with batches of a transaction that was committed.
    committing: HashSet<i64>,
    /// Those of the aborted ones that readers must still know.
    kept: Vec<AbortedTransaction>,
}

impl CleanedTransactions {
    /// With all aborted transactions that have something in the part of the log that is looked at.
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|aborted| aborted.first_offset);
        Self {
            aborted: aborted.into(),
            aborting: HashMap::new(),
            committing: HashSet::new(),
            kept: Vec::new(),
        }
    }

    fn begin_until(&mut self, offset: i64) {
        while let Some(&first) = self.aborted.front()
            && first.first_offset <= offset
        {
            self.aborted.pop_front();
            self.aborting.insert(first.producer_id, (first, false));
        }
    }

    /// A data batch comes; whether it was aborted.
    pub(super) fn data(&mut self, header: &BatchHeader) -> bool {
        self.begin_until(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborting.get_mut(&header.producer_id) {
            Some((_, is_there)) => {
                *is_there = true;
                true
            }
            None => {
                self.committing.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch comes, `None` if its record is gone already; whether nothing of its
    /// transaction is left.
    pub(super) fn control(&mut self, header: &BatchHeader, kind: Option<ControlType>) -> bool {
        self.begin_until(header.last_offset());
        match kind {
            None => true,
            Some(ControlType::Commit) => !self.committing.remove(&header.producer_id),
            Some(ControlType::Abort) => match self.aborting.remove(&header.producer_id) {
                Some((aborted, true)) => {
                    self.kept.push(aborted);
                    false
                }
                _ => true,
            },
            Some(ControlType::Other(_)) => false,
        }
    }

    /// The aborted transactions that ended within what was looked at and still have batches.
    pub(super) fn into_kept(self) -> Vec<AbortedTransaction> {
        self.kept
    }
}
