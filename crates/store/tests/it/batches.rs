//! Batches whose bytes say which they are.

use bytes::Bytes;
use farlog_store::{Batch, LogId, RewriteError, Store, StoreOptions};
use farlog_wire::records::{BATCH_HEADER_BYTES, BatchHeader};

pub(crate) fn log(number: u8) -> LogId {
    LogId { topic: [number; 16], partition: i32::from(number) }
}

/// A batch of `records` offsets and `payload` bytes behind its header.
pub(crate) fn batch(id: LogId, base_offset: i64, records: i32, payload: usize) -> Batch {
    let header = BatchHeader {
        base_offset,
        batch_length: i32::try_from(BATCH_HEADER_BYTES - 12 + payload).unwrap(),
        magic: 2,
        last_offset_delta: records - 1,
        max_timestamp: base_offset * 10,
        record_count: records,
        ..BatchHeader::default()
    };
    let mut front = [0; BATCH_HEADER_BYTES];
    header.write_to(&mut front);
    let mut bytes = front.to_vec();
    let seed = id.partition as i64 + base_offset * 31;
    bytes.extend((0..payload as i64).map(|at| (seed + at * 7) as u8));
    Batch {
        base_offset,
        next_offset: base_offset + i64::from(records),
        max_timestamp_ms: base_offset * 10,
        bytes: Bytes::from(bytes),
    }
}

/// Everything from `offset` to the log's end, read in steps.
pub(crate) async fn read_all(store: &Store, id: LogId, offset: i64, step_bytes: usize) -> Vec<u8> {
    let end = store.extent(id).unwrap().durable_end_offset;
    let mut all = Vec::new();
    let mut at = offset;
    while at < end {
        let some = store.read(id, at, step_bytes, true).await.unwrap();
        assert!(!some.is_empty(), "nothing at {at} of a log that ends at {end}");
        at = next_offset(&some);
        all.extend_from_slice(&some);
    }
    all
}

/// Replaces all before `end_offset` by those batches whose base offset is to be kept, and the last
/// one.
pub(crate) async fn rewrite(
    store: &Store,
    id: LogId,
    end_offset: i64,
    keep: impl Fn(i64) -> bool,
) -> Result<(), RewriteError> {
    let mut rewrite = store.rewrite(id, end_offset)?;
    let mut at = store.extent(id).unwrap().start_offset;
    while at < end_offset {
        let Ok(bytes) = store.read(id, at, 1, true).await else { break };
        at = next_offset(&bytes);
        let base_offset = i64::from_be_bytes(bytes[..8].try_into().unwrap());
        let max_timestamp_ms = base_offset * 10;
        if keep(base_offset) || at == end_offset {
            let batch = Batch { base_offset, next_offset: at, max_timestamp_ms, bytes };
            rewrite.push(batch).await?;
        }
    }
    rewrite.finish().await
}

/// The offset after the last batch.
pub(crate) fn next_offset(mut batches: &[u8]) -> i64 {
    let mut next = -1;
    while !batches.is_empty() {
        let base = i64::from_be_bytes(batches[..8].try_into().unwrap());
        let length = i32::from_be_bytes(batches[8..12].try_into().unwrap());
        let last = i32::from_be_bytes(batches[23..27].try_into().unwrap());
        next = base + i64::from(last) + 1;
        batches = &batches[length as usize + 12..];
    }
    next
}

/// Small files and a small cache, so that a short test sees many of them.
pub(crate) fn small(directory: &std::path::Path, cache_bytes: usize) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.fsync = false;
    options.log_file_bytes = 2000;
    options.cache_bytes = cache_bytes;
    options
}
