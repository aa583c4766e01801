//! Consumers of the mirror, one for each partition, that check every record.

use std::time::Duration;

use farlog_client::{
    Cluster, ClusterOptions, FetchOptions, RequestError, ServerAddress, TopicPartition,
};
use farlog_wire::records::{Record, batches, records};
use tokio::task::JoinSet;

use super::load::{Event, now_ms};
use super::tally::{Sample, Tally};
use super::{DemoError, shop};

/// How often to look for a mirror topic that is not there yet.
const LOOK: Duration = Duration::from_millis(100);

/// Starts the consumers; what they see, and what they find wrong, goes into the tally.
pub(super) fn follow(bootstrap: &str, tally: &Tally) -> JoinSet<()> {
    let mut consumers = JoinSet::new();
    for (topic, index) in shop::partitions() {
        let partition = TopicPartition::new(topic, index);
        let (bootstrap, tally) = (bootstrap.to_owned(), tally.clone());
        consumers.spawn(async move {
            if let Err(failure) = consume(&bootstrap, &partition, &tally).await {
                tally.failed(&failure);
            }
        });
    }
    consumers
}

/// Each has a connection of its own: a broker answers one request of a connection at a time.
async fn consume(
    bootstrap: &str,
    partition: &TopicPartition,
    tally: &Tally,
) -> Result<(), DemoError> {
    let servers = ServerAddress::parse_list(bootstrap)
        .map_err(DemoError::doing("cannot read a broker's address"))?;
    let cluster = Cluster::connect(ClusterOptions::new(servers))
        .await
        .map_err(DemoError::doing("cannot connect to eu-west"))?;
    let (mut offset, mut number) = (0, 0);
    loop {
        let fetched = match cluster.fetch(partition, offset, &FetchOptions::default()).await {
            Ok(fetched) => fetched,
            Err(RequestError::UnknownPartition { .. } | RequestError::NoLeader { .. }) => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(DemoError::new(format!("cannot read the mirror: {error}"))),
        };
        for batch in batches(fetched.records) {
            let failed = || DemoError::doing(format!("cannot read {partition}"));
            let batch = batch.map_err(failed())?;
            for record in records(&batch).map_err(failed())? {
                if record.offset >= offset {
                    check(partition, &record, number)?;
                    tally.mirrored(sample(partition, &record));
                    number += 1;
                }
            }
            offset = offset.max(batch.header.next_offset());
        }
    }
}

fn check(partition: &TopicPartition, record: &Record<'_>, number: u64) -> Result<(), DemoError> {
    let event: Event = serde_json::from_slice(record.value.unwrap_or_default())
        .map_err(DemoError::doing(format!("{partition}@{}", record.offset)))?;
    event.belongs_at(partition, number)
}

fn sample(partition: &TopicPartition, record: &Record<'_>) -> Sample {
    Sample {
        place: format!("{partition}@{}", record.offset),
        age_ms: now_ms().saturating_sub(record.timestamp),
        value: String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(),
    }
}
