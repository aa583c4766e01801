//! Reads of a log, from wherever its bytes are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::buffers::Buffers;
use crate::error::ReadError;
use crate::extent::LogId;
use crate::limits::READ_BYTES_MAX;
use crate::logs::Logs;
use crate::piece::Stretch;
use crate::queue::Shared;
use crate::section_read::SectionReader;
use crate::segment::section::Section;
use crate::wal::entry::{self, Entry};
use crate::wal::file_name::FileName;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: LogId,
    pub(crate) offset: i64,
    pub(crate) bytes_max: usize,
    pub(crate) at_least_one: bool,
}

/// Where it is.
enum Plan {
    Memory(Vec<Bytes>),
    Files(Vec<FilePart>),
    Section(Section),
}

struct FilePart {
    file: Arc<File>,
    name: FileName,
    stretches: Vec<Stretch>,
}

/// Whole durable batches; fewer than there are, where that is more convenient.
pub(crate) async fn read(
    shared: &Shared,
    sections: &SectionReader,
    wanted: Wanted,
) -> Result<Bytes, ReadError> {
    let bytes_max = wanted.bytes_max.min(READ_BYTES_MAX);
    let wanted = Wanted { bytes_max, ..wanted };
    let mut missing: Option<Section> = None;
    loop {
        let planned = plan(&shared.lock().logs, wanted)?;
        let section = match planned {
            Plan::Memory(batches) => return Ok(joined(&batches)),
            Plan::Files(parts) => {
                let buffers = sections.buffers().clone();
                let reading = move || read_files(&parts, &buffers, wanted);
                let reading = tokio::task::spawn_blocking(reading);
                return reading.await.map_err(|error| failed("the log's files", &error))?;
            }
            Plan::Section(section) => section,
        };
        match sections.read(&section, wanted).await {
            // What was given up, moved or rewritten while it was read may have been deleted.
            Err(error) if error.is_not_found() && missing != Some(section) => {
                missing = Some(section);
            }
            read => return read.map_err(|error| failed("a segment", &error)),
        }
    }
}

fn plan(logs: &Logs, wanted: Wanted) -> Result<Plan, ReadError> {
    let Wanted { id, offset, bytes_max, at_least_one } = wanted;
    let log = logs.by_id.get(&id).ok_or(ReadError::UnknownLog(id))?;
    let (start_offset, end_offset) = (log.start_offset, log.durable_end_offset);
    if offset < start_offset || offset > end_offset {
        return Err(ReadError::OutOfRange { id, offset, start_offset, end_offset });
    }
    if let Some(batches) = log.read_recent(offset, bytes_max, at_least_one) {
        return Ok(Plan::Memory(batches));
    }
    let moved = log.sections.partition_point(|section| section.facts.next_offset <= offset);
    if let Some(section) = log.sections.get(moved) {
        return Ok(Plan::Section(*section));
    }
    let first = log.pieces.partition_point(|piece| piece.facts.next_offset <= offset);
    let mut parts = Vec::new();
    let mut left = bytes_max;
    for piece in log.pieces.range(first..) {
        let Some(file) = logs.files.get(&piece.file) else { break };
        let stretches = piece.stretches(offset, left);
        let bytes: usize = stretches.iter().map(|stretch| stretch.bytes).sum();
        parts.push(FilePart { file: Arc::clone(&file.file), name: file.name, stretches });
        left = left.saturating_sub(bytes);
        if left == 0 {
            break;
        }
    }
    Ok(Plan::Files(parts))
}

fn read_files(parts: &[FilePart], buffers: &Buffers, wanted: Wanted) -> Result<Bytes, ReadError> {
    let stretches = parts.iter().flat_map(|part| &part.stretches);
    let mut buffer = buffers.take(stretches.map(|stretch| stretch.bytes).sum());
    let mut taken_bytes = 0;
    for part in parts {
        for stretch in &part.stretches {
            // Less is taken than read: there is always room behind it.
            let read = &mut buffer[taken_bytes..taken_bytes + stretch.bytes];
            let in_file = |error: io::Error| failed(&part.name.to_string(), &error);
            part.file.read_exact_at(read, stretch.position).map_err(in_file)?;
            let more = take(read, part.name, stretch.position, wanted, &mut taken_bytes)?;
            if !more {
                return Ok(buffer.freeze(..taken_bytes));
            }
        }
    }
    Ok(buffer.freeze(..taken_bytes))
}

/// Moves the batches that are wanted of a stretch to its front, and counts them; `false` when there
/// are enough.
fn take(
    stretch: &mut [u8],
    name: FileName,
    position: u64,
    wanted: Wanted,
    taken_bytes: &mut usize,
) -> Result<bool, ReadError> {
    let mut at = 0;
    let mut front = 0;
    while at < stretch.len() {
        let damaged = |why: &str| ReadError::Failed {
            what: format!("{name} at byte {}", position + at as u64),
            why: why.to_owned(),
        };
        let found = entry::decode(&stretch[at..], name.salt);
        let found = found.map_err(|error| damaged(&error.to_string()))?;
        let Entry::Append { id, facts, bytes } = found.entry else {
            return Err(damaged("no batch is where one should be"));
        };
        if id != wanted.id {
            return Err(damaged("a batch of another log"));
        }
        at += found.bytes;
        let batch_bytes = bytes.len();
        if facts.next_offset <= wanted.offset {
            continue;
        }
        let forced = wanted.at_least_one && *taken_bytes == 0;
        if *taken_bytes + batch_bytes > wanted.bytes_max && !forced {
            return Ok(false);
        }
        stretch.copy_within(at - batch_bytes..at, front);
        front += batch_bytes;
        *taken_bytes += batch_bytes;
    }
    Ok(true)
}

fn joined(batches: &[Bytes]) -> Bytes {
    if let [one] = batches {
        return one.clone();
    }
    let mut joined = BytesMut::with_capacity(batches.iter().map(Bytes::len).sum());
    batches.iter().for_each(|batch| joined.extend_from_slice(batch));
    joined.freeze()
}

fn failed(what: &str, error: &dyn std::error::Error) -> ReadError {
    ReadError::Failed { what: what.to_owned(), why: error.to_string() }
}
