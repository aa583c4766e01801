//! Compaction: of every key the newest record stays, as Kafka's log cleaner has it.
//!
//! First the dirty part of the log is read, and the newest offset of every key remembered; then all
//! of the log before its end is read and written again without what is superseded. Offsets never
//! change. `sift` and `transactions` say what is left of each batch and are pure.

mod keys;
mod sift;
mod transactions;

use bytes::Bytes;
use farlog_store::{Batch, ReadError, Rewrite, RewriteError};
use farlog_wire::records::{BatchError, BatchHeader, RawBatch, batches};

use self::keys::KeyOffsets;
use self::sift::{Left, Sieve, SiftError};
use self::transactions::CleanedTransactions;
use super::Partition;
use super::frames::frames;
use super::segments::{Cleanable, CompactionRules};
use crate::limits::SCAN_BYTES;

/// What a round of compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// All before it has been compacted.
    pub(crate) end_offset: i64,
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

/// A log was not compacted, and is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactionError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    #[error("the log is damaged: {0}")]
    Batch(#[from] BatchError),
    #[error("the log is damaged at offset {offset}: {source}")]
    Sift { offset: i64, source: SiftError },
    #[error(
        "the batch at offset {offset} has more keys than log.cleaner.dedupe.buffer.size allows"
    )]
    TooManyKeys { offset: i64 },
    #[error("what is before offset {end_offset} could not be moved to segments")]
    NotMoved { end_offset: i64 },
}

impl Partition {
    /// What of this log could be compacted.
    pub(crate) fn cleanable(&self, rules: &CompactionRules, now_ms: i64) -> Option<Cleanable> {
        let state = self.state();
        if state.closed {
            return None;
        }
        state.segments.cleanable(rules, state.last_stable_offset(), now_ms)
    }

    /// Compacts the log once; nobody else may at the same time. Uses at most `key_bytes_max` for
    /// keys: what has more is compacted in several rounds.
    pub(crate) async fn compact(
        &self,
        cleanable: Cleanable,
        rules: &CompactionRules,
        key_bytes_max: usize,
        now_ms: i64,
    ) -> Result<Compacted, CompactionError> {
        let keys = self.newest_offsets(cleanable, key_bytes_max).await?;
        let end_offset = keys.end_offset();
        if self.is_gap(end_offset).await? {
            self.state().segments.compacted(end_offset, 0);
            return Ok(Compacted { end_offset, bytes_before: 0, bytes_after: 0 });
        }
        let rewrite_end = self.rewrite_end(end_offset).await?;
        let mut rewrite = self.store.rewrite(self.log, rewrite_end)?;
        let (start_offset, last_records, aborted) = {
            let state = self.state();
            let start_offset = state.start_offset;
            let aborted = state.transactions.aborted_between(start_offset, cleanable.end_offset);
            (start_offset, state.producers.last_records(), aborted)
        };
        let mut sieve = Sieve {
            now_ms,
            delete_retention_ms: rules.delete_retention_ms,
            end_offset: cleanable.end_offset.min(rewrite_end),
            keys,
            last_records,
            transactions: CleanedTransactions::new(aborted),
        };
        let mut compacted = Compacted { end_offset, bytes_before: 0, bytes_after: 0 };
        let mut offset = start_offset;
        'log: while offset < rewrite_end {
            let read = self.store.read(self.log, offset, SCAN_BYTES, true).await?;
            for batch in batches(read) {
                let batch = batch?;
                if batch.header.base_offset >= rewrite_end {
                    break 'log;
                }
                offset = batch.header.next_offset();
                self.rewrite_batch(batch, &mut sieve, &mut rewrite, &mut compacted).await?;
            }
            tokio::task::yield_now().await;
        }
        rewrite.finish().await?;
        let mut state = self.state();
        state.segments.compacted(end_offset, compacted.bytes_after);
        state.unkept.is_changed = true;
        let kept = sieve.transactions.into_kept();
        state.transactions.compacted(sieve.end_offset, kept);
        Ok(compacted)
    }

    async fn rewrite_batch(
        &self,
        batch: RawBatch,
        sieve: &mut Sieve,
        rewrite: &mut Rewrite,
        compacted: &mut Compacted,
    ) -> Result<(), CompactionError> {
        let header = batch.header;
        if header.base_offset >= sieve.end_offset {
            // Only here because the store replaces whole segments.
            return Ok(rewrite.push(kept(&header, batch.bytes().clone())).await?);
        }
        let offset = header.base_offset;
        batch.verify_crc()?;
        let left = sieve.sift(&batch).map_err(|source| CompactionError::Sift { offset, source })?;
        compacted.bytes_before += header.size_bytes() as u64;
        let left = match left {
            Left::Nothing => return Ok(()),
            Left::All => kept(&header, batch.bytes().clone()),
            Left::Other(bytes, header) => kept(&header, Bytes::from(bytes)),
        };
        compacted.bytes_after += left.bytes.len() as u64;
        Ok(rewrite.push(left).await?)
    }

    /// The newest offset of every key in the dirty part, as far as there is room for them.
    async fn newest_offsets(
        &self,
        cleanable: Cleanable,
        key_bytes_max: usize,
    ) -> Result<KeyOffsets, CompactionError> {
        let (mut offset, aborted) = {
            let state = self.state();
            let first = cleanable.first_dirty_offset.max(state.start_offset);
            (first, state.transactions.aborted_between(first, cleanable.end_offset))
        };
        let mut keys = KeyOffsets::new(key_bytes_max, offset);
        let mut transactions = CleanedTransactions::new(aborted);
        'log: while offset < cleanable.end_offset {
            let read = self.store.read(self.log, offset, SCAN_BYTES, true).await?;
            for batch in batches(read) {
                let batch = batch?;
                let base_offset = batch.header.base_offset;
                // Offsets may have gaps.
                if base_offset >= cleanable.end_offset {
                    break 'log;
                }
                let taken = take_keys(&batch, &mut keys, &mut transactions)
                    .map_err(|source| CompactionError::Sift { offset: base_offset, source })?;
                if !taken {
                    let none = keys.end_offset() <= cleanable.first_dirty_offset;
                    let too_many = CompactionError::TooManyKeys { offset: base_offset };
                    return if none { Err(too_many) } else { Ok(keys) };
                }
                offset = batch.header.next_offset();
                keys.looked_at(offset);
            }
            tokio::task::yield_now().await;
        }
        keys.looked_at(cleanable.end_offset);
        Ok(keys)
    }

    /// Whether no batch begins before `end_offset`: offsets may have gaps.
    async fn is_gap(&self, end_offset: i64) -> Result<bool, CompactionError> {
        let start_offset = self.offsets().start;
        let read = self.store.read(self.log, start_offset, 1, true).await?;
        let first = batches(read).next().transpose()?;
        Ok(first.is_none_or(|first| first.header.base_offset >= end_offset))
    }

    /// Where a segment of the store ends, at or after `end_offset`.
    async fn rewrite_end(&self, end_offset: i64) -> Result<i64, CompactionError> {
        if let Some(end) = self.store.rewritable_end(self.log, end_offset) {
            return Ok(end);
        }
        self.store.move_out().await;
        let end = self.store.rewritable_end(self.log, end_offset);
        end.ok_or(CompactionError::NotMoved { end_offset })
    }
}

/// `false` if there was no room for all keys of the batch.
fn take_keys(
    batch: &RawBatch,
    keys: &mut KeyOffsets,
    transactions: &mut CleanedTransactions,
) -> Result<bool, SiftError> {
    let header = &batch.header;
    batch.verify_crc()?;
    if header.attributes.is_control() {
        let kind = farlog_wire::records::control_record(batch)?.map(|control| control.control_type);
        transactions.control(header, kind);
        return Ok(true);
    }
    if transactions.data(header) {
        // What was aborted supersedes nothing.
        return Ok(true);
    }
    let plain = sift::plain(batch)?;
    for frame in frames(&plain, header.record_count) {
        let frame = frame?;
        let offset = header.base_offset + i64::from(frame.offset_delta);
        if let Some(key) = frame.key
            && !keys.put(key, offset)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn kept(header: &BatchHeader, bytes: Bytes) -> Batch {
    Batch {
        base_offset: header.base_offset,
        next_offset: header.next_offset(),
        max_timestamp_ms: header.max_timestamp,
        bytes,
    }
}

#[cfg(test)]
mod tests;
