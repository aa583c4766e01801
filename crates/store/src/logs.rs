//! What is known of every log while the store runs: where it reaches, where its bytes are, and the
//! newest of them. No I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::extent::{Batch, Checkpoint, Extent, LogId, SegmentFacts};
use crate::limits::BATCH_OVERHEAD_BYTES;
use crate::piece::{Piece, Stretch};
use crate::rewrite::Rewritten;
use crate::segment::section::Section;
use crate::wal::entry::BatchFacts;
use crate::wal::file_name::FileName;

/// All logs.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) by_id: HashMap<LogId, Log>,
    /// Removed, but that is not durable yet.
    removing: Vec<(LogId, Log)>,
    /// The files of the write-ahead log that exist, by number.
    pub(crate) files: BTreeMap<u64, LogFileState>,
    /// Whether objects may hold something that nothing needs since the last manifest.
    pub(crate) sections_given_up: bool,
    /// Whether all complete files of the write-ahead log are to be moved, few as they are.
    pub(crate) move_all: bool,
    /// Whose newest batches are held, in the order of the appends.
    recent: VecDeque<RecentToken>,
    recent_bytes: usize,
    recent_bytes_max: usize,
    pub(crate) incarnation_next: u64,
}

/// A file of the write-ahead log.
#[derive(Debug)]
pub(crate) struct LogFileState {
    /// For reading.
    pub(crate) file: Arc<File>,
    pub(crate) name: FileName,
    /// Parts of logs in it that can still be read.
    pub(crate) pieces: usize,
    /// As of its last entry, once it is complete.
    pub(crate) bytes: u64,
}

impl LogFileState {
    pub(crate) fn new(name: FileName, file: File, bytes: u64) -> Self {
        Self { file: Arc::new(file), name, pieces: 0, bytes }
    }
}

/// A log's part of what is moved out of the write-ahead log.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) id: LogId,
    pub(crate) incarnation: u64,
    /// In order.
    pub(crate) parts: Vec<LeavingPart>,
    /// Of all its batches.
    pub(crate) size_bytes: u64,
}

/// Entries of one log in one file.
#[derive(Debug)]
pub(crate) struct LeavingPart {
    pub(crate) file: Arc<File>,
    pub(crate) name: FileName,
    pub(crate) stretches: Vec<Stretch>,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) incarnation: u64,
    pub(crate) start_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) durable_end_offset: i64,
    /// Of all that was appended and not given up.
    pub(crate) size_bytes: u64,
    /// Durable, too: what is before it may be forgotten.
    pub(crate) durable_start_offset: i64,
    /// In order; all before the pieces.
    pub(crate) sections: VecDeque<Section>,
    /// In order.
    pub(crate) pieces: VecDeque<Piece>,
    /// The newest durable batches, without a hole.
    recent: VecDeque<Recent>,
    /// The newest that is durable.
    pub(crate) checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct Recent {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

#[derive(Debug)]
struct RecentToken {
    id: LogId,
    incarnation: u64,
    base_offset: i64,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(incarnation: u64, start_offset: i64, end_offset: i64) -> Self {
        Self {
            incarnation,
            start_offset,
            end_offset,
            durable_end_offset: end_offset,
            size_bytes: 0,
            durable_start_offset: start_offset,
            sections: VecDeque::new(),
            pieces: VecDeque::new(),
            recent: VecDeque::new(),
            checkpoint: None,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            start_offset: self.start_offset,
            durable_end_offset: self.durable_end_offset,
            end_offset: self.end_offset,
            size_bytes: self.size_bytes,
        }
    }

    pub(crate) fn segments(&self) -> Vec<SegmentFacts> {
        let moved = self.sections.iter().map(|section| section.facts);
        let all = moved.chain(self.pieces.iter().map(|piece| piece.facts));
        all.filter(|facts| facts.next_offset > self.start_offset).collect()
    }

    /// Batches from memory; `None` if what is wanted first is not there.
    pub(crate) fn read_recent(
        &self,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Option<Vec<Bytes>> {
        if offset == self.durable_end_offset {
            return Some(Vec::new());
        }
        if offset < self.recent.front()?.base_offset {
            return None;
        }
        let first = self.recent.partition_point(|batch| batch.next_offset <= offset);
        let mut taken: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for batch in self.recent.range(first..) {
            let forced = at_least_one && taken.is_empty();
            if bytes + batch.bytes.len() > bytes_max && !forced {
                break;
            }
            bytes += batch.bytes.len();
            taken.push(batch.bytes.clone());
        }
        Some(taken)
    }
}

impl Logs {
    pub(crate) fn new(recent_bytes_max: usize) -> Self {
        Self { recent_bytes_max, ..Self::default() }
    }

    fn named(&mut self, id: LogId, incarnation: u64) -> Option<&mut Log> {
        let there = self.by_id.get_mut(&id).map(|log| (&id, log));
        let removing = self.removing.iter_mut().map(|(id, log)| (&*id, log));
        let mut all = there.into_iter().chain(removing);
        let is_it =
            |&(found, ref log): &(&LogId, &mut Log)| *found == id && log.incarnation == incarnation;
        all.find(is_it).map(|(_, log)| log)
    }

    /// A log, though it may be about to go.
    pub(crate) fn find(&self, id: LogId, incarnation: u64) -> Option<&Log> {
        let removing = self.removing.iter().filter(|(found, _)| *found == id);
        let mut all = self.by_id.get(&id).into_iter().chain(removing.map(|(_, log)| log));
        all.find(|log| log.incarnation == incarnation)
    }

    /// Takes note of a batch that is durable now.
    pub(crate) fn written(
        &mut self,
        id: LogId,
        incarnation: u64,
        file: u64,
        entry: Stretch,
        batch: &Batch,
    ) {
        let bytes = batch.bytes.len() as u64;
        self.index(id, incarnation, file, entry, BatchFacts::of(batch), bytes);
        if self.by_id.get(&id).is_some_and(|log| log.incarnation == incarnation) {
            self.hold(id, incarnation, batch);
        }
    }

    /// Takes note of where a batch is that the log's size already counts.
    pub(crate) fn index(
        &mut self,
        id: LogId,
        incarnation: u64,
        file: u64,
        entry: Stretch,
        facts: BatchFacts,
        batch_bytes: u64,
    ) {
        let Some(log) = self.named(id, incarnation) else { return };
        log.durable_end_offset = facts.next_offset;
        let last = log.pieces.back_mut();
        if last.is_some_and(|last| last.extend(file, facts, batch_bytes, entry)) {
            return;
        }
        log.pieces.push_back(Piece::new(file, facts, batch_bytes, entry));
        if let Some(file) = self.files.get_mut(&file) {
            file.pieces += 1;
        }
    }

    /// Holds a batch in memory, and lets go of the oldest ones.
    fn hold(&mut self, id: LogId, incarnation: u64, batch: &Batch) {
        let Some(log) = self.by_id.get_mut(&id) else { return };
        let bytes = batch.bytes.len() + BATCH_OVERHEAD_BYTES;
        log.recent.push_back(Recent {
            base_offset: batch.base_offset,
            next_offset: batch.next_offset,
            bytes: batch.bytes.clone(),
        });
        let base_offset = batch.base_offset;
        self.recent.push_back(RecentToken { id, incarnation, base_offset, bytes });
        self.recent_bytes += bytes;
        while self.recent_bytes > self.recent_bytes_max
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recent_bytes -= oldest.bytes;
            if let Some(log) = self.by_id.get_mut(&oldest.id)
                && log.incarnation == oldest.incarnation
                // What was rewritten is not held any more.
                && log.recent.front().is_some_and(|one| one.base_offset == oldest.base_offset)
            {
                log.recent.pop_front();
            }
        }
    }

    /// It is durable that a log begins later.
    pub(crate) fn trimmed(&mut self, id: LogId, incarnation: u64, start_offset: i64) {
        let Some(log) = self.named(id, incarnation) else { return };
        log.durable_start_offset = log.durable_start_offset.max(start_offset);
        let start_offset = log.durable_start_offset;
        let after = log.sections.partition_point(|one| one.facts.next_offset <= start_offset);
        log.size_bytes -= log.sections.drain(..after).map(|one| one.facts.size_bytes).sum::<u64>();
        let given_up_some = after > 0;
        let after = log.pieces.partition_point(|piece| piece.facts.next_offset <= start_offset);
        let given_up: Vec<Piece> = log.pieces.drain(..after).collect();
        log.size_bytes -= given_up.iter().map(|piece| piece.facts.size_bytes).sum::<u64>();
        self.release(&given_up);
        self.sections_given_up |= given_up_some;
    }

    /// It is durable what a log's owner wants to find again.
    pub(crate) fn checkpointed(&mut self, id: LogId, incarnation: u64, checkpoint: &Checkpoint) {
        if let Some(log) = self.named(id, incarnation) {
            log.checkpoint = Some(checkpoint.clone());
        }
    }

    /// A log is removed; that is not durable yet.
    pub(crate) fn remove(&mut self, id: LogId) {
        self.removing.extend(self.by_id.remove(&id).map(|log| (id, log)));
    }

    /// It is durable that a log is gone.
    pub(crate) fn removed(&mut self, id: LogId, incarnation: u64) {
        let is_it = |(found, log): &(LogId, Log)| *found == id && log.incarnation == incarnation;
        if let Some(at) = self.removing.iter().position(is_it) {
            let (_, log) = self.removing.swap_remove(at);
            self.sections_given_up |= !log.sections.is_empty();
            self.release(log.pieces.iter());
        }
    }

    fn release<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Piece>) {
        for piece in pieces {
            if let Some(file) = self.files.get_mut(&piece.file) {
                file.pieces -= 1;
            }
        }
    }

    /// Bytes of the complete files of the write-ahead log.
    pub(crate) fn complete_bytes(&self) -> u64 {
        self.files.values().rev().skip(1).map(|file| file.bytes).sum()
    }

    /// The first file that stays when the log is to be at most so long: all before it are to be
    /// moved. Those at the front that hold nothing any more always are; the newest never is. Of a
    /// log that is much longer the oldest part is moved first, so that its files can go.
    pub(crate) fn first_to_stay(&self, log_bytes_max: u64, log_files_max: usize) -> Option<u64> {
        let complete = self.files.len().checked_sub(1)?;
        let unneeded = self.files.values().take(complete).take_while(|file| file.pieces == 0);
        let mut leaving = unneeded.count();
        let bytes = |skip| self.files.values().take(complete).skip(skip).map(|file| file.bytes);
        if self.move_all || complete - leaving > log_files_max {
            leaving = complete;
        } else if bytes(leaving).sum::<u64>() > log_bytes_max {
            // More than one at a time, so that small parts of logs become one larger one.
            let first = leaving;
            let moving = |leaving: usize| bytes(first).take(leaving - first).sum::<u64>();
            while leaving < complete
                && bytes(leaving).sum::<u64>() > log_bytes_max / 2
                && (leaving == first || moving(leaving) < log_bytes_max)
            {
                leaving += 1;
            }
        }
        self.files.keys().nth(leaving).copied()
    }

    /// The manifest says that the older part of a log is another now.
    pub(crate) fn rewritten(&mut self, rewritten: &Rewritten) {
        let Some(log) = self.named(rewritten.id, rewritten.incarnation) else { return };
        let bytes = |log: &Log| log.sections.iter().map(|one| one.facts.size_bytes).sum::<u64>();
        log.size_bytes -= bytes(log);
        log.sections = rewritten.replace(&log.sections, log.durable_start_offset);
        log.size_bytes += bytes(log);
        while log.recent.front().is_some_and(|one| one.base_offset < rewritten.end_offset) {
            log.recent.pop_front();
        }
        // What was given up since the manifest was made is still named there.
        self.sections_given_up = true;
    }

    /// What is to be moved out of the files before `stay`, by name of the log.
    pub(crate) fn leaving(&self, stay: u64) -> Vec<Leaving> {
        let mut all: Vec<Leaving> = Vec::new();
        let removing = self.removing.iter().map(|(id, log)| (id, log));
        for (&id, log) in self.by_id.iter().chain(removing) {
            let pieces = || log.pieces.iter().take_while(|piece| piece.file < stay);
            let size_bytes = pieces().map(|piece| piece.facts.size_bytes).sum();
            let part = |piece: &Piece| {
                let file = self.files.get(&piece.file)?;
                let stretches = piece.runs();
                Some(LeavingPart { file: Arc::clone(&file.file), name: file.name, stretches })
            };
            let parts: Vec<LeavingPart> = pieces().filter_map(part).collect();
            if !parts.is_empty() {
                let incarnation = log.incarnation;
                all.push(Leaving { id, incarnation, parts, size_bytes });
            }
        }
        all.sort_by_key(|log| log.id);
        all
    }

    /// The files before `stay` have been moved to these sections and are not needed any more.
    pub(crate) fn moved(&mut self, stay: u64, sections: &[(LogId, u64, Section)]) -> Vec<FileName> {
        for log in self.by_id.values_mut().chain(self.removing.iter_mut().map(|(_, log)| log)) {
            while log.pieces.front().is_some_and(|piece| piece.file < stay) {
                let piece = log.pieces.pop_front();
                log.size_bytes -= piece.map_or(0, |piece| piece.facts.size_bytes);
            }
        }
        for (id, incarnation, section) in sections {
            let Some(log) = self.named(*id, *incarnation) else {
                self.sections_given_up = true;
                continue;
            };
            if section.facts.next_offset > log.durable_start_offset {
                log.size_bytes += section.facts.size_bytes;
                log.sections.push_back(*section);
            } else {
                self.sections_given_up = true;
            }
        }
        let staying = self.files.split_off(&stay);
        let gone = std::mem::replace(&mut self.files, staying);
        gone.into_values().map(|file| file.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of 100 bytes with a piece each, and a newest one that is not complete.
    fn logs(complete: u64) -> Logs {
        let mut logs = Logs::default();
        for number in 0..=complete {
            let name = FileName { number, sequence: 0, salt: 0 };
            let file = LogFileState::new(name, tempfile::tempfile().unwrap(), 100);
            logs.files.insert(number, LogFileState { pieces: 1, ..file });
        }
        logs
    }

    #[test]
    fn a_long_log_is_moved_part_by_part() {
        let few = usize::MAX;
        assert_eq!(logs(4).complete_bytes(), 400);
        assert_eq!(logs(4).first_to_stay(400, few), Some(0), "it is as long as it may be");
        assert_eq!(logs(5).first_to_stay(400, few), Some(3), "half of it stays");
        assert_eq!(logs(50).first_to_stay(400, few), Some(4), "no more at once than may stay");
        assert_eq!(logs(50).first_to_stay(400, 49), Some(50), "there are too many files");
        let mut unneeded = logs(50);
        unneeded.files.values_mut().take(7).for_each(|file| file.pieces = 0);
        assert_eq!(unneeded.first_to_stay(400, few), Some(11));
        assert_eq!(unneeded.first_to_stay(40_000, few), Some(7));
    }
}
