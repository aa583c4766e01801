//! The live load: customers at work.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farlog_client::{Cluster, TopicPartition};
use farlog_wire::records::{BatchWriter, OutgoingBatch, ProducerStamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::tally::Tally;
use super::{DemoError, shop};

/// Batches a second, each to the next partition.
const BATCHES_PER_SECOND: u64 = 50;

const CUSTOMERS: [&str; 6] = ["ada", "grace", "edsger", "barbara", "leslie", "radia"];

/// What a record says.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Event {
    /// Its place in its partition, from 0: tells a lost record and a second copy.
    pub(super) number: u64,
    customer: String,
    cents: u64,
}

impl Event {
    /// No record may be missing, none may come twice, and none out of order.
    pub(super) fn belongs_at(
        &self,
        partition: &TopicPartition,
        number: u64,
    ) -> Result<(), DemoError> {
        if self.number == number {
            return Ok(());
        }
        let found = self.number;
        Err(DemoError::new(format!("{partition}: record {found} where {number} belongs")))
    }
}

/// Produces to every topic of the shop.
#[derive(Debug)]
pub(super) struct Load {
    cluster: Cluster,
    records_per_second: u64,
    tally: Tally,
}

/// One partition, and how many records it has got.
struct Lane {
    partition: TopicPartition,
    records: u64,
}

impl Load {
    pub(super) fn new(cluster: Cluster, records_per_second: u64, tally: Tally) -> Load {
        Load { cluster, records_per_second, tally }
    }

    /// Produces until told to end.
    pub(super) async fn run(self, mut closed: watch::Receiver<bool>) -> Result<(), DemoError> {
        let lane =
            |(topic, index)| Lane { partition: TopicPartition::new(topic, index), records: 0 };
        let mut lanes: Vec<Lane> = shop::partitions().map(lane).collect();
        let mut ticks = interval(Duration::from_millis(1_000 / BATCHES_PER_SECOND));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = 0;
        for tick in 1.. {
            tokio::select! {
                _ = ticks.tick() => {}
                // An error means that nobody is left to tell us: the same.
                _ = closed.wait_for(|closed| *closed) => break,
            }
            let due = self.records_per_second * tick / BATCHES_PER_SECOND;
            let index = tick as usize % lanes.len();
            self.send(&mut lanes[index], due - sent).await?;
            sent = due;
        }
        Ok(())
    }

    async fn send(&self, lane: &mut Lane, records: u64) -> Result<(), DemoError> {
        if records == 0 {
            return Ok(());
        }
        let batch = batch(lane.records, records)?;
        self.cluster
            .produce_batch(&lane.partition, &batch)
            .await
            .map_err(DemoError::doing("cannot produce the load"))?;
        lane.records += records;
        self.tally.produced(records);
        Ok(())
    }
}

fn batch(first: u64, records: u64) -> Result<OutgoingBatch, DemoError> {
    let mut writer = BatchWriter::new();
    for number in first..first + records {
        // Nothing of a demo has to be random; it only has to look alive.
        let customer = CUSTOMERS[((number ^ number >> 3) % 6) as usize].to_owned();
        let key = customer.clone();
        let event = Event { number, customer, cents: 100 + number * 7_919 % 20_000 };
        let value = serde_json::to_vec(&event).map_err(DemoError::doing("writing JSON"))?;
        writer.push(now_ms(), Some(key.as_bytes()), Some(&value), &[]);
    }
    writer.finish(ProducerStamp::NONE).map_err(DemoError::doing("building a batch"))
}

/// Milliseconds since 1970, as records carry them.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
