//! How transactions end: markers, and what happens when nobody ends them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use farlog_wire::ErrorCode;
use farlog_wire::records::EndMarker;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;

use super::limits::UNUSED_MS_MAX;
use super::state::{Producer, Status, Transaction};
use super::{Entry, log};
use crate::broker::Shared;
use crate::groups::OFFSETS_TOPIC;
use crate::partition::{Appended, Partition};

/// The end of a transaction, as its partitions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer: Producer,
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
}

/// Who writes the markers of a prepared transaction; gives that up when dropped.
#[derive(Debug)]
pub(super) struct Ending {
    entry: Arc<Entry>,
}

/// A marker that has its place in a log, and may not be durable yet.
struct MarkerWritten {
    partition: Arc<Partition>,
    appended: Appended,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.entry.ending.store(false, Ordering::Release);
    }
}

impl Ending {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self { entry }
    }

    /// Writes the markers, then that they are written; answers as whom the producer goes on.
    pub(super) async fn complete(self, broker: &Shared) -> Result<Producer, ErrorCode> {
        let prepared = self.entry.lock().clone();
        let Some(prepared) = prepared.filter(|found| found.status.is_prepared()) else {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        };
        broker.catalog.room().await;
        write_markers(broker, &self.entry.id, &prepared).await?;
        let completed = prepared.completed(broker.clock.now_ms());
        let producer = completed.producer();
        // Nothing but this changes an id while it is prepared.
        let written = self.entry.change(&mut self.entry.lock(), broker, Some(completed))?;
        written.settle().await?;
        Ok(producer)
    }
}

/// Tells every partition of a transaction how it ended.
async fn write_markers(broker: &Shared, id: &str, prepared: &Transaction) -> Result<(), ErrorCode> {
    let marker = Marker {
        producer: prepared.producer(),
        commit: prepared.status == Status::PrepareCommit,
        coordinator_epoch: log::coordinator_epoch(&broker.catalog, id)?,
    };
    let written = prepared.topic_partitions().map(|(topic, index)| async move {
        let written = write_marker(broker, marker, topic, index).await;
        match written {
            Err(ErrorCode::KAFKA_STORAGE_ERROR) => Err(ErrorCode::NOT_COORDINATOR),
            Err(code) => {
                // The topic was deleted, or a later epoch wrote: the transaction is over there.
                tracing::warn!(id, topic, partition = index, %code, "no marker was written");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    });
    // The first poll of each appends; they wait for the disk together.
    join_all(written).await.into_iter().collect()
}

/// Writes one marker, and waits until it is durable.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_PRODUCER_EPOCH`, `TRANSACTION_COORDINATOR_FENCED`,
/// `KAFKA_STORAGE_ERROR`.
pub(crate) async fn write_marker(
    broker: &Shared,
    marker: Marker,
    topic: &str,
    index: i32,
) -> Result<(), ErrorCode> {
    let mut written = append_marker(broker, marker, topic, index)?;
    if topic == OFFSETS_TOPIC {
        broker.groups.resolve(marker.producer.id, index, marker.commit);
    }
    let settled = written.partition.settle(&mut written.appended).await;
    settled.map_err(|refusal| refusal.code)
}

fn append_marker(
    broker: &Shared,
    marker: Marker,
    topic: &str,
    index: i32,
) -> Result<MarkerWritten, ErrorCode> {
    let topic = broker.catalog.topic(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = Arc::clone(topic.partition(index)?);
    let Marker { producer, commit, coordinator_epoch } = marker;
    let now_ms = broker.clock.now_ms();
    let batch = EndMarker {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed: commit,
        coordinator_epoch,
        timestamp: now_ms,
    };
    let appended = partition
        .append_marker(batch.to_batch(), coordinator_epoch, commit, now_ms)
        .map_err(|refusal| refusal.code)?;
    Ok(MarkerWritten { partition, appended })
}

/// Looks after transactions until `stop` turns true: completes what was prepared before a stop,
/// aborts what is overdue, forgets ids that nobody uses.
pub(crate) async fn run(broker: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let interval_ms = broker.settings.transaction_abort_timed_out_interval_ms;
    let interval = Duration::from_millis(u64::try_from(interval_ms).unwrap_or(u64::MAX));
    loop {
        let sweep = async {
            sweep(&broker).await;
            sleep(interval).await;
        };
        tokio::select! {
            () = sweep => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
    }
}

async fn sweep(broker: &Shared) {
    let mut forgot = false;
    for entry in broker.transactions.entries() {
        match look_after(broker, &entry).await {
            Ok(forgotten) => forgot |= forgotten,
            // Its producer ended it meanwhile.
            Err(ErrorCode::CONCURRENT_TRANSACTIONS) => {}
            Err(code) => tracing::warn!(id = entry.id, %code, "a transaction could not be ended"),
        }
    }
    if forgot {
        broker.transactions.drop_forgotten();
    }
}

/// What time asks for.
enum Due {
    Nothing,
    Complete(Ending),
    Abort(log::Written, Ending),
    Forget(log::Written),
}

/// Does for one id what time asks for; whether the id says nothing now.
async fn look_after(broker: &Shared, entry: &Arc<Entry>) -> Result<bool, ErrorCode> {
    match due(broker, entry)? {
        Due::Nothing => return Ok(entry.lock().is_none()),
        Due::Complete(ending) => {
            ending.complete(broker).await?;
            tracing::info!(id = entry.id, "completed a transaction that had been prepared");
        }
        Due::Abort(written, ending) => {
            written.settle().await?;
            ending.complete(broker).await?;
            tracing::info!(id = entry.id, "aborted a transaction that was past its timeout");
        }
        Due::Forget(written) => {
            written.settle().await?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn due(broker: &Shared, entry: &Arc<Entry>) -> Result<Due, ErrorCode> {
    let now_ms = broker.clock.now_ms();
    let mut current = entry.lock();
    let Some(known) = current.as_ref() else { return Ok(Due::Nothing) };
    if known.status.is_prepared() {
        return Ok(Due::Complete(entry.begin_ending()?));
    }
    if known.is_overdue(now_ms) {
        let ending = entry.begin_ending()?;
        let fenced = known.fenced(now_ms);
        return Ok(Due::Abort(entry.change(&mut current, broker, Some(fenced))?, ending));
    }
    if known.is_unused_since(now_ms.saturating_sub(UNUSED_MS_MAX)) {
        return Ok(Due::Forget(entry.change(&mut current, broker, None)?));
    }
    Ok(Due::Nothing)
}
