//! Logs that survive the process and, if told so, the machine.

mod open;

use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use farlog_wire::records::BATCH_HEADER_BYTES;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::error::{AppendError, ReadError, RewriteError, StoreError};
use crate::extent::{Batch, Checkpoint, Extent, LogId, SegmentFacts};
use crate::limits::{BATCH_BYTES_MAX, CHECKPOINT_BYTES_MAX};
use crate::logs::Log;
use crate::objects::Objects;
use crate::queue::{Change, Shared, State, Waiting};
use crate::read::{self, Wanted};
use crate::rewrite::{ObjectRewrite, Rewrite};
use crate::section_read::SectionReader;
use crate::segment::section::Section;
use crate::store::Durable;

/// The logs of one broker. When it is dropped, everything that was taken is durable, or refused.
#[derive(Debug)]
pub(crate) struct DiskLogs {
    shared: Arc<Shared>,
    sections: SectionReader,
    objects: Objects,
    epoch: u64,
    segment_bytes: usize,
    mover: AbortHandle,
    writer: Option<JoinHandle<()>>,
    /// Held until the writer has ended.
    _lock: open::Lock,
}

impl DiskLogs {
    pub(crate) fn create(&self, id: LogId, start_offset: i64) -> Durable {
        let mut state = self.shared.lock();
        if state.logs.by_id.contains_key(&id) {
            // Behind the creation that may still be on its way.
            return self.nothing(&mut state, id);
        }
        let incarnation = state.logs.incarnation_next;
        state.logs.incarnation_next += 1;
        let made = self.change(&mut state, id, incarnation, Change::Create { start_offset });
        if made.is_ok() {
            let log = Log::new(incarnation, start_offset, start_offset);
            state.logs.by_id.insert(id, log);
        }
        made.unwrap_or_else(Durable::refused)
    }

    pub(crate) fn append(&self, id: LogId, batch: Batch) -> Result<Durable, AppendError> {
        check_batch(id, &batch)?;
        let mut state = self.shared.lock();
        let waiting_bytes = state.waiting_bytes;
        let log = state.logs.by_id.get(&id).ok_or(AppendError::UnknownLog(id))?;
        let (base_offset, end_offset, incarnation) =
            (batch.base_offset, log.end_offset, log.incarnation);
        if base_offset < end_offset {
            return Err(AppendError::Overlap { id, base_offset, end_offset });
        }
        let waiting_bytes_max = self.shared.waiting_bytes_max();
        if waiting_bytes >= waiting_bytes_max && state.refused().is_none() {
            return Err(AppendError::Busy { waiting_bytes, waiting_bytes_max });
        }
        let (next_offset, bytes) = (batch.next_offset, batch.bytes.len() as u64);
        let durable = self.change(&mut state, id, incarnation, Change::Append(batch))?;
        if let Some(log) = state.logs.by_id.get_mut(&id) {
            log.end_offset = next_offset;
            log.size_bytes += bytes;
        }
        Ok(durable)
    }

    pub(crate) async fn room(&self) {
        self.shared.room().await;
    }

    pub(crate) async fn settle(&self) {
        self.shared.settle().await;
    }

    pub(crate) async fn refusal(&self) -> StoreError {
        self.shared.refusal().await
    }

    pub(crate) fn extent(&self, id: LogId) -> Option<Extent> {
        self.shared.lock().logs.by_id.get(&id).map(Log::extent)
    }

    pub(crate) fn segments(&self, id: LogId) -> Vec<SegmentFacts> {
        self.shared.lock().logs.by_id.get(&id).map(Log::segments).unwrap_or_default()
    }

    pub(crate) async fn read(&self, wanted: Wanted) -> Result<Bytes, ReadError> {
        read::read(&self.shared, &self.sections, wanted).await
    }

    pub(crate) fn trim(&self, id: LogId, start_offset: i64) -> Durable {
        let mut state = self.shared.lock();
        let known = state.logs.by_id.get(&id);
        let Some(log) = known.filter(|log| log.start_offset < start_offset.min(log.end_offset))
        else {
            return self.nothing(&mut state, id);
        };
        let start_offset = start_offset.min(log.end_offset);
        let incarnation = log.incarnation;
        let trimmed = self.change(&mut state, id, incarnation, Change::Trim { start_offset });
        if trimmed.is_ok()
            && let Some(log) = state.logs.by_id.get_mut(&id)
        {
            log.start_offset = start_offset;
        }
        trimmed.unwrap_or_else(Durable::refused)
    }

    pub(crate) fn remove(&self, id: LogId) -> Durable {
        let mut state = self.shared.lock();
        let Some(log) = state.logs.by_id.get(&id) else { return self.nothing(&mut state, id) };
        let incarnation = log.incarnation;
        let removed = self.change(&mut state, id, incarnation, Change::Remove);
        if removed.is_ok() {
            state.logs.remove(id);
        }
        removed.unwrap_or_else(Durable::refused)
    }

    pub(crate) fn checkpoint(&self, id: LogId, checkpoint: Checkpoint) {
        let bytes = checkpoint.state.len();
        if bytes > CHECKPOINT_BYTES_MAX {
            tracing::warn!(?id, bytes, CHECKPOINT_BYTES_MAX, "a checkpoint is too large to keep");
            return;
        }
        let mut state = self.shared.lock();
        let Some(log) = state.logs.by_id.get(&id) else { return };
        let incarnation = log.incarnation;
        let kept = self.change(&mut state, id, incarnation, Change::Checkpoint(checkpoint));
        if let Err(why) = kept {
            tracing::debug!(?id, %why, "a checkpoint is not kept");
        }
    }

    /// The first offset at or after `wanted` where a segment ends.
    pub(crate) fn rewritable_end(&self, id: LogId, wanted: i64) -> Option<i64> {
        let state = self.shared.lock();
        let sections = &state.logs.by_id.get(&id)?.sections;
        let ends = sections.iter().map(|section| section.facts.next_offset);
        ends.into_iter().find(|&end| end >= wanted)
    }

    pub(crate) async fn move_out(&self) {
        let rolled = {
            let mut state = self.shared.lock();
            let nobody = LogId { topic: [0; 16], partition: 0 };
            self.change(&mut state, nobody, 0, Change::Roll)
        };
        let rolled = rolled.unwrap_or_else(Durable::refused).await;
        if rolled.is_ok() {
            self.shared.lock().logs.move_all = true;
            self.settle().await;
        }
    }

    pub(crate) fn rewrite(&self, id: LogId, end_offset: i64) -> Result<Rewrite, RewriteError> {
        let state = self.shared.lock();
        if let Some(why) = &state.refusal {
            return Err(why.clone().into());
        }
        let log = state.logs.by_id.get(&id).ok_or(RewriteError::UnknownLog(id))?;
        let is_older = |one: &&Section| one.facts.next_offset <= end_offset;
        let replaced: Vec<Section> = log.sections.iter().take_while(is_older).copied().collect();
        if replaced.last().is_none_or(|last| last.facts.next_offset != end_offset) {
            return Err(RewriteError::Boundary { id, end_offset });
        }
        let rewrite = ObjectRewrite {
            shared: Arc::clone(&self.shared),
            objects: self.objects.clone(),
            incarnation: log.incarnation,
            epoch: self.epoch,
            segment_bytes: self.segment_bytes,
            replaced,
            buffer: Vec::new(),
            section: None,
            sections: Vec::new(),
            written: Vec::new(),
        };
        Ok(Rewrite::to_objects(rewrite, id, end_offset))
    }

    /// Puts a change behind all others.
    fn change(
        &self,
        state: &mut State,
        id: LogId,
        incarnation: u64,
        change: Change,
    ) -> Result<Durable, StoreError> {
        if let Some(why) = state.refused() {
            return Err(why.clone());
        }
        let (done, durable) = oneshot::channel();
        self.shared.push(state, Waiting { id, incarnation, change, done: Some(done) });
        Ok(Durable::waiting(durable))
    }

    /// Resolves behind all others, without a change.
    fn nothing(&self, state: &mut State, id: LogId) -> Durable {
        self.change(state, id, 0, Change::Nothing).unwrap_or_else(Durable::refused)
    }
}

impl Drop for DiskLogs {
    fn drop(&mut self) {
        self.mover.abort();
        self.shared.close();
        let ended = self.writer.take().map(JoinHandle::join);
        if let Some(Err(_)) = ended {
            tracing::error!("the log's writer had failed");
        }
    }
}

/// What is read again by the batch's own header must be what the caller says.
fn check_batch(id: LogId, batch: &Batch) -> Result<(), AppendError> {
    let base_offset = batch.base_offset;
    let wrong = |why| Err(AppendError::NotABatch { id, base_offset, why });
    let Some(header) = batch.bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
        return wrong("it is too short");
    };
    let field = |at: usize| {
        i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (base, _) = header
        .split_first_chunk::<8>()
        .map_or((0, &[][..]), |(base, rest)| (i64::from_be_bytes(*base), rest));
    let (length, last_offset_delta) = (i64::from(field(8)), i64::from(field(23)));
    if batch.bytes.len() as i64 != length + 12 {
        return wrong("its length is another");
    }
    if batch.bytes.len() > BATCH_BYTES_MAX {
        return wrong("it is larger than 128 MiB");
    }
    if base < 0 || base != base_offset || last_offset_delta < 0 {
        return wrong("its base offset is another");
    }
    if batch.next_offset != base + last_offset_delta + 1 {
        return wrong("its last offset is another");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
