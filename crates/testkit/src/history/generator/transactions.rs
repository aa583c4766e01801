//! Transactions of the generator: several at a time, each a few batches over the partitions of one
//! topic, among the batches of everybody else.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::ErrorCode;

use super::{Generator, Place};
use crate::history::account::Outcome;
use crate::history::batch::Stamp;
use crate::history::session::{HistoryError, Producer};

/// Transactions open at the same time.
const OPEN_MAX: usize = 3;

/// Long enough for a transaction that is to be ended, whatever restarts meanwhile.
const TIMEOUT_MS: i32 = 60_000;

/// For those that are left to time out.
const SHORT_TIMEOUT_MS: i32 = 1_000;

/// How a transaction will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Commit,
    Abort,
    /// Its producer goes away, and the coordinator aborts it.
    TimeOut,
}

/// One open transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Unique in the history; from 1.
    number: u64,
    topic: usize,
    producer: Producer,
    fate: Fate,
    batches_left: u64,
    added: BTreeSet<Place>,
    sequences: BTreeMap<Place, i32>,
}

impl Generator {
    pub(super) async fn begin_transaction(&mut self, topic: usize) -> Result<(), HistoryError> {
        if self.open.len() >= OPEN_MAX {
            return self.advance_transaction().await;
        }
        self.transactions_total += 1;
        let number = self.transactions_total;
        let fate = match self.random.below(10) {
            0..=5 => Fate::Commit,
            6..=8 => Fate::Abort,
            _ => Fate::TimeOut,
        };
        let timeout_ms = if fate == Fate::TimeOut { SHORT_TIMEOUT_MS } else { TIMEOUT_MS };
        // An id of its own each: a successor with the same id would abort it early.
        let id = format!("history-{:x}-{}-{number}", self.seed, self.topics[topic].plan.name);
        let producer = self.session.init_producer(Some(&id), timeout_ms).await?;
        self.open.push(Transaction {
            number,
            topic,
            producer,
            fate,
            batches_left: self.random.between(1, 5),
            added: BTreeSet::new(),
            sequences: BTreeMap::new(),
        });
        self.advance_transaction().await
    }

    /// Writes a batch of one of the open transactions, or ends it.
    pub(super) async fn advance_transaction(&mut self) -> Result<(), HistoryError> {
        let at = self.random.index(self.open.len());
        let mut transaction = self.open.swap_remove(at);
        if transaction.batches_left == 0 {
            return self.end(&transaction).await;
        }
        transaction.batches_left -= 1;
        match self.transactional_batch(&mut transaction).await {
            Ok(()) => {
                self.open.push(transaction);
                Ok(())
            }
            // A broker's restart took longer than the transaction may last.
            Err(HistoryError::Kafka { code, .. }) if is_timed_out(code) => {
                self.ended(&transaction, Outcome::Aborted);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn transactional_batch(
        &mut self,
        transaction: &mut Transaction,
    ) -> Result<(), HistoryError> {
        let topic = transaction.topic;
        let partition = self.random.index(self.topics[topic].partitions.len());
        let place = Place { topic, partition };
        if transaction.added.insert(place) {
            let name = self.topics[topic].plan.name.clone();
            let partition = partition as i32;
            self.session.add_to_transaction(&transaction.producer, &name, partition).await?;
        }
        let records = self.contents(place);
        let sequence = transaction.sequences.entry(place).or_default();
        let stamp = Stamp::transactional(&transaction.producer, *sequence);
        *sequence += records.len() as i32;
        let id = transaction.producer.transactional_id.clone().unwrap_or_default();
        self.write(place, records, &stamp, Some((&id, transaction.number))).await
    }

    async fn end(&mut self, transaction: &Transaction) -> Result<(), HistoryError> {
        let committed = match transaction.fate {
            Fate::Commit => true,
            Fate::Abort => false,
            Fate::TimeOut => {
                self.ended(transaction, Outcome::Aborted);
                return Ok(());
            }
        };
        if transaction.added.is_empty() {
            return Ok(());
        }
        let outcome = match self.session.end_transaction(&transaction.producer, committed).await {
            Ok(()) if committed => Outcome::Committed,
            Ok(()) => Outcome::Aborted,
            Err(HistoryError::Kafka { code, .. }) if is_timed_out(code) => Outcome::Aborted,
            Err(error) => return Err(error),
        };
        self.ended(transaction, outcome);
        Ok(())
    }

    fn ended(&mut self, transaction: &Transaction, outcome: Outcome) {
        for partition in &mut self.topics[transaction.topic].partitions {
            partition.account.end_transaction(transaction.number, outcome);
        }
    }
}

/// The coordinator aborted the transaction and moved on to the next producer epoch.
fn is_timed_out(code: ErrorCode) -> bool {
    code == ErrorCode::INVALID_PRODUCER_EPOCH
        || code == ErrorCode::PRODUCER_FENCED
        || code == ErrorCode::INVALID_TXN_STATE
}
