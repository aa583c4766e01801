//! What control batches say, and the ones that end transactions.
//!
//! Source: KIP-98, "Control Records"; KIP-595 and later add types that concern no transaction.

use bytes::Bytes;

use super::error::{BatchError, RecordFault};
use super::header::Attributes;
use super::outgoing::{Contents, OutgoingBatch, ProducerStamp};
use super::raw::RawBatch;
use super::record::push_record;

/// Versions of a control record's key and of a marker's value.
const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;

/// What a transaction coordinator has every partition of a transaction write at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The producer's epoch when it ended.
    pub producer_epoch: i16,
    /// Committed, or aborted.
    pub committed: bool,
    /// Epoch of the coordinator: a partition refuses markers of earlier ones.
    pub coordinator_epoch: i32,
    /// When it is written, in milliseconds since the epoch.
    pub timestamp: i64,
}

impl EndMarker {
    /// The control batch: one record, transactional, without a sequence.
    pub fn to_batch(self) -> OutgoingBatch {
        let mut key = [0; 4];
        key[..2].copy_from_slice(&KEY_VERSION.to_be_bytes());
        key[2..].copy_from_slice(&i16::from(self.committed).to_be_bytes());
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VALUE_VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut payload = Vec::new();
        push_record(&mut payload, 0, 0, Some(&key), Some(&value), &[]);
        let contents = Contents {
            attributes: Attributes::default().with_transactional(true).with_control(true),
            base_timestamp: self.timestamp,
            max_timestamp: self.timestamp,
            record_count: 1,
        };
        let stamp = ProducerStamp {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: -1,
        };
        let payload_crc = crc32c::crc32c(&payload);
        OutgoingBatch::new(contents, Bytes::from(payload), payload_crc, stamp)
            .expect("one record of a few bytes fits a batch, and has no sequence to overflow")
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::batches;
    use super::*;

    /// As Kafka 4.3.1 writes them (`MemoryRecords.withEndTransactionMarker`): producer 4001, epoch
    /// 7, coordinator epoch 3.
    const ABORT: &str = "000000000000000000000042ffffffff02d158c4760030000000000000018bcfe5687b0000\
        018bcfe5687b0000000000000fa10007ffffffff000000012000000008000000000c00000000000300";
    const COMMIT: &str = "000000000000000000000042ffffffff022566123e0030000000000000018bcfe5687b000\
        0018bcfe5687b0000000000000fa10007ffffffff000000012000000008000000010c00000000000300";

    #[test]
    fn markers_are_kafkas_to_the_byte() {
        for (committed, golden) in [(false, ABORT), (true, COMMIT)] {
            let marker = EndMarker {
                producer_id: 4_001,
                producer_epoch: 7,
                committed,
                coordinator_epoch: 3,
                timestamp: 1_700_000_000_123,
            };
            let bytes = marker.to_batch().to_bytes();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, golden);
            let batch = batches(bytes).next().expect("a batch").expect("a whole one");
            batch.verify_crc().expect("its checksum fits");
            let read = control_record(&batch).expect("a marker").expect("that is there");
            let said = if committed { ControlType::Commit } else { ControlType::Abort };
            assert_eq!((read.control_type, read.coordinator_epoch), (said, Some(3)));
        }
    }
}
