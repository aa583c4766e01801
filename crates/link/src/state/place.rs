//! Where a link's state lies: one partition of the state topic, read from start to end.

use farlog_client::Cluster;
use farlog_wire::primitives::Uuid;
use farlog_wire::records::{batches, records};

use super::journal::Journal;
use super::record::StateError;
use crate::limits::{DECOMPRESSED_BATCH_BYTES_MAX, FETCH_PARTITION_BYTES_MAX};
use crate::target::tail::{AskError, EARLIEST, LATEST, Led, LogView};
use crate::topology::{LeaderError, Leaders};

/// One partition of the state topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatePlace {
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// The state could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateReadError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Record(#[from] StateError),
    #[error("state topic {topic} has no leader that can be asked: {why}")]
    NoLeader { topic: String, why: String },
    #[error("state topic {topic}: {why}")]
    Damaged { topic: String, why: String },
}

impl StateReadError {
    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Ask(_) | Self::NoLeader { .. })
    }
}

impl StatePlace {
    /// The place of a link's state in a topic with `partitions` partitions.
    pub(crate) fn of(link: &str, topic: String, topic_id: Uuid, partitions: i32) -> Self {
        let hash = link
            .bytes()
            .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
        let partition = (hash % partitions.max(1).unsigned_abs()).cast_signed();
        Self { topic, topic_id, partition }
    }

    /// Reads everything that was written for `link` so far.
    pub(crate) async fn read(
        &self,
        cluster: &Cluster,
        leaders: &Leaders,
        link: &str,
        entries_max: usize,
    ) -> Result<Journal, StateReadError> {
        let leader = leaders
            .leader(cluster, &self.topic, self.topic_id, self.partition)
            .await
            .map_err(|error| self.no_leader(&error))?;
        let led = Led {
            cluster,
            leader: leader.broker,
            topic: &self.topic,
            topic_id: self.topic_id,
            partition: self.partition,
        };
        let end = led.offset(LATEST, LogView::Uncommitted).await?;
        let mut offset = led.offset(EARLIEST, LogView::Uncommitted).await?;
        let mut journal = Journal::new(entries_max);
        while offset < end {
            offset = self.read_from(&led, offset, link, &mut journal).await?;
        }
        Ok(journal)
    }

    /// Reads one fetch; the offset behind it.
    async fn read_from(
        &self,
        led: &Led<'_>,
        offset: i64,
        link: &str,
        journal: &mut Journal,
    ) -> Result<i64, StateReadError> {
        let damaged = |why: String| StateReadError::Damaged { topic: self.topic.clone(), why };
        let fetched = led.fetch(offset, FETCH_PARTITION_BYTES_MAX).await?;
        let mut next = offset;
        for batch in batches(fetched) {
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            batch.verify_crc().map_err(|error| damaged(error.to_string()))?;
            next = next.max(batch.header.next_offset());
            if batch.header.attributes.is_control() {
                continue;
            }
            let plain = batch
                .decompressed(DECOMPRESSED_BATCH_BYTES_MAX)
                .map_err(|error| damaged(error.to_string()))?;
            for record in records(&plain).map_err(|error| damaged(error.to_string()))? {
                journal.apply(link, record.key.unwrap_or_default(), record.value)?;
            }
        }
        if next == offset {
            // Compaction removed everything up to the end that was read before.
            return Ok(i64::MAX);
        }
        Ok(next)
    }

    fn no_leader(&self, error: &LeaderError) -> StateReadError {
        StateReadError::NoLeader { topic: self.topic.clone(), why: format!("{error:?}") }
    }
}
