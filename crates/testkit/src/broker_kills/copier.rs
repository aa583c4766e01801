//! Consume, transform, produce: each transaction copies some records of `numbers`, says so in
//! `marks`, and commits the offset behind them.

use std::collections::BTreeSet;

use farlog_client::TopicPartition;
use farlog_wire::ErrorCode;
use farlog_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use farlog_wire::records::{BatchWriter, ProducerStamp, batches, records};
use tokio::sync::watch;

use super::client::Client;
use crate::history::HistoryError;
use crate::history::random::Random;

/// Most records of one transaction.
const RECORDS_MAX: u64 = 12;

/// What of transactions is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Partitions and groups are added first, and a producer keeps its epoch.
    Before,
    /// KIP-890: what is written adds itself, and every end raises the epoch.
    Since,
}

/// What a copier was told of its transactions, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions {
    pub(super) committed: BTreeSet<u64>,
    pub(super) aborted: BTreeSet<u64>,
    /// Left open, for the next producer of the same transactional id to abort.
    pub(super) abandoned: usize,
}

/// The group whose offsets a copier commits.
pub(super) fn group(partition: i32) -> String {
    format!("copier-{partition}")
}

#[derive(Debug)]
pub(super) struct Copier {
    client: Client,
    partition: i32,
    protocol: Protocol,
    random: Random,
    name: String,
    producer_id: i64,
    epoch: i16,
    /// The next of `copies` and of `marks`.
    sequences: [i32; 2],
    told: Transactions,
}

impl Copier {
    pub(super) fn new(
        client: Client,
        partition: i32,
        protocol: Protocol,
        random: Random,
    ) -> Copier {
        Copier {
            client,
            partition,
            protocol,
            random,
            name: group(partition),
            producer_id: -1,
            epoch: -1,
            sequences: [0; 2],
            told: Transactions::default(),
        }
    }

    /// Copies until told to stop.
    pub(super) async fn run(
        mut self,
        stop: watch::Receiver<bool>,
    ) -> Result<Transactions, HistoryError> {
        self.begin_anew().await?;
        let mut at = self.position().await?;
        for transaction in 0.. {
            if *stop.borrow() {
                break;
            }
            let numbers = self.read(at).await?;
            if numbers.is_empty() {
                continue;
            }
            self.write(transaction, &numbers).await?;
            let end = at + i64::try_from(numbers.len()).expect("a few records");
            if self.random.chance(1, 10) {
                // An application that dies here is started again and knows nothing.
                self.told.abandoned += 1;
                self.told.aborted.insert(transaction);
                self.begin_anew().await?;
            } else {
                self.commit_offset(end).await?;
                let commits = self.random.chance(3, 4);
                self.end(commits).await?;
                let told = if commits { &mut self.told.committed } else { &mut self.told.aborted };
                told.insert(transaction);
            }
            at = self.position().await?;
        }
        // What was left open must not hold up those who read.
        self.begin_anew().await?;
        Ok(self.told)
    }

    async fn begin_anew(&mut self) -> Result<(), HistoryError> {
        (self.producer_id, self.epoch) = self.client.init_producer(Some(&self.name)).await?;
        self.sequences = [0; 2];
        Ok(())
    }

    async fn position(&self) -> Result<i64, HistoryError> {
        let committed = self.client.committed(&self.name, "numbers", self.partition).await?;
        Ok(committed.max(0))
    }

    /// Some of the numbers from an offset on.
    async fn read(&mut self, offset: i64) -> Result<Vec<u64>, HistoryError> {
        let place = TopicPartition::new("numbers", self.partition);
        let fetched = self.client.fetch(&place, offset).await?;
        let wanted = self.random.between(1, RECORDS_MAX);
        let mut numbers = Vec::new();
        for batch in batches(fetched) {
            // The last one may be cut off.
            let Ok(batch) = batch else { break };
            let Ok(found) = records(&batch) else { break };
            for record in found {
                let problem = |problem: String| HistoryError::Log {
                    topic: place.topic.to_string(),
                    partition: place.partition,
                    offset,
                    problem,
                };
                if record.offset < offset || (numbers.len() as u64) >= wanted {
                    continue;
                }
                let value: Option<[u8; 8]> =
                    record.value.and_then(|value| value.as_ref().try_into().ok());
                let value = value.ok_or_else(|| problem("a value of another size".to_owned()))?;
                numbers.push(u64::from_be_bytes(value));
            }
        }
        Ok(numbers)
    }

    async fn write(&mut self, transaction: u64, numbers: &[u64]) -> Result<(), HistoryError> {
        if self.protocol == Protocol::Before {
            self.add_partitions().await?;
        }
        let copies: Vec<Vec<u8>> =
            numbers.iter().map(|number| concatenated(&[transaction, *number])).collect();
        self.produce(0, "copies", &copies).await?;
        let mark = concatenated(&[transaction, numbers[0], numbers.len() as u64]);
        self.produce(1, "marks", &[mark]).await
    }

    async fn produce(
        &mut self,
        which: usize,
        topic: &str,
        values: &[Vec<u8>],
    ) -> Result<(), HistoryError> {
        let mut writer = BatchWriter::new().transactional();
        for value in values {
            writer.push(1_000, None, Some(value), &[]);
        }
        let stamp = ProducerStamp {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: self.sequences[which],
        };
        let batch = writer.finish(stamp).expect("a few small records");
        let data = PartitionProduceData { index: self.partition, records: Some(batch.to_bytes()) };
        let request = ProduceRequest {
            transactional_id: Some(self.name.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: vec![data],
                ..TopicProduceData::default()
            }],
        };
        let version = if self.protocol == Protocol::Before { 11 } else { 12 };
        let what = format!("{}: producing to {topic}", self.name);
        let produced = self.client.ask(&what, &request, version, |answer| {
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
            first_error(partitions.map(|partition| partition.error_code))
        });
        produced.await?;
        self.sequences[which] += i32::try_from(values.len()).expect("a few records");
        Ok(())
    }

    async fn add_partitions(&self) -> Result<(), HistoryError> {
        let topic = |name: &str| AddPartitionsToTxnTopic {
            name: name.to_owned(),
            partitions: vec![self.partition],
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.name.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic("copies"), topic("marks")],
            ..AddPartitionsToTxnRequest::default()
        };
        let what = format!("{}: adding partitions", self.name);
        let added = self.client.ask(&what, &request, 3, |answer| {
            let topics = &answer.results_by_topic_v3_and_below;
            let partitions = topics.iter().flat_map(|topic| &topic.results_by_partition);
            first_error(partitions.map(|partition| partition.partition_error_code))
        });
        added.await.map(drop)
    }

    async fn commit_offset(&self, offset: i64) -> Result<(), HistoryError> {
        let what = format!("{}: committing offset {offset}", self.name);
        if self.protocol == Protocol::Before {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.name.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.epoch,
                group_id: self.name.clone(),
            };
            self.client.ask(&what, &request, 3, |answer| answer.error_code).await?;
        }
        let partition = TxnOffsetCommitRequestPartition {
            partition_index: self.partition,
            committed_offset: offset,
            ..TxnOffsetCommitRequestPartition::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.name.clone(),
            group_id: self.name.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "numbers".to_owned(),
                partitions: vec![partition],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let version = if self.protocol == Protocol::Before { 3 } else { 5 };
        let committed = self.client.ask(&what, &request, version, |answer| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            first_error(partitions.map(|partition| partition.error_code))
        });
        committed.await.map(drop)
    }

    async fn end(&mut self, committed: bool) -> Result<(), HistoryError> {
        let request = EndTxnRequest {
            transactional_id: self.name.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        let version = if self.protocol == Protocol::Before { 4 } else { 5 };
        let what = format!("{}: ending a transaction", self.name);
        let ended = self.client.ask(&what, &request, version, |answer| answer.error_code).await?;
        if self.protocol == Protocol::Since {
            (self.producer_id, self.epoch) = (ended.producer_id, ended.producer_epoch);
            self.sequences = [0; 2];
        }
        Ok(())
    }
}

fn concatenated(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn first_error(mut codes: impl Iterator<Item = ErrorCode>) -> ErrorCode {
    codes.find(|code| *code != ErrorCode::NONE).unwrap_or(ErrorCode::NONE)
}
