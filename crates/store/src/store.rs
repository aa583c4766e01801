//! The handle on all logs of a broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::disk_logs::DiskLogs;
use crate::error::{AppendError, ReadError, RewriteError, StoreError};
use crate::extent::{Batch, Checkpoint, Extent, LogId, SegmentFacts};
use crate::memory::MemoryLogs;
use crate::options::{OpenError, Recovery, StoreOptions};
use crate::read::Wanted;
use crate::rewrite::Rewrite;
use crate::wal::disk::{Disk, SystemDisk};

/// Resolves when what was done is durable, in the order in which things were done.
#[derive(Debug)]
pub struct Durable(Answer);

#[derive(Debug)]
enum Answer {
    Known(Result<(), StoreError>),
    Waiting(oneshot::Receiver<Result<(), StoreError>>),
}

/// The logs of one broker; a cheap handle. When the last one is dropped, what was taken is written
/// and the place is free for another store; that may take as long as the disk does.
#[derive(Clone, Debug)]
pub struct Store {
    logs: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Memory(Arc<MemoryLogs>),
    Disk(Arc<DiskLogs>),
}

impl Durable {
    fn now() -> Self {
        Self(Answer::Known(Ok(())))
    }

    pub(crate) fn refused(why: StoreError) -> Self {
        Self(Answer::Known(Err(why)))
    }

    pub(crate) fn waiting(answer: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Answer::Waiting(answer))
    }
}

impl Future for Durable {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Known(result) => Poll::Ready(result.clone()),
            Answer::Waiting(answer) => {
                let answer = ready!(Pin::new(answer).poll(context));
                let result = answer.unwrap_or(Err(StoreError::Closed));
                self.0 = Answer::Known(result.clone());
                Poll::Ready(result)
            }
        }
    }
}

impl Store {
    /// A store whose logs end with the process: durable means held in memory.
    pub fn in_memory() -> Self {
        Self { logs: Backend::Memory(Arc::default()) }
    }

    /// Opens the store in a directory, and says what was found there. Must be called within a Tokio
    /// runtime, which has to last as long as the store.
    ///
    /// # Errors
    /// If somebody else has it open, if what was acknowledged is damaged, or if the disk refuses.
    pub async fn open(options: StoreOptions) -> Result<(Self, Recovery), OpenError> {
        Self::open_on(options, Arc::new(SystemDisk)).await
    }

    pub(crate) async fn open_on(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Recovery), OpenError> {
        let (logs, recovery) = DiskLogs::open(options, disk).await?;
        Ok((Self { logs: Backend::Disk(Arc::new(logs)) }, recovery))
    }

    /// Makes an empty log that begins at `start_offset`, unless there is one of this name.
    pub fn create(&self, id: LogId, start_offset: i64) -> Durable {
        match &self.logs {
            Backend::Memory(logs) => {
                logs.create(id, start_offset);
                Durable::now()
            }
            Backend::Disk(logs) => logs.create(id, start_offset),
        }
    }

    /// Appends a batch behind all that was appended before; its place is certain when this
    /// returns, its durability when the answer resolves.
    ///
    /// # Errors
    /// If there is no such log, if the batch begins before the log's end, if too much waits to be
    /// written, or if nothing can be taken any more. Nothing is changed then.
    pub fn append(&self, id: LogId, batch: Batch) -> Result<Durable, AppendError> {
        match &self.logs {
            Backend::Memory(logs) => logs.append(id, batch).map(|()| Durable::now()),
            Backend::Disk(logs) => logs.append(id, batch),
        }
    }

    /// Resolves when an append would not be refused because too much waits to be written. Who
    /// waits here before each append is never refused for it, if nobody else appends meanwhile.
    pub async fn room(&self) {
        if let Backend::Disk(logs) = &self.logs {
            logs.room().await;
        }
    }

    /// Resolves when what was to be moved to segments, or deleted, at the time of this call has
    /// been, which otherwise happens soon; or when nothing is taken any more.
    pub async fn settle(&self) {
        if let Backend::Disk(logs) = &self.logs {
            logs.settle().await;
        }
    }

    /// Resolves when nothing will ever be taken any more, and says why: another broker has taken
    /// over, or nobody knows what is on disk. It never resolves for a store in memory.
    pub async fn refusal(&self) -> StoreError {
        match &self.logs {
            Backend::Memory(_) => std::future::pending().await,
            Backend::Disk(logs) => logs.refusal().await,
        }
    }

    /// From where to where a log reaches; `None` if there is none of this name.
    pub fn extent(&self, id: LogId) -> Option<Extent> {
        match &self.logs {
            Backend::Memory(logs) => logs.extent(id),
            Backend::Disk(logs) => logs.extent(id),
        }
    }

    /// The parts of a log, oldest first; the last one is still growing.
    pub fn segments(&self, id: LogId) -> Vec<SegmentFacts> {
        match &self.logs {
            Backend::Memory(logs) => logs.segments(id),
            Backend::Disk(logs) => logs.segments(id),
        }
    }

    /// Whole durable batches from the one that holds `offset` on (or the first after it, where
    /// there is a gap), at most `bytes_max` bytes of them, but the first in any case if
    /// `at_least_one`. Empty at the end of the log. There may be more of them within `bytes_max`
    /// than were given.
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
        match &self.logs {
            Backend::Memory(logs) => logs.read(id, offset, bytes_max, at_least_one),
            Backend::Disk(logs) => logs.read(Wanted { id, offset, bytes_max, at_least_one }).await,
        }
    }

    /// Gives up what is before `start_offset`; the log then begins there.
    pub fn trim(&self, id: LogId, start_offset: i64) -> Durable {
        match &self.logs {
            Backend::Memory(logs) => {
                logs.trim(id, start_offset);
                Durable::now()
            }
            Backend::Disk(logs) => logs.trim(id, start_offset),
        }
    }

    /// Deletes a log.
    pub fn remove(&self, id: LogId) -> Durable {
        match &self.logs {
            Backend::Memory(logs) => {
                logs.remove(id);
                Durable::now()
            }
            Backend::Disk(logs) => logs.remove(id),
        }
    }

    /// An offset up to which a log may be rewritten now, all batches that begin before `wanted`
    /// included; `None` if what is there has not been moved to segments yet.
    pub fn rewritable_end(&self, id: LogId, wanted: i64) -> Option<i64> {
        match &self.logs {
            Backend::Memory(logs) => logs.rewritable_end(id, wanted),
            Backend::Disk(logs) => logs.rewritable_end(id, wanted),
        }
    }

    /// Moves what is durable to segments, all of it and now. It would be later, and together with
    /// more; this costs a part of each log, small as it may be.
    pub async fn move_out(&self) {
        if let Backend::Disk(logs) = &self.logs {
            logs.move_out().await;
        }
    }

    /// Begins to replace all of a log before `end_offset`, which
    /// [`rewritable_end`](Self::rewritable_end) gave. One rewrite of a log at a time.
    ///
    /// # Errors
    /// If there is no such log, or no segment of it ends there, or nothing is taken any more.
    pub fn rewrite(&self, id: LogId, end_offset: i64) -> Result<Rewrite, RewriteError> {
        match &self.logs {
            Backend::Memory(logs) => Ok(Rewrite::in_memory(Arc::clone(logs), id, end_offset)),
            Backend::Disk(logs) => logs.rewrite(id, end_offset),
        }
    }

    /// Keeps what the log's owner derived from it, to be found again at the next start. Best
    /// effort: an older one, or none, costs the owner time, not truth.
    pub fn checkpoint(&self, id: LogId, checkpoint: Checkpoint) {
        match &self.logs {
            // What ends with the process has no next start.
            Backend::Memory(_) => {}
            Backend::Disk(logs) => logs.checkpoint(id, checkpoint),
        }
    }
}
