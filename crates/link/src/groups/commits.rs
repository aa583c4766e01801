//! What groups commit, from the batches of `__consumer_offsets`.
//!
//! Offsets that are committed within a transaction count when its marker says so (KIP-98), and then
//! only over what was committed before them, wherever the marker lies. Pure.

use std::collections::HashMap;

use bytes::Bytes;
use farlog_wire::group_records::{OffsetKey, OffsetValue, RecordError};
use farlog_wire::records::{BatchError, ControlType, RawBatch, control_type, records};

use crate::limits::{DECOMPRESSED_BATCH_BYTES_MAX, UNDECIDED_COMMITS_MAX};

/// A group has committed an offset, or has none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: OffsetKey,
    /// `None` says that it was deleted or expired.
    pub(crate) value: Option<OffsetValue>,
    /// Where it was written: of two, the later one counts.
    pub(crate) at: i64,
}

/// Why a partition of `__consumer_offsets` cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitsError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("the record at offset {at}: {source}")]
    Record { at: i64, source: RecordError },
    #[error("{UNDECIDED_COMMITS_MAX} offsets of open transactions, which is the limit")]
    Undecided,
}

/// One partition of `__consumer_offsets`, read from its start.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// By the producer id of the transaction.
    undecided: HashMap<i64, Vec<Change>>,
    undecided_total: usize,
}

impl Commits {
    /// Takes in the next batch; what is committed by it.
    pub(crate) fn take(&mut self, batch: &RawBatch) -> Result<Vec<Change>, CommitsError> {
        batch.verify_crc()?;
        let header = &batch.header;
        if header.attributes.is_control() {
            return Ok(match control_type(batch)? {
                ControlType::Commit => self.decided(header.producer_id),
                ControlType::Abort => {
                    self.decided(header.producer_id);
                    Vec::new()
                }
                ControlType::Other(_) => Vec::new(),
            });
        }
        let changes = changes(batch)?;
        if !header.attributes.is_transactional() {
            return Ok(changes);
        }
        self.undecided_total += changes.len();
        if self.undecided_total > UNDECIDED_COMMITS_MAX {
            return Err(CommitsError::Undecided);
        }
        self.undecided.entry(header.producer_id).or_default().extend(changes);
        Ok(Vec::new())
    }

    fn decided(&mut self, producer_id: i64) -> Vec<Change> {
        let changes = self.undecided.remove(&producer_id).unwrap_or_default();
        self.undecided_total -= changes.len();
        changes
    }
}

/// The offsets in a batch; records about anything else are left out.
fn changes(batch: &RawBatch) -> Result<Vec<Change>, CommitsError> {
    let plain = batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX)?;
    let mut changes = Vec::new();
    for record in records(&plain)? {
        let at = record.offset;
        let damaged = |source| CommitsError::Record { at, source };
        let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
        let Some(key) = OffsetKey::from_bytes(key).map_err(damaged)? else { continue };
        let value = record.value.map(Bytes::copy_from_slice).map(OffsetValue::from_bytes);
        changes.push(Change { key, value: value.transpose().map_err(damaged)?, at });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests;
