//! A seeded writer that does to a source cluster what producers, cleaners and operators do: plain,
//! idempotent and transactional batches in every codec, transactions that commit, abort or are
//! left to time out, compacted and `LogAppendTime` topics, topics that grow, are trimmed, or lose
//! their tail. It is the only writer of its topics and keeps an exact account of them.
//!
//! What it does next depends on the seed and on the number of steps taken, never on the clock; the
//! caller decides how fast it steps.

mod contents;
mod transactions;

use bytes::Bytes;
use farlog_wire::ErrorCode;

use super::account::{Outcome, PartitionAccount};
use super::batch::{self, Codec, Stamp};
use super::random::Random;
use super::reader;
use super::record::{Identity, LogRecord};
use super::session::{Acknowledged, HistoryError, ProduceFailure, Producer, Session};
use contents::{Contents, ContentsOptions};
use transactions::Transaction;

/// Times that a batch is offered before a history gives up on its own source.
const ATTEMPTS_MAX: u32 = 100;

/// Partitions that a growing topic gains at most.
const GROWTH_MAX: i32 = 3;

/// What happens to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKind {
    /// Batches of plain and idempotent producers.
    Plain,
    /// The same, among transactions over several partitions.
    Transactional,
    /// Few keys, tombstones, small segments and an eager cleaner.
    Compacted,
    /// The broker sets the time.
    AppendTime,
    /// Its old records are deleted from time to time, see [`Generator::trim`].
    Trimmed,
    /// Its log loses its tail, see [`Generator::truncated`]. Plain producers only.
    Truncated,
    /// It gains partitions.
    Growing,
}

/// A topic to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Name.
    pub name: String,
    /// What happens to it.
    pub kind: TopicKind,
    /// Partitions at the start.
    pub partitions: i32,
    /// How much older than the history its records are. Two days make it *unarmed*: a target
    /// forgets the producer id of its mirror.
    pub age_ms: i64,
}

/// What to write.
#[derive(Clone, Debug)]
pub struct GeneratorOptions {
    /// Decides everything.
    pub seed: u64,
    /// Where.
    pub topics: Vec<TopicPlan>,
    /// Timestamp of the first records, in milliseconds since the epoch; later ones follow at a
    /// millisecond each, with jitter, and all of them by the age of their topic.
    pub base_timestamp_ms: i64,
}

/// The writer.
#[derive(Debug)]
pub struct Generator {
    session: Session,
    random: Random,
    topics: Vec<Topic>,
    open: Vec<Transaction>,
    transactions_total: u64,
    base_timestamp_ms: i64,
    seed: u64,
    producer: Producer,
    /// Records acknowledged.
    pub records_total: u64,
}

#[derive(Debug)]
struct Topic {
    plan: TopicPlan,
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    account: PartitionAccount,
    ordinal_next: u64,
    /// Everything below is accounted for.
    end_offset: i64,
    /// Of the idempotent producer.
    sequence_next: i32,
}

/// Which partition: indexes into the topics and their partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    topic: usize,
    partition: usize,
}

// === impl TopicKind ===

impl TopicKind {
    /// Configs of the source topic.
    pub fn configs(self) -> Vec<(&'static str, &'static str)> {
        // Two-day-old records must not be what the source's retention is about.
        let mut configs = vec![("retention.ms", "-1")];
        match self {
            TopicKind::Compacted => configs.extend([
                ("cleanup.policy", "compact"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("segment.ms", "1000"),
                ("segment.bytes", "1048576"),
            ]),
            TopicKind::AppendTime => configs.push(("message.timestamp.type", "LogAppendTime")),
            _ => {}
        }
        configs
    }
}

// === impl Generator ===

impl Generator {
    /// Creates the topics.
    ///
    /// # Errors
    /// When the cluster refuses one.
    pub async fn create(
        session: Session,
        options: GeneratorOptions,
    ) -> Result<Generator, HistoryError> {
        for plan in &options.topics {
            session.create_topic(&plan.name, plan.partitions, &plan.kind.configs()).await?;
        }
        let producer = session.init_producer(None, 0).await?;
        let topics = options.topics.into_iter().map(|plan| Topic {
            partitions: (0..plan.partitions).map(|_| Partition::default()).collect(),
            plan,
        });
        Ok(Generator {
            session,
            random: Random::named(options.seed, "generator"),
            topics: topics.collect(),
            open: Vec::new(),
            transactions_total: 0,
            base_timestamp_ms: options.base_timestamp_ms,
            seed: options.seed,
            producer,
            records_total: 0,
        })
    }

    /// Does one thing.
    ///
    /// # Errors
    /// When the source cluster stays away or refuses what a broker must accept.
    pub async fn step(&mut self) -> Result<(), HistoryError> {
        if !self.open.is_empty() && self.random.chance(1, 3) {
            return self.advance_transaction().await;
        }
        let topic = self.random.index(self.topics.len());
        let partition = self.random.index(self.topics[topic].partitions.len());
        let place = Place { topic, partition };
        match self.topics[topic].plan.kind {
            TopicKind::Transactional if self.random.chance(1, 3) => {
                self.begin_transaction(topic).await
            }
            TopicKind::Growing if self.random.chance(1, 40) => self.grow(topic).await,
            TopicKind::Truncated => self.plain_batch(place).await,
            _ if self.random.chance(1, 3) => self.idempotent_batch(place).await,
            _ => self.plain_batch(place).await,
        }
    }

    /// Ends what is open, waits for what was left to time out, and returns when every record that
    /// was sent is committed or aborted for readers as well.
    ///
    /// # Errors
    /// When the source cluster stays away.
    pub async fn settle(&mut self) -> Result<(), HistoryError> {
        while !self.open.is_empty() {
            self.advance_transaction().await?;
        }
        for topic in &self.topics {
            for partition in 0..topic.partitions.len() {
                let (name, partition) = (&topic.plan.name, partition as i32);
                let what = || format!("the last transaction of {name}-{partition} ending");
                super::session::wait_until(what, || async {
                    let end = self.session.log_end(name, partition).await?;
                    let data = self.session.fetch(name, partition, end, true).await?;
                    Ok(data.last_stable_offset == data.high_watermark)
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Where it writes.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The topics that are written to.
    pub fn topics(&self) -> impl Iterator<Item = &TopicPlan> {
        self.topics.iter().map(|topic| &topic.plan)
    }

    /// The account of each partition.
    pub fn accounts(&self) -> impl Iterator<Item = (&TopicPlan, i32, &PartitionAccount)> {
        self.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter().enumerate();
            partitions.map(|(at, one)| (&topic.plan, at as i32, &one.account))
        })
    }

    /// The account of one partition.
    pub fn account(&self, topic: &str, partition: i32) -> Option<&PartitionAccount> {
        let found = self.accounts().find(|(plan, at, _)| plan.name == topic && *at == partition);
        found.map(|(_, _, account)| account)
    }

    /// Deletes the records of a partition before a source offset.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn trim(
        &mut self,
        topic: &str,
        partition: i32,
        before_offset: i64,
    ) -> Result<(), HistoryError> {
        self.session.delete_records(topic, partition, before_offset).await
    }

    /// Takes note that a partition's log now ends at `end_offset`.
    pub fn truncated(&mut self, topic: &str, partition: i32, end_offset: i64) {
        let topic = self.topics.iter_mut().find(|one| one.plan.name == topic);
        let place = usize::try_from(partition).ok();
        if let Some(one) = topic.zip(place).and_then(|(topic, at)| topic.partitions.get_mut(at)) {
            one.account.truncate(end_offset);
            one.end_offset = end_offset;
        }
    }

    async fn plain_batch(&mut self, place: Place) -> Result<(), HistoryError> {
        let records = self.contents(place);
        self.write(place, records, &Stamp::plain(), None).await
    }

    async fn idempotent_batch(&mut self, place: Place) -> Result<(), HistoryError> {
        let records = self.contents(place);
        let one = self.partition(place);
        let base_sequence = one.sequence_next;
        one.sequence_next += records.len() as i32;
        let stamp = Stamp::idempotent(&self.producer, base_sequence);
        self.write(place, records, &stamp, None).await
    }

    async fn grow(&mut self, topic: usize) -> Result<(), HistoryError> {
        let topic = &mut self.topics[topic];
        let count = topic.partitions.len() as i32 + 1;
        if count > topic.plan.partitions + GROWTH_MAX {
            return Ok(());
        }
        self.session.create_partitions(&topic.plan.name, count).await?;
        topic.partitions.push(Partition::default());
        Ok(())
    }

    /// Records for a partition, with ids, not yet with offsets.
    fn contents(&mut self, place: Place) -> Vec<LogRecord> {
        let topic = &mut self.topics[place.topic];
        let one = &mut topic.partitions[place.partition];
        let options = ContentsOptions {
            topic: &topic.plan.name,
            partition: place.partition as i32,
            compacted: topic.plan.kind == TopicKind::Compacted,
            append_time: topic.plan.kind == TopicKind::AppendTime,
            base_timestamp_ms: self.base_timestamp_ms - topic.plan.age_ms,
        };
        Contents::new(options, &mut self.random).batch(&mut one.ordinal_next)
    }

    fn partition(&mut self, place: Place) -> &mut Partition {
        &mut self.topics[place.topic].partitions[place.partition]
    }

    /// Writes a batch and enters it into the account, whatever it takes.
    async fn write(
        &mut self,
        place: Place,
        mut records: Vec<LogRecord>,
        stamp: &Stamp,
        transaction: Option<(&str, u64)>,
    ) -> Result<(), HistoryError> {
        let codec = *self.random.pick(&Codec::WEIGHTED);
        let bytes = batch::encode(&records, codec, stamp)?;
        let topic = self.topics[place.topic].plan.name.clone();
        let partition = place.partition as i32;
        let transactional_id = transaction.map(|(id, _)| id);
        for _ in 0..ATTEMPTS_MAX {
            let sent =
                self.session.produce(&topic, partition, bytes.clone(), transactional_id).await;
            match sent {
                Ok(acknowledged) => {
                    place_records(&mut records, acknowledged);
                    self.enter(place, &records, transaction);
                    return Ok(());
                }
                Err(ProduceFailure::InDoubt(_)) => {
                    if let Some(found) = self.look_for(place, &records).await? {
                        self.enter(place, &found, transaction);
                        return Ok(());
                    }
                }
                Err(ProduceFailure::Refused(code)) if code.is_retriable() => {
                    self.session.pause().await;
                }
                Err(ProduceFailure::Refused(code)) => {
                    return Err(refused(&topic, partition, code));
                }
            }
        }
        Err(HistoryError::Fixture {
            what: format!("writing to {topic}-{partition}"),
            problem: format!("in vain {ATTEMPTS_MAX} times"),
        })
    }

    fn enter(&mut self, place: Place, records: &[LogRecord], transaction: Option<(&str, u64)>) {
        self.records_total += records.len() as u64;
        let one = self.partition(place);
        match transaction {
            None => one.account.acknowledge(records, Outcome::Committed, 0),
            Some((_, number)) => one.account.acknowledge(records, Outcome::Open, number),
        }
        if let Some(last) = records.last() {
            one.end_offset = one.end_offset.max(last.offset + 1);
        }
    }

    /// Looks behind the known end of the log whether a batch in doubt is there.
    async fn look_for(
        &mut self,
        place: Place,
        records: &[LogRecord],
    ) -> Result<Option<Vec<LogRecord>>, HistoryError> {
        let topic = self.topics[place.topic].plan.name.clone();
        let from = self.partition(place).end_offset;
        let tail = reader::read_tail(&self.session, &topic, place.partition as i32, from).await?;
        let wanted: Vec<Identity> = records.iter().map(LogRecord::identity).collect();
        let first = tail.iter().position(|record| Some(&record.identity()) == wanted.first());
        Ok(first.map(|first| tail[first..first + wanted.len()].to_vec()))
    }
}

/// Gives records the offsets (and the time) that the broker gave them.
fn place_records(records: &mut [LogRecord], acknowledged: Acknowledged) {
    for (offset, record) in (acknowledged.base_offset..).zip(records) {
        record.offset = offset;
        if let Some(append_time_ms) = acknowledged.append_time_ms {
            record.timestamp_ms = append_time_ms;
        }
    }
}

fn refused(topic: &str, partition: i32, code: ErrorCode) -> HistoryError {
    HistoryError::Kafka { what: format!("producing to {topic}-{partition}"), code }
}

/// Bytes shared by all records with this content.
fn bytes(content: Vec<u8>) -> Option<Bytes> {
    Some(Bytes::from(content))
}
