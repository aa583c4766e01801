//! Transactions of one partition: which are open, and which were aborted (KIP-98).

use std::collections::BTreeMap;

/// An aborted transaction, as fetches of committed readers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    /// Where it began.
    pub(crate) first_offset: i64,
    /// Where its marker is.
    pub(crate) last_offset: i64,
}

/// What a partition knows of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    /// Open ones: producer id by first offset.
    open: BTreeMap<i64, i64>,
    /// By the offset of their marker, rising.
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Transactions {
    /// The first offset of the oldest open transaction: the last stable offset.
    pub(super) fn first_undecided_offset(&self) -> Option<i64> {
        self.open.first_key_value().map(|(&offset, _)| offset)
    }

    /// A producer's first batch of a transaction lies at `first_offset`.
    pub(super) fn begin(&mut self, producer_id: i64, first_offset: i64) {
        self.open.insert(first_offset, producer_id);
    }

    /// The marker of a transaction that began at `first_offset` lies at `last_offset`.
    pub(super) fn end(
        &mut self,
        producer_id: i64,
        first_offset: i64,
        last_offset: i64,
        aborted: bool,
    ) {
        self.open.remove(&first_offset);
        if aborted {
            self.aborted.push(AbortedTransaction { producer_id, first_offset, last_offset });
        }
    }

    /// The aborted transactions with records from `from` to before `to`.
    pub(super) fn aborted_between(&self, from: i64, to: i64) -> Vec<AbortedTransaction> {
        let ended_before = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let later = self.aborted[ended_before..].iter();
        later.filter(|aborted| aborted.first_offset < to).copied().collect()
    }

    /// Of those that ended before `end_offset` only these still have batches.
    pub(super) fn compacted(&mut self, end_offset: i64, mut kept: Vec<AbortedTransaction>) {
        let ended = self.aborted.partition_point(|aborted| aborted.last_offset < end_offset);
        kept.retain(|aborted| self.aborted[..ended].contains(aborted));
        kept.sort_by_key(|aborted| aborted.last_offset);
        self.aborted.splice(..ended, kept);
    }

    /// What lies before the log's start need not be remembered.
    pub(super) fn forget_before(&mut self, start_offset: i64) {
        let gone = self.aborted.partition_point(|aborted| aborted.last_offset < start_offset);
        self.aborted.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_transaction_holds_readers_back() {
        let mut transactions = Transactions::default();
        transactions.begin(7, 10);
        transactions.begin(8, 12);
        assert_eq!(transactions.first_undecided_offset(), Some(10));
        transactions.end(7, 10, 15, true);
        assert_eq!(transactions.first_undecided_offset(), Some(12));
        transactions.end(8, 12, 16, false);
        assert_eq!(transactions.first_undecided_offset(), None);
        let first = AbortedTransaction { producer_id: 7, first_offset: 10, last_offset: 15 };
        assert_eq!(transactions.aborted_between(0, 100), [first]);
        assert_eq!(transactions.aborted_between(15, 16), [first]);
        assert_eq!(transactions.aborted_between(16, 100), []);
        assert_eq!(transactions.aborted_between(0, 10), []);
        transactions.forget_before(15);
        assert_eq!(transactions.aborted_between(0, 100), [first]);
        transactions.forget_before(16);
        assert_eq!(transactions.aborted_between(0, 100), []);
    }
}
