//! The status of one partition, written by its task and read by anyone.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::status::{PartitionState, PartitionStatus};

/// Weight of the newest batch in the average size of a record.
const RECORD_BYTES_WEIGHT: f64 = 0.1;

/// A shared status.
#[derive(Clone, Debug)]
pub(crate) struct StatusCell {
    status: Arc<Mutex<PartitionStatus>>,
    source_retention_ms: Option<i64>,
}

impl StatusCell {
    pub(crate) fn new(status: PartitionStatus, source_retention_ms: Option<i64>) -> Self {
        Self { status: Arc::new(Mutex::new(status)), source_retention_ms }
    }

    fn lock(&self) -> MutexGuard<'_, PartitionStatus> {
        self.status.lock().expect("no holder of this lock panics")
    }

    /// The status as of now.
    pub(crate) fn snapshot(&self, now_ms: i64) -> PartitionStatus {
        let mut status = self.lock().clone();
        status.retention_left_ms = match (status.oldest_unmirrored_ms, self.source_retention_ms) {
            (Some(oldest_ms), Some(retention_ms)) => Some(oldest_ms + retention_ms - now_ms),
            _ => None,
        };
        status
    }

    /// Changes the state; `since` stays if it is the same one. Says whether it changed.
    pub(crate) fn state(&self, now_ms: i64, state: PartitionState, why: &str) -> bool {
        let mut status = self.lock();
        let changed = status.state != state;
        if changed {
            status.state = state;
            status.since_ms = now_ms;
        }
        if status.why != why {
            why.clone_into(&mut status.why);
        }
        changed
    }

    /// Records mirrored by this instance.
    pub(crate) fn records_total(&self) -> u64 {
        self.lock().records_total
    }

    /// Source offset of the next record to mirror.
    pub(crate) fn source_offset(&self) -> i64 {
        self.lock().source_offset
    }

    /// The source's log start when it last answered.
    pub(crate) fn source_start_offset(&self) -> i64 {
        self.lock().source_start_offset
    }

    /// Offset of the mirror behind what was acknowledged.
    pub(crate) fn target_offset(&self) -> i64 {
        self.lock().target_offset
    }

    /// A batch was acknowledged.
    pub(crate) fn landed(
        &self,
        records: i64,
        bytes: usize,
        position: impl FnOnce(&mut PartitionStatus),
    ) {
        let mut status = self.lock();
        let record_bytes = bytes as f64 / records.max(1) as f64;
        status.record_bytes_average = if status.batches_total == 0 {
            record_bytes
        } else {
            status.record_bytes_average
                + RECORD_BYTES_WEIGHT * (record_bytes - status.record_bytes_average)
        };
        status.records_total += records.unsigned_abs();
        status.bytes_total += bytes as u64;
        status.batches_total += 1;
        position(&mut status);
    }

    /// The position was read from the target.
    pub(crate) fn recovered(&self, source_offset: i64, target_offset: i64) {
        let mut status = self.lock();
        status.source_offset = source_offset;
        status.target_offset = target_offset;
        status.recoveries_total += 1;
    }

    /// The source answered.
    pub(crate) fn source_seen(&self, now_ms: i64, start_offset: i64, end_offset: i64) {
        let mut status = self.lock();
        status.source_seen_ms = now_ms;
        status.source_start_offset = start_offset;
        status.source_end_offset = end_offset;
    }

    /// Timestamp of the oldest record that is not yet mirrored, if one is known.
    pub(crate) fn oldest_unmirrored(&self, timestamp_ms: Option<i64>) {
        self.lock().oldest_unmirrored_ms = timestamp_ms;
    }

    /// Nothing is left to mirror, and nothing is under way.
    pub(crate) fn all_mirrored(&self, now_ms: i64, source_offset: i64) {
        {
            let mut status = self.lock();
            status.source_offset = source_offset;
            status.oldest_unmirrored_ms = None;
        }
        self.state(now_ms, PartitionState::CaughtUp, "");
    }

    /// Records of aborted transactions were left out.
    pub(crate) fn aborted(&self, records: i32) {
        self.lock().records_aborted_total += u64::from(records.unsigned_abs());
    }

    /// Retention deleted source records before they were mirrored.
    pub(crate) fn lost(&self, records: i64) {
        self.lock().records_lost_total += records.unsigned_abs();
    }
}
