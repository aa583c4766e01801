//! Logs that end with the process: for trying things out, and for tests of what stands above.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::error::{AppendError, ReadError, RewriteError};
use crate::extent::{Batch, Extent, LogId, SegmentFacts};

/// Batches that make up one segment, in bytes: what retention can delete at once.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// The logs of one broker.
#[derive(Debug, Default)]
pub(crate) struct MemoryLogs {
    logs: Mutex<HashMap<LogId, Log>>,
}

#[derive(Debug, Default)]
struct Log {
    start_offset: i64,
    end_offset: i64,
    size_bytes: u64,
    /// By base offset.
    batches: BTreeMap<i64, Batch>,
    segments: Vec<SegmentFacts>,
}

impl Log {
    fn push(&mut self, batch: Batch) {
        let bytes = batch.bytes.len() as u64;
        self.size_bytes += bytes;
        match self.segments.last_mut() {
            Some(last) if last.size_bytes + bytes <= SEGMENT_BYTES => {
                last.next_offset = batch.next_offset;
                last.size_bytes += bytes;
                last.max_timestamp_ms = last.max_timestamp_ms.max(batch.max_timestamp_ms);
            }
            _ => self.segments.push(SegmentFacts {
                base_offset: batch.base_offset,
                next_offset: batch.next_offset,
                max_timestamp_ms: batch.max_timestamp_ms,
                size_bytes: bytes,
            }),
        }
        self.batches.insert(batch.base_offset, batch);
    }
}

impl MemoryLogs {
    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Log>> {
        // Every change below is complete or not begun when something can panic.
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create(&self, id: LogId, start_offset: i64) {
        let log = Log { start_offset, end_offset: start_offset, ..Log::default() };
        self.lock().entry(id).or_insert(log);
    }

    pub(crate) fn append(&self, id: LogId, batch: Batch) -> Result<(), AppendError> {
        let mut logs = self.lock();
        let log = logs.get_mut(&id).ok_or(AppendError::UnknownLog(id))?;
        let (base_offset, end_offset) = (batch.base_offset, log.end_offset);
        if base_offset < end_offset {
            return Err(AppendError::Overlap { id, base_offset, end_offset });
        }
        log.end_offset = batch.next_offset;
        log.push(batch);
        Ok(())
    }

    /// The end of the last batch that begins before `wanted`.
    pub(crate) fn rewritable_end(&self, id: LogId, wanted: i64) -> Option<i64> {
        let logs = self.lock();
        let (_, last) = logs.get(&id)?.batches.range(..wanted).next_back()?;
        Some(last.next_offset)
    }

    /// Replaces what begins before `end_offset`.
    pub(crate) fn rewrite(
        &self,
        id: LogId,
        end_offset: i64,
        kept: Vec<Batch>,
    ) -> Result<(), RewriteError> {
        let mut logs = self.lock();
        let log = logs.get_mut(&id).ok_or(RewriteError::UnknownLog(id))?;
        let newer = log.batches.split_off(&end_offset);
        log.batches.clear();
        log.segments.clear();
        log.size_bytes = 0;
        let start_offset = log.start_offset;
        let kept = kept.into_iter().filter(|batch| batch.next_offset > start_offset);
        kept.chain(newer.into_values()).for_each(|batch| log.push(batch));
        Ok(())
    }

    pub(crate) fn extent(&self, id: LogId) -> Option<Extent> {
        self.lock().get(&id).map(|log| Extent {
            start_offset: log.start_offset,
            durable_end_offset: log.end_offset,
            end_offset: log.end_offset,
            size_bytes: log.size_bytes,
        })
    }

    pub(crate) fn segments(&self, id: LogId) -> Vec<SegmentFacts> {
        self.lock().get(&id).map(|log| log.segments.clone()).unwrap_or_default()
    }

    pub(crate) fn read(
        &self,
        id: LogId,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Bytes, ReadError> {
        let logs = self.lock();
        let log = logs.get(&id).ok_or(ReadError::UnknownLog(id))?;
        let (start_offset, end_offset) = (log.start_offset, log.end_offset);
        if offset < start_offset || offset > end_offset {
            return Err(ReadError::OutOfRange { id, offset, start_offset, end_offset });
        }
        let containing = log.batches.range(..=offset).next_back();
        let first = match containing {
            Some((&base, batch)) if batch.next_offset > offset => base,
            _ => offset,
        };
        let mut taken: Vec<&Bytes> = Vec::new();
        let mut bytes = 0;
        for batch in log.batches.range(first..).map(|(_, batch)| &batch.bytes) {
            let forced = at_least_one && taken.is_empty();
            if bytes + batch.len() > bytes_max && !forced {
                break;
            }
            bytes += batch.len();
            taken.push(batch);
        }
        if let [one] = taken[..] {
            return Ok(one.clone());
        }
        let mut joined = BytesMut::with_capacity(bytes);
        taken.into_iter().for_each(|batch| joined.extend_from_slice(batch));
        Ok(joined.freeze())
    }

    pub(crate) fn trim(&self, id: LogId, start_offset: i64) {
        let mut logs = self.lock();
        let Some(log) = logs.get_mut(&id) else { return };
        log.start_offset = log.start_offset.max(start_offset.min(log.end_offset));
        let start_offset = log.start_offset;
        while let Some(first) = log.batches.first_entry()
            && first.get().next_offset <= start_offset
        {
            log.size_bytes -= first.remove().bytes.len() as u64;
        }
        log.segments.retain(|segment| segment.next_offset > start_offset);
    }

    pub(crate) fn remove(&self, id: LogId) {
        self.lock().remove(&id);
    }
}
