//! Sequences: what a producer wrote last, so that what it sends again is recognised and what is
//! missing is noticed.
//!
//! Source: KIP-98, KIP-360, and what Kafka 4.3 does (`ProducerAppendInfo`): any sequence is taken
//! from a producer that is not known, a raised epoch begins at 0, and the last five batches are
//! recognised when they come again.

use std::collections::{HashMap, VecDeque};

use farlog_wire::ErrorCode;

use crate::limits::BATCHES_REMEMBERED;

/// A data batch of a producer, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequenced {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) first_sequence: i32,
    pub(super) last_offset_delta: i32,
    pub(super) is_transactional: bool,
}

/// What a batch is to the producer's earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one.
    Next,
    /// One that is in the log already, at this offset and with this timestamp.
    Duplicate { base_offset: i64, timestamp_ms: i64 },
}

/// What DescribeProducers tells of a producer (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerFacts {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// -1 if it wrote nothing that has a sequence.
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp_ms: i64,
    /// -1 if no marker was written for it.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction begins, -1 if it has none.
    pub(crate) transaction_start_offset: i64,
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Producers {
    pub(super) known: HashMap<i64, Producer>,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    pub(super) coordinator_epoch: i32,
    /// Oldest first; of the current epoch only.
    pub(super) batches: VecDeque<Written>,
    pub(super) last_timestamp_ms: i64,
    /// When the last batch was appended, by our clock: what expiry goes by.
    pub(super) appended_at_ms: i64,
    pub(super) transaction_start: Option<i64>,
}

/// A batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) first_sequence: i32,
    pub(super) last_sequence: i32,
    pub(super) base_offset: i64,
    pub(super) timestamp_ms: i64,
}

/// What a producer wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastRecord {
    /// Of its last data batch, the last offset; `None` if there is none of its epoch.
    pub(super) data_offset: Option<i64>,
    pub(super) producer_epoch: i16,
}

impl Written {
    fn last_offset(&self) -> i64 {
        let delta = i64::from(self.last_sequence) - i64::from(self.first_sequence);
        // Sequences may have begun again within it.
        self.base_offset + if delta < 0 { delta + i64::from(i32::MAX) + 1 } else { delta }
    }
}

impl Sequenced {
    fn last_sequence(&self) -> i32 {
        add(self.first_sequence, self.last_offset_delta)
    }
}

/// Sequences count from 0 to the largest int32, and begin again.
fn add(sequence: i32, count: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1);
    // The remainder of a division by 2^31 is an i32.
    sum as i32
}

impl Producers {
    /// Whether a batch may be appended now.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for a producer that was replaced, `OUT_OF_ORDER_SEQUENCE_NUMBER`
    /// when batches are missing, `INVALID_TXN_STATE` for a plain batch inside a transaction.
    pub(super) fn check(&self, batch: &Sequenced) -> Result<Verdict, ErrorCode> {
        let Some(known) = self.known.get(&batch.producer_id) else { return Ok(Verdict::Next) };
        if batch.epoch < known.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if batch.epoch > known.epoch {
            let begins = batch.first_sequence == 0;
            return if begins {
                Ok(Verdict::Next)
            } else {
                Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
            };
        }
        let same = |written: &&Written| {
            written.first_sequence == batch.first_sequence
                && written.last_sequence == batch.last_sequence()
        };
        if let Some(&Written { base_offset, timestamp_ms, .. }) = known.batches.iter().find(same) {
            return Ok(Verdict::Duplicate { base_offset, timestamp_ms });
        }
        // Of an epoch that is known by a marker alone, the first batch begins at 0.
        let expected = known.batches.back().map_or(0, |last| add(last.last_sequence, 1));
        if batch.first_sequence != expected {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        if known.transaction_start.is_some() && !batch.is_transactional {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        Ok(Verdict::Next)
    }

    /// Whether a batch may be appended whose sequence says nothing.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for a producer that was replaced.
    pub(super) fn check_epoch(&self, batch: &Sequenced) -> Result<Verdict, ErrorCode> {
        match self.known.get(&batch.producer_id) {
            Some(known) if batch.epoch < known.epoch => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            _ => Ok(Verdict::Next),
        }
    }

    /// A batch was appended. Returns where a transaction begins, if it begins one.
    pub(super) fn appended(
        &mut self,
        batch: &Sequenced,
        base_offset: i64,
        timestamp_ms: i64,
        now_ms: i64,
    ) -> Option<i64> {
        let known =
            self.known.entry(batch.producer_id).or_insert_with(|| Producer::new(batch.epoch));
        if batch.epoch != known.epoch {
            known.epoch = batch.epoch;
            known.batches.clear();
        }
        if known.batches.len() == BATCHES_REMEMBERED {
            known.batches.pop_front();
        }
        known.batches.push_back(Written {
            first_sequence: batch.first_sequence,
            last_sequence: batch.last_sequence(),
            base_offset,
            timestamp_ms,
        });
        known.last_timestamp_ms = timestamp_ms;
        known.appended_at_ms = now_ms;
        if batch.is_transactional && known.transaction_start.is_none() {
            known.transaction_start = Some(base_offset);
            return Some(base_offset);
        }
        None
    }

    /// Whether a marker of this epoch may be written.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` if the producer has a newer one, `TRANSACTION_COORDINATOR_FENCED`
    /// if a newer coordinator wrote a marker already.
    pub(super) fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self.known.get(&producer_id) {
            Some(known) if epoch < known.epoch => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) if coordinator_epoch < known.coordinator_epoch => {
                Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED)
            }
            _ => Ok(()),
        }
    }

    /// A marker was written. Returns where the transaction began, if one was open.
    pub(super) fn marked(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        timestamp_ms: i64,
        now_ms: i64,
    ) -> Option<i64> {
        let known = self.known.entry(producer_id).or_insert_with(|| Producer::new(epoch));
        if epoch != known.epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        known.coordinator_epoch = coordinator_epoch;
        known.last_timestamp_ms = timestamp_ms;
        known.appended_at_ms = now_ms;
        known.transaction_start.take()
    }

    /// Forgets producers that appended nothing since `before_ms` and have no open transaction.
    pub(super) fn expire(&mut self, before_ms: i64) {
        self.known.retain(|_, known| {
            known.transaction_start.is_some() || known.appended_at_ms >= before_ms
        });
    }

    /// What every producer wrote last: compaction keeps that.
    pub(super) fn last_records(&self) -> HashMap<i64, LastRecord> {
        let last = |(&producer_id, known): (&i64, &Producer)| {
            let data_offset = known.batches.back().map(Written::last_offset);
            (producer_id, LastRecord { data_offset, producer_epoch: known.epoch })
        };
        self.known.iter().map(last).collect()
    }

    /// All that is known, by producer id.
    pub(super) fn facts(&self) -> Vec<ProducerFacts> {
        let mut facts: Vec<ProducerFacts> =
            self.known.iter().map(|(&producer_id, known)| known.facts(producer_id)).collect();
        facts.sort_by_key(|facts| facts.producer_id);
        facts
    }
}

impl Producer {
    pub(super) fn new(epoch: i16) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            batches: VecDeque::with_capacity(BATCHES_REMEMBERED),
            last_timestamp_ms: -1,
            appended_at_ms: -1,
            transaction_start: None,
        }
    }

    fn facts(&self, producer_id: i64) -> ProducerFacts {
        ProducerFacts {
            producer_id,
            epoch: self.epoch,
            last_sequence: self.batches.back().map_or(-1, |written| written.last_sequence),
            last_timestamp_ms: self.last_timestamp_ms,
            coordinator_epoch: self.coordinator_epoch,
            transaction_start_offset: self.transaction_start.unwrap_or(-1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, first_sequence: i32, count: i32) -> Sequenced {
        Sequenced {
            producer_id: 9,
            epoch,
            first_sequence,
            last_offset_delta: count - 1,
            is_transactional: false,
        }
    }

    fn append(producers: &mut Producers, batch: Sequenced, base_offset: i64) {
        assert_eq!(producers.check(&batch), Ok(Verdict::Next));
        producers.appended(&batch, base_offset, 1_000, 2_000);
    }

    #[test]
    fn what_follows_is_taken_and_what_does_not_is_refused() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, 5, 3), 0);
        append(&mut producers, batch(0, 8, 1), 3);
        let out_of_order = Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!(producers.check(&batch(0, 10, 1)), out_of_order);
        assert_eq!(producers.check(&batch(0, 6, 1)), out_of_order, "not a batch that was sent");
        assert_eq!(producers.check(&batch(1, 9, 1)), out_of_order, "a new epoch begins at 0");
        append(&mut producers, batch(1, 0, 1), 4);
        assert_eq!(producers.check(&batch(0, 9, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let mut producers = Producers::default();
        for index in 0..6 {
            append(&mut producers, batch(0, index * 2, 2), i64::from(index) * 2);
        }
        for index in 1..6 {
            let duplicate = Verdict::Duplicate { base_offset: index * 2, timestamp_ms: 1_000 };
            assert_eq!(producers.check(&batch(0, index as i32 * 2, 2)), Ok(duplicate));
        }
        assert_eq!(producers.check(&batch(0, 0, 2)), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    #[test]
    fn sequences_wrap_around() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, i32::MAX - 1, 4), 0);
        assert_eq!(producers.facts()[0].last_sequence, 1);
        append(&mut producers, batch(0, 2, 1), 4);
    }

    #[test]
    fn a_marker_ends_the_transaction_and_fences_older_epochs() {
        let mut producers = Producers::default();
        let first = Sequenced { is_transactional: true, ..batch(3, 0, 2) };
        assert_eq!(producers.appended(&first, 40, 1_000, 2_000), Some(40));
        let second = Sequenced { is_transactional: true, ..batch(3, 2, 1) };
        assert_eq!(producers.appended(&second, 42, 1_000, 2_000), None);
        assert_eq!(producers.check(&batch(3, 3, 1)), Err(ErrorCode::INVALID_TXN_STATE));
        producers.expire(i64::MAX);
        assert_eq!(producers.check_marker(9, 2, 0), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.marked(9, 3, 1, 5, 6), Some(40));
        assert_eq!(producers.check_marker(9, 3, 0), Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
        assert_eq!(producers.marked(9, 3, 1, 5, 6), None);
        producers.expire(7);
        assert_eq!(producers.facts(), []);
    }
}
