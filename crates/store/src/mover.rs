//! Moves what is in complete files of the write-ahead log to segment objects, says so in the next
//! manifest, and deletes what nothing needs any more.
//!
//! Ends when the store is dropped (it may be interrupted anywhere: only a manifest changes what the
//! store is) or when another store has taken over. Anything else that goes wrong is tried again.

mod build;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use self::build::Builder;
use crate::error::{RewriteError, StoreError};
use crate::extent::LogId;
use crate::limits::{MOVE_INTERVAL, OBJECT_PAUSE_MIN};
use crate::logs::Log;
use crate::objects::{self, Made, ObjectError, Objects};
use crate::queue::Shared;
use crate::rewrite::Rewritten;
use crate::segment::manifest::{Manifest, ManifestLog};
use crate::segment::section::{ObjectName, Section};
use crate::wal::bucket_disk::{BucketLog, FromStart};
use crate::wal::chain::ChainError;
use crate::wal::chunk::CHUNK_OVERHEAD_BYTES;
use crate::wal::disk;
use crate::wal::file_name::FileName;
use crate::wal::head;
use crate::wal::marks::Marks;

/// A section and the log that it is of, by name and incarnation.
pub(crate) type OfLog = (LogId, u64, Section);

/// How things are moved.
#[derive(Clone, Debug)]
pub(crate) struct MoverOptions {
    /// Of the log's files.
    pub(crate) directory: PathBuf,
    pub(crate) segment_bytes: usize,
    /// Of complete files, when the oldest are moved.
    pub(crate) log_bytes_max: u64,
    /// Complete files, when they are moved.
    pub(crate) log_files_max: usize,
    /// If the log is in the bucket.
    pub(crate) bucket_log: Option<Arc<BucketLog>>,
}

/// Moves.
#[derive(Debug)]
pub(crate) struct Mover {
    options: MoverOptions,
    shared: Arc<Shared>,
    objects: Objects,
    /// Of the newest manifest.
    number: u64,
    epoch: u64,
    author: u64,
    log_from: u64,
    chunk_from: u64,
    /// Of files of the log that are not needed any more.
    chunks_unneeded: Vec<RangeInclusive<u64>>,
    /// What the newest manifest names.
    named: BTreeSet<ObjectName>,
    /// What it does not name, and the one before it did, with its number.
    dropped: Vec<(u64, ObjectName)>,
    /// Written, and perhaps in no manifest.
    stray: BTreeSet<ObjectName>,
    /// The newest manifest that is deleted.
    deleted_until: u64,
    /// Perhaps made already: an attempt that seems to fail may have succeeded, so the same one is
    /// tried again, and no other.
    pending: Option<Pending>,
}

/// A manifest to be made, and what has been moved for it.
#[derive(Debug)]
struct Pending {
    manifest: Manifest,
    moved: Vec<OfLog>,
    rewritten: Vec<Rewritten>,
}

/// Something could not be moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("cannot read log file {name}: {why}")]
    LogFile { name: FileName, why: String },
    #[error("manifest {number} is of epoch {epoch}, and ours is {ours}")]
    Fenced { number: u64, epoch: u64, ours: u64 },
    #[error("the write-ahead log was taken over meanwhile: {0}")]
    Overtaken(String),
    #[error(transparent)]
    Log(#[from] ChainError),
    #[error("{leaving_bytes} bytes were to be moved, and {moved_bytes} were")]
    Incomplete { leaving_bytes: u64, moved_bytes: u64 },
    #[error("manifest {0} is damaged")]
    Damaged(u64),
    #[error("interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Makes the next manifest; nobody else can have made it.
///
/// # Errors
/// [`MoveError::Fenced`] if somebody else has.
pub(crate) async fn commit(objects: &Objects, manifest: &Manifest) -> Result<(), MoveError> {
    let (number, ours) = (manifest.number, manifest.epoch);
    if let Made::Theirs(there) = objects.create_manifest(number, manifest.encode().into()).await? {
        let theirs = Manifest::decode(&there).ok_or(MoveError::Damaged(number))?;
        return Err(MoveError::Fenced { number, epoch: theirs.epoch, ours });
    }
    // Whoever took over long ago has deleted manifests of its own: the number being free proves
    // nothing, if it was the newest one does.
    match objects.manifest_after(number).await? {
        Some(newer) => Err(fenced_by(objects, newer, ours).await?),
        None => Ok(()),
    }
}

/// That somebody else has made a manifest.
async fn fenced_by(objects: &Objects, number: u64, ours: u64) -> Result<MoveError, MoveError> {
    let there = objects.manifest_bytes(number).await?;
    let theirs = Manifest::decode(&there).ok_or(MoveError::Damaged(number))?;
    Ok(MoveError::Fenced { number, epoch: theirs.epoch, ours })
}

impl Mover {
    pub(crate) fn new(
        options: MoverOptions,
        shared: Arc<Shared>,
        objects: Objects,
        newest: &Manifest,
    ) -> Self {
        let sections = newest.logs.values().flat_map(|log| &log.sections);
        let named = sections.map(|section| section.object).collect();
        let Manifest { number, epoch, author, log_from, chunk_from, .. } = *newest;
        let (dropped, stray) = (Vec::new(), BTreeSet::new());
        Self {
            options,
            shared,
            objects,
            number,
            epoch,
            author,
            log_from,
            chunk_from,
            chunks_unneeded: Vec::new(),
            named,
            dropped,
            stray,
            deleted_until: 0,
            pending: None,
        }
    }

    pub(crate) async fn run(mut self) {
        if let Err(error) = self.find_leftovers().await {
            tracing::warn!(%error, "what earlier stores left behind cannot be listed");
        }
        let mut pause = OBJECT_PAUSE_MIN;
        loop {
            match self.pass().await {
                Ok(()) => {
                    pause = OBJECT_PAUSE_MIN;
                    if self.is_behind() {
                        continue;
                    }
                    self.shared.passed();
                    tokio::select! {
                        () = self.shared.next_roll() => {}
                        () = tokio::time::sleep(MOVE_INTERVAL) => {}
                    }
                }
                Err(error @ MoveError::Fenced { .. }) => {
                    let why = StoreError::Fenced { by: error.to_string() };
                    tracing::error!(%why, "nothing is taken any more");
                    self.shared.fail(Vec::new(), &why);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the log's files are kept for longer, will try again");
                    tokio::time::sleep(pause).await;
                    pause = objects::longer(pause);
                }
            }
        }
    }

    /// Whether there is more to be moved.
    fn is_behind(&self) -> bool {
        let MoverOptions { log_bytes_max, log_files_max, .. } = self.options;
        let stay = self.shared.lock().logs.first_to_stay(log_bytes_max, log_files_max);
        stay.is_some_and(|stay| stay != self.log_from)
    }

    /// Moves what there is to move, and deletes what there is to delete.
    pub(crate) async fn pass(&mut self) -> Result<(), MoveError> {
        if self.pending.is_none() {
            let rewritten = self.take_rewritten();
            let prepared = self.prepare(&rewritten).await;
            let mut state = self.shared.lock();
            if let Ok(Some((manifest, moved))) = prepared {
                state.logs.move_all = false;
                drop(state);
                self.pending = Some(Pending { manifest, moved, rewritten });
            } else {
                state.logs.sections_given_up |= prepared.is_err();
                state.logs.move_all &= prepared.is_err();
                for section in rewritten.iter().flat_map(|one| &one.sections) {
                    self.stray.remove(&section.object);
                    state.unnamed.push(section.object);
                }
                state.rewritten.splice(..0, rewritten);
                drop(state);
                prepared?;
            }
        }
        let Some(pending) = self.pending.as_ref() else {
            self.check_fence().await?;
            return self.delete().await;
        };
        commit(&self.objects, &pending.manifest).await?;
        let Some(Pending { manifest, moved, rewritten }) = self.pending.take() else {
            return Ok(());
        };
        self.committed(&manifest);
        let unneeded = {
            let mut state = self.shared.lock();
            rewritten.iter().for_each(|rewritten| state.logs.rewritten(rewritten));
            state.logs.moved(manifest.log_from, &moved)
        };
        self.shared.has_moved();
        for rewritten in rewritten {
            // Whoever asked may not wait for the answer.
            let _ = rewritten.done.send(Ok(()));
        }
        for name in unneeded {
            let path = self.options.directory.join(name.to_string());
            // What is left is found again at the next start.
            if let Err(error) = disk::delete(&path) {
                tracing::warn!(path = %path.display(), %error, "a log file cannot be deleted");
            }
            let log = self.options.bucket_log.as_ref();
            self.chunks_unneeded.extend(log.and_then(|log| log.forget(name.number)));
        }
        self.delete().await
    }

    /// Whoever writes nothing must learn in another way that it is not wanted any more.
    async fn check_fence(&self) -> Result<(), MoveError> {
        let next = self.number + 1;
        if self.options.bucket_log.is_some() && self.objects.has_manifest(next).await? {
            return Err(fenced_by(&self.objects, next, self.epoch).await?);
        }
        Ok(())
    }

    /// What is to replace parts of logs, as far as they are still as they were.
    fn take_rewritten(&mut self) -> Vec<Rewritten> {
        let mut state = self.shared.lock();
        self.stray.extend(std::mem::take(&mut state.unnamed));
        let all = std::mem::take(&mut state.rewritten);
        let mut logs = BTreeSet::new();
        let (fitting, others) = all.into_iter().partition(|one: &Rewritten| {
            let log = state.logs.find(one.id, one.incarnation);
            logs.insert(one.id) && log.is_some_and(|log| one.fits(&log.sections))
        });
        drop(state);
        for Rewritten { id, end_offset, done, .. } in others {
            let _ = done.send(Err(RewriteError::Boundary { id, end_offset }));
        }
        fitting
    }

    /// Writes what is to be moved; `None` if there is no need for another manifest.
    async fn prepare(
        &mut self,
        rewritten: &[Rewritten],
    ) -> Result<Option<(Manifest, Vec<OfLog>)>, MoveError> {
        let (name, file, leaving) = {
            let mut state = self.shared.lock();
            let MoverOptions { log_bytes_max, log_files_max, .. } = self.options;
            let Some(stay) = state.logs.first_to_stay(log_bytes_max, log_files_max) else {
                return Ok(None);
            };
            let given_up = std::mem::take(&mut state.logs.sections_given_up);
            // Until the second manifest without it nothing is deleted.
            let waits = self.dropped.iter().any(|&(dropped_by, _)| dropped_by == self.number);
            if stay == self.log_from && !given_up && !waits && rewritten.is_empty() {
                return Ok(None);
            }
            let Some(file) = state.logs.files.get(&stay) else { return Ok(None) };
            (file.name, Arc::clone(&file.file), state.logs.leaving(stay))
        };
        let head = head(name, file).await?;
        let leaving_bytes: u64 = leaving.iter().map(|log| log.size_bytes).sum();
        let moved = self.write(Builder::new(leaving, self.options.segment_bytes)).await?;
        // The last moment to see it: the log's files are deleted next.
        let moved_bytes: u64 = moved.iter().map(|(_, _, section)| section.facts.size_bytes).sum();
        if moved_bytes != leaving_bytes {
            return Err(MoveError::Incomplete { leaving_bytes, moved_bytes });
        }
        Ok(Some((self.manifest(name, head, &moved, rewritten), moved)))
    }

    /// Writes the segments, one after the other.
    async fn write(&mut self, mut builder: Builder) -> Result<Vec<OfLog>, MoveError> {
        let mut sections = Vec::new();
        loop {
            let name = ObjectName { epoch: self.epoch, number: self.shared.next_object() };
            let building = tokio::task::spawn_blocking(move || {
                let built = builder.next_object(name);
                (builder, built)
            });
            let (rest, built) = building.await?;
            builder = rest;
            let Some(built) = built? else { return Ok(sections) };
            self.stray.insert(name);
            self.objects.put_segment(name, built.bytes.clone()).await?;
            sections.extend(built.sections);
            builder.reuse(built.bytes);
        }
    }

    /// The next manifest: the logs as they were when the file was begun, and where they are.
    fn manifest(
        &self,
        from: FileName,
        head: Marks,
        moved: &[OfLog],
        rewritten: &[Rewritten],
    ) -> Manifest {
        let mut logs = std::collections::BTreeMap::new();
        let state = self.shared.lock();
        for (id, mark) in head.logs {
            let log = state.logs.find(id, mark.incarnation);
            let replaces = |one: &&Rewritten| one.id == id && one.incarnation == mark.incarnation;
            let there = log.map(|log| match rewritten.iter().find(replaces) {
                Some(one) => one.replace(&log.sections, log.durable_start_offset),
                None => log.sections.clone(),
            });
            let checkpoint = log.and_then(|log| log.checkpoint.clone());
            logs.insert(
                id,
                ManifestLog { mark, sections: there.unwrap_or_default().into(), checkpoint },
            );
        }
        for (id, incarnation, section) in moved {
            let start =
                state.logs.find(*id, *incarnation).map(|log: &Log| log.durable_start_offset);
            if start.is_some_and(|start| section.facts.next_offset > start)
                && let Some(log) = logs.get_mut(id)
                && log.mark.incarnation == *incarnation
            {
                log.sections.push(*section);
            }
        }
        drop(state);
        let log = self.options.bucket_log.as_ref();
        let chunk_from = log.and_then(|log| log.first_chunk(from.number)).unwrap_or_default();
        Manifest {
            number: self.number + 1,
            epoch: self.epoch,
            author: self.author,
            log_from: from.number,
            sequence: from.sequence,
            chunk_from,
            incarnation_next: head.incarnation_next,
            logs,
        }
    }

    fn committed(&mut self, manifest: &Manifest) {
        (self.number, self.log_from) = (manifest.number, manifest.log_from);
        self.chunk_from = manifest.chunk_from;
        let sections = manifest.logs.values().flat_map(|log| &log.sections);
        let named = sections.map(|section| section.object).collect();
        let before = std::mem::replace(&mut self.named, named);
        let dropped = before.difference(&self.named).map(|&name| (self.number, name));
        self.dropped.extend(dropped);
        self.stray.retain(|name| !self.named.contains(name));
    }

    /// Deletes what the newest two manifests do not name, and the manifests before them.
    async fn delete(&mut self) -> Result<(), MoveError> {
        let deletable = |&&(dropped_by, _): &&(u64, ObjectName)| dropped_by < self.number;
        let dropped = self.dropped.iter().filter(deletable).map(|&(_, name)| name);
        let names: Vec<ObjectName> = self.stray.iter().copied().chain(dropped).collect();
        for name in names {
            self.objects.delete_segment(name).await?;
            self.stray.remove(&name);
            self.dropped.retain(|&(_, dropped)| dropped != name);
        }
        while let Some(chunks) = self.chunks_unneeded.last() {
            self.objects.delete_chunks(chunks.clone()).await?;
            self.chunks_unneeded.pop();
        }
        let old = self.number.saturating_sub(2);
        if old > self.deleted_until {
            self.objects.delete_manifest(old).await?;
            self.deleted_until = old;
        }
        Ok(())
    }

    /// What earlier stores wrote and no manifest names, and manifests that they did not delete.
    async fn find_leftovers(&mut self) -> Result<(), ObjectError> {
        let found = self.objects.segments().await?;
        let theirs = found.into_iter().filter(|name| name.epoch < self.epoch);
        self.stray.extend(theirs.filter(|name| !self.named.contains(name)));
        for number in self.objects.manifests().await? {
            if number + 1 < self.number {
                self.objects.delete_manifest(number).await?;
            }
        }
        if self.options.bucket_log.is_some() {
            let listed = self.objects.chunks(0).await?;
            let unneeded = listed.iter().filter(|chunk| {
                // All but fences.
                chunk.number < self.chunk_from && chunk.size_bytes > CHUNK_OVERHEAD_BYTES as u64
            });
            let unneeded: Vec<u64> = unneeded.map(|chunk| chunk.number).collect();
            self.objects.delete_chunks(unneeded.into_iter()).await?;
        }
        Ok(())
    }
}

/// What the logs were when a file was begun.
async fn head(name: FileName, file: Arc<File>) -> Result<Marks, MoveError> {
    let reading = tokio::task::spawn_blocking(move || {
        let bytes = file.metadata()?.len();
        head::read(FromStart::new(file), bytes, name)
    });
    let read: io::Result<_> = reading.await?;
    read.map_err(|error| MoveError::LogFile { name, why: error.to_string() })
}
