//! What control batches say.
//!
//! Source: KIP-98, "Control Records"; KIP-595 and later add types that concern no transaction.

use super::error::{BatchError, RecordFault};
use super::raw::RawBatch;

/// The kind of a control record: the second 16 bits of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The transaction is aborted.
    Abort,
    /// The transaction is committed.
    Commit,
    /// Leader changes, snapshots and what may come: nothing about transactions.
    Other(i16),
}

/// A transaction marker, or another record that a broker writes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its offset.
    pub offset: i64,
    /// When it was written, in milliseconds since the epoch.
    pub timestamp: i64,
    /// What it says.
    pub control_type: ControlType,
    /// Epoch of the transaction coordinator that wrote it; markers have one.
    pub coordinator_epoch: Option<i32>,
}

/// The record of a control batch; `None` if compaction took it out.
///
/// # Errors
/// If the batch is not a control batch, or its record is not what KIP-98 says.
pub fn control_record(batch: &RawBatch) -> Result<Option<ControlRecord>, BatchError> {
    let fault = |what| BatchError::Record { offset: batch.header.base_offset, index: 0, what };
    if !batch.header.attributes.is_control() {
        return Err(fault(RecordFault::Control));
    }
    // Brokers write one record to a batch of markers, and never compress it.
    let Some(record) = batch.records()?.next().transpose()? else { return Ok(None) };
    let key = record.key.and_then(|key| key.first_chunk::<4>());
    let key = key.ok_or_else(|| fault(RecordFault::Control))?;
    let control_type = match i16::from_be_bytes([key[2], key[3]]) {
        0 => ControlType::Abort,
        1 => ControlType::Commit,
        other => ControlType::Other(other),
    };
    let coordinator_epoch = match control_type {
        ControlType::Other(_) => None,
        ControlType::Abort | ControlType::Commit => {
            let value = record.value.and_then(|value| value.first_chunk::<6>());
            let value = value.ok_or_else(|| fault(RecordFault::Control))?;
            Some(i32::from_be_bytes([value[2], value[3], value[4], value[5]]))
        }
    };
    let (offset, timestamp) = (record.offset, record.timestamp);
    Ok(Some(ControlRecord { offset, timestamp, control_type, coordinator_epoch }))
}

/// The type of a control batch; [`ControlType::Other`]`(-1)` if compaction took its record out.
///
/// # Errors
/// As [`control_record`].
pub fn control_type(batch: &RawBatch) -> Result<ControlType, BatchError> {
    let record = control_record(batch)?;
    Ok(record.map_or(ControlType::Other(-1), |record| record.control_type))
}
