//! The handle on all logs of a broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::{AppendError, ReadError, StoreError};
use crate::extent::{Batch, Checkpoint, Extent, LogId, SegmentFacts};
use crate::memory::MemoryLogs;

/// Resolves when what was done is durable, in the order in which things were done.
pub struct Durable(Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>);

/// The logs of one broker; a cheap handle.
#[derive(Clone, Debug)]
pub struct Store {
    logs: Arc<MemoryLogs>,
}

impl Durable {
    fn now() -> Self {
        Self(Box::pin(std::future::ready(Ok(()))))
    }
}

impl Future for Durable {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Durable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Durable")
    }
}

impl Store {
    /// A store whose logs end with the process: durable means held in memory.
    pub fn in_memory() -> Self {
        Self { logs: Arc::default() }
    }

    /// Makes an empty log that begins at `start_offset`, unless there is one of this name.
    pub fn create(&self, id: LogId, start_offset: i64) -> Durable {
        self.logs.create(id, start_offset);
        Durable::now()
    }

    /// Appends a batch behind all that was appended before; its place is certain when this
    /// returns, its durability when the answer resolves.
    ///
    /// # Errors
    /// If there is no such log, if the batch begins before the log's end, or if nothing can be
    /// taken any more. Nothing is changed then.
    pub fn append(&self, id: LogId, batch: Batch) -> Result<Durable, AppendError> {
        self.logs.append(id, batch)?;
        Ok(Durable::now())
    }

    /// From where to where a log reaches; `None` if there is none of this name.
    pub fn extent(&self, id: LogId) -> Option<Extent> {
        self.logs.extent(id)
    }

    /// The parts of a log, oldest first; the last one is still growing.
    pub fn segments(&self, id: LogId) -> Vec<SegmentFacts> {
        self.logs.segments(id)
    }

    /// Whole durable batches from the one that holds `offset` on (or the first after it, where
    /// there is a gap), at most `bytes_max` bytes of them, but the first in any case if
    /// `at_least_one`. Empty at the end of the log.
    ///
    /// # Errors
    /// If the offset is below the log's start or beyond its durable end, or if the bytes cannot
    /// be had.
    pub async fn read(
        &self,
        id: LogId,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Bytes, ReadError> {
        self.logs.read(id, offset, bytes_max, at_least_one)
    }

    /// Gives up what is before `start_offset`; the log then begins there.
    pub fn trim(&self, id: LogId, start_offset: i64) -> Durable {
        self.logs.trim(id, start_offset);
        Durable::now()
    }

    /// Deletes a log.
    pub fn remove(&self, id: LogId) -> Durable {
        self.logs.remove(id);
        Durable::now()
    }

    /// Keeps what the log's owner derived from it, to be found again at the next start. Best
    /// effort: an older one, or none, costs the owner time, not truth.
    pub fn checkpoint(&self, _id: LogId, _checkpoint: Checkpoint) {
        // What ends with the process has no next start.
    }
}
