//! Replaces the older part of a log by what its owner wants to keep of it.
//!
//! What is kept is written to objects of its own while the log is read and appended to as ever. The
//! next manifest names them in place of what they replace: before it nothing has changed, with it
//! everything has, wherever a crash comes between. Replaced objects are deleted later, as those are
//! that nothing needs any more.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::{RewriteError, StoreError};
use crate::extent::{Batch, LogId};
use crate::memory::MemoryLogs;
use crate::objects::Objects;
use crate::queue::Shared;
use crate::segment::section::{OBJECT_MAGIC, ObjectName, Section, SectionBuilder};
use crate::wal::entry::BatchFacts;

/// Takes what is kept of the older part of a log, in order. Nothing changes before
/// [`finish`](Self::finish); if it is dropped before, nothing ever does.
#[derive(Debug)]
pub struct Rewrite {
    id: LogId,
    end_offset: i64,
    /// After the last batch taken.
    next_offset: Option<i64>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory { logs: Arc<MemoryLogs>, batches: Vec<Batch> },
    Objects(Box<ObjectRewrite>),
}

/// On its way to objects.
#[derive(Debug)]
pub(crate) struct ObjectRewrite {
    pub(crate) shared: Arc<Shared>,
    pub(crate) objects: Objects,
    pub(crate) incarnation: u64,
    pub(crate) epoch: u64,
    /// When an object is full.
    pub(crate) segment_bytes: usize,
    /// As they are before it.
    pub(crate) replaced: Vec<Section>,
    pub(crate) buffer: Vec<u8>,
    pub(crate) section: Option<SectionBuilder>,
    /// Of the objects that are written.
    pub(crate) sections: Vec<Section>,
    /// Written, or perhaps written.
    pub(crate) written: Vec<ObjectName>,
}

/// What replaces the sections before `end_offset`, all of it written.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) id: LogId,
    pub(crate) incarnation: u64,
    pub(crate) end_offset: i64,
    pub(crate) replaced: Vec<Section>,
    pub(crate) sections: Vec<Section>,
    pub(crate) done: oneshot::Sender<Result<(), RewriteError>>,
}

impl Rewrite {
    pub(crate) fn in_memory(logs: Arc<MemoryLogs>, id: LogId, end_offset: i64) -> Self {
        let place = Place::Memory { logs, batches: Vec::new() };
        Self { id, end_offset, next_offset: None, place }
    }

    pub(crate) fn to_objects(rewrite: ObjectRewrite, id: LogId, end_offset: i64) -> Self {
        Self { id, end_offset, next_offset: None, place: Place::Objects(Box::new(rewrite)) }
    }

    /// Takes the next batch that is kept.
    ///
    /// # Errors
    /// If it is not behind the one before, or reaches beyond the end, or if an object cannot be
    /// written.
    pub async fn push(&mut self, batch: Batch) -> Result<(), RewriteError> {
        let follows = self.next_offset.is_none_or(|next| batch.base_offset >= next);
        if !follows || batch.next_offset > self.end_offset {
            let (id, base_offset) = (self.id, batch.base_offset);
            return Err(RewriteError::Order { id, base_offset });
        }
        self.next_offset = Some(batch.next_offset);
        match &mut self.place {
            Place::Memory { batches, .. } => batches.push(batch),
            Place::Objects(rewrite) => rewrite.push(&batch).await?,
        }
        Ok(())
    }

    /// Makes what was taken the log's older part; readers see it when this returns.
    ///
    /// # Errors
    /// If what was taken does not end where the replaced part does, if the log is gone or was
    /// rewritten by somebody else meanwhile, or if objects cannot be written.
    pub async fn finish(self) -> Result<(), RewriteError> {
        let Self { id, end_offset, next_offset, place } = self;
        if next_offset != Some(end_offset) {
            return Err(RewriteError::End { id, next_offset, end_offset });
        }
        match place {
            Place::Memory { logs, batches } => logs.rewrite(id, end_offset, batches),
            Place::Objects(rewrite) => rewrite.finish(id, end_offset).await,
        }
    }
}

impl ObjectRewrite {
    async fn push(&mut self, batch: &Batch) -> Result<(), RewriteError> {
        let facts = BatchFacts::of(batch);
        if self.section.is_none() {
            self.buffer.extend_from_slice(OBJECT_MAGIC);
        }
        let position = self.buffer.len() as u64;
        let section = self.section.get_or_insert_with(|| SectionBuilder::new(position, facts));
        section.push(facts, &batch.bytes);
        self.buffer.extend_from_slice(&batch.bytes);
        if self.buffer.len() >= self.segment_bytes { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), RewriteError> {
        let Some(section) = self.section.take() else { return Ok(()) };
        let mut bytes = std::mem::take(&mut self.buffer);
        let name = ObjectName { epoch: self.epoch, number: self.shared.next_object() };
        let section = section.finish(name, &mut bytes);
        self.written.push(name);
        let put = self.objects.put_segment(name, Bytes::from(bytes)).await;
        put.map_err(|error| RewriteError::Object { why: error.to_string() })?;
        self.sections.push(section);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, id: LogId, end_offset: i64) -> Result<(), RewriteError> {
        self.write().await?;
        let (done, answer) = oneshot::channel();
        let sections = std::mem::take(&mut self.sections);
        let (incarnation, replaced) = (self.incarnation, std::mem::take(&mut self.replaced));
        let rewritten = Rewritten { id, incarnation, end_offset, replaced, sections, done };
        // From here on the one who makes manifests looks after the objects.
        let written = std::mem::take(&mut self.written);
        self.shared.rewritten(rewritten, &written)?;
        answer.await.unwrap_or(Err(RewriteError::Store(StoreError::Closed)))
    }
}

impl Drop for ObjectRewrite {
    fn drop(&mut self) {
        if !self.written.is_empty() {
            self.shared.abandon(&self.written);
        }
    }
}

impl Rewritten {
    /// Whether what is to be replaced is still what it was, but for what was given up.
    pub(crate) fn fits(&self, sections: &VecDeque<Section>) -> bool {
        let is_older = |one: &&Section| one.facts.next_offset <= self.end_offset;
        let left: Vec<Section> = sections.iter().take_while(is_older).copied().collect();
        let newer = sections.get(left.len());
        self.replaced.ends_with(&left)
            && newer.is_none_or(|newer| newer.facts.base_offset >= self.end_offset)
    }

    /// The sections of the log with what replaces its older ones, but for what was given up.
    pub(crate) fn replace(
        &self,
        sections: &VecDeque<Section>,
        start_offset: i64,
    ) -> VecDeque<Section> {
        let kept = self.sections.iter().filter(|one| one.facts.next_offset > start_offset);
        let newer = sections.iter().filter(|one| one.facts.next_offset > self.end_offset);
        kept.chain(newer).copied().collect()
    }
}
