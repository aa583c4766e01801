//! Committed data only: aborted transactions and control records never reach the target.
//!
//! A `read_committed` fetch answers up to the last stable offset and lists the aborted
//! transactions that overlap what it returned, from each one's first offset; its abort marker ends
//! it (KIP-98). The list is complete for the answer, so a filter lives as long as one answer. Pure.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use farlog_wire::records::{BatchHeader, ControlType};

/// An aborted transaction of a fetch answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AbortedTransaction {
    /// Offset of its first record in the partition.
    pub(crate) first_offset: i64,
    /// The producer id that wrote it.
    pub(crate) producer_id: i64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Mirror it.
    Mirror,
    /// A transaction marker, or another control record: the target writes its own.
    SkipControl,
    /// Data of an aborted transaction.
    SkipAborted,
}

/// Judges the batches of one fetch answer, in offset order.
#[derive(Debug)]
pub(crate) struct CommittedFilter {
    upcoming: BinaryHeap<Reverse<AbortedTransaction>>,
    aborted_producers: HashSet<i64>,
}

impl CommittedFilter {
    /// A filter for the batches of one answer, with the aborted transactions that it lists.
    pub(crate) fn new(aborted: impl IntoIterator<Item = AbortedTransaction>) -> Self {
        Self {
            upcoming: aborted.into_iter().map(Reverse).collect(),
            aborted_producers: HashSet::new(),
        }
    }

    /// Judges the next batch. `control_type` is called only for control batches; it reads the type
    /// of the batch's one record.
    pub(crate) fn judge<E>(
        &mut self,
        header: &BatchHeader,
        control_type: impl FnOnce() -> Result<ControlType, E>,
    ) -> Result<Verdict, E> {
        while let Some(Reverse(next)) = self.upcoming.peek() {
            if next.first_offset > header.last_offset() {
                break;
            }
            self.aborted_producers.insert(next.producer_id);
            self.upcoming.pop();
        }
        if header.attributes.is_control() {
            if control_type()? == ControlType::Abort {
                self.aborted_producers.remove(&header.producer_id);
            }
            return Ok(Verdict::SkipControl);
        }
        let aborted = header.attributes.is_transactional()
            && self.aborted_producers.contains(&header.producer_id);
        Ok(if aborted { Verdict::SkipAborted } else { Verdict::Mirror })
    }
}
