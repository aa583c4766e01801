//! Makes segment objects of what is in files of the write-ahead log.

use std::collections::VecDeque;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::{MoveError, OfLog};
use crate::logs::{Leaving, LeavingPart};
use crate::segment::section::{OBJECT_MAGIC, ObjectName, SectionBuilder, walk};
use crate::wal::entry::{self, Entry};
use crate::wal::file_name::FileName;

/// Makes one object after the other.
#[derive(Debug)]
pub(super) struct Builder {
    logs: VecDeque<Leaving>,
    /// When the object is full.
    segment_bytes: usize,
    /// Of the first log: its first part, and how many stretches of it have been read.
    part: usize,
    stretch: usize,
    buffer: Vec<u8>,
    /// For the next object.
    spare: Vec<u8>,
}

/// An object to write.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) bytes: Bytes,
    pub(super) sections: Vec<OfLog>,
}

impl Builder {
    pub(super) fn new(logs: Vec<Leaving>, segment_bytes: usize) -> Self {
        let (buffer, spare) = (Vec::new(), Vec::new());
        Self { logs: logs.into(), segment_bytes, part: 0, stretch: 0, buffer, spare }
    }

    /// Takes back the memory of an object that is written, if nobody else has it.
    pub(super) fn reuse(&mut self, bytes: Bytes) {
        if let Ok(mut bytes) = bytes.try_into_mut() {
            bytes.clear();
            self.spare = bytes.into();
        }
    }

    /// `None` when everything has been built.
    pub(super) fn next_object(&mut self, name: ObjectName) -> Result<Option<Built>, MoveError> {
        let left: u64 = self.logs.iter().map(|log| log.size_bytes).sum();
        // Indexes come on top. Grown step by step, an object would be copied and its memory cleared
        // several times over.
        let capacity = self.segment_bytes.saturating_add(self.segment_bytes / 8);
        let capacity = capacity.min(usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(2));
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.reserve_exact(OBJECT_MAGIC.len() + capacity);
        bytes.extend_from_slice(OBJECT_MAGIC);
        let mut sections = Vec::new();
        while let Some(log) = self.logs.front() {
            let (id, incarnation) = (log.id, log.incarnation);
            let section = self.section(&mut bytes)?;
            let section = section.map(|section| section.finish(name, &mut bytes));
            sections.extend(section.map(|section| (id, incarnation, section)));
            if !sections.is_empty() && bytes.len() >= self.segment_bytes {
                break;
            }
        }
        if sections.is_empty() {
            return Ok(None);
        }
        Ok(Some(Built { bytes: Bytes::from(bytes), sections }))
    }

    /// Writes what is left of the first log, as far as the object has room.
    fn section(&mut self, out: &mut Vec<u8>) -> Result<Option<SectionBuilder>, MoveError> {
        let mut section = None;
        while let Some(log) = self.logs.front()
            && let Some(part) = log.parts.get(self.part)
        {
            let Some(stretch) = part.stretches.get(self.stretch) else {
                (self.part, self.stretch) = (self.part + 1, 0);
                continue;
            };
            self.buffer.resize(stretch.bytes, 0);
            let read = part.file.read_exact_at(&mut self.buffer, stretch.position);
            read.map_err(|error| unreadable(part, stretch.position, &error))?;
            copy(part.name, stretch.position, &self.buffer, &mut section, out)?;
            self.stretch += 1;
            if out.len() >= self.segment_bytes {
                return Ok(section);
            }
        }
        self.logs.pop_front();
        (self.part, self.stretch) = (0, 0);
        Ok(section)
    }
}

/// Copies the batches of a stretch of entries.
fn copy(
    name: FileName,
    position: u64,
    stretch: &[u8],
    section: &mut Option<SectionBuilder>,
    out: &mut Vec<u8>,
) -> Result<(), MoveError> {
    let damaged = |at: usize, why: &str| MoveError::LogFile {
        name,
        why: format!("damaged at byte {}: {why}", position + at as u64),
    };
    let mut at = 0;
    while at < stretch.len() {
        let found = entry::decode(&stretch[at..], name.salt);
        let found = found.map_err(|error| damaged(at, &error.to_string()))?;
        let Entry::Append { facts, bytes, .. } = found.entry else {
            return Err(damaged(at, "no batch is where one should be"));
        };
        // It will be found by its own header.
        if walk(bytes).is_none_or(|walked| walked.bytes.len() != bytes.len()) {
            return Err(damaged(at, "not one whole batch"));
        }
        let section = section.get_or_insert_with(|| SectionBuilder::new(out.len() as u64, facts));
        section.push(facts, bytes);
        out.extend_from_slice(bytes);
        at += found.bytes;
    }
    Ok(())
}

fn unreadable(part: &LeavingPart, position: u64, error: &std::io::Error) -> MoveError {
    MoveError::LogFile { name: part.name, why: format!("byte {position}: {error}") }
}
