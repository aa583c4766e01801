//! The one who writes the log: takes everything that waits, writes it once, syncs it once.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, LogFile};
use super::entry::{Entry, Head, Place};
use super::file_name::FileName;
use super::marks::{Mark, Marks};
use crate::chance::fresh;
use crate::error::StoreError;
use crate::logs::LogFileState;
use crate::piece::Stretch;
use crate::queue::{Change, Shared, Waiting};

/// Parts of one system call: the system takes no more at once.
const PARTS_MAX: usize = 1024;

/// Where and how the log is written.
#[derive(Debug)]
pub(crate) struct WriterOptions {
    /// Of the log's files.
    pub(crate) directory: PathBuf,
    pub(crate) fsync: bool,
    pub(crate) log_file_bytes: u64,
    pub(crate) disk: Arc<dyn Disk>,
}

/// Writes the log.
pub(crate) struct Writer {
    options: WriterOptions,
    file: Box<dyn LogFile>,
    name: FileName,
    position: u64,
    /// Of what the file begins with: grows with the number of logs.
    head_bytes: u64,
    /// Of the next entry.
    sequence: u64,
    /// As of the last entry written.
    marks: Marks,
}

/// Frames and what follows each, to be written in one go.
#[derive(Default)]
struct Group<'a> {
    frames: Vec<u8>,
    /// Where each entry's frame ends in `frames`, and what follows it.
    entries: Vec<(usize, &'a [u8])>,
}

impl<'a> Group<'a> {
    /// Adds an entry and says how many bytes it has.
    fn push(&mut self, entry: &Entry<'a>, first: u64, salt: u32) -> usize {
        let in_group = u32::try_from(self.entries.len()).expect("a group has a limit");
        let place = Place { sequence: first + u64::from(in_group), in_group };
        let begin = self.frames.len();
        entry.encode(place, salt, &mut self.frames);
        let payload = entry.payload();
        self.entries.push((self.frames.len(), payload));
        self.frames.len() - begin + payload.len()
    }

    fn write_to(&self, file: &mut dyn LogFile) -> io::Result<()> {
        let mut parts = Vec::with_capacity(PARTS_MAX);
        let mut begin = 0;
        for &(end, payload) in &self.entries {
            if parts.len() + 2 > PARTS_MAX {
                file.write_all(&mut parts)?;
                parts.clear();
            }
            parts.push(IoSlice::new(&self.frames[begin..end]));
            if !payload.is_empty() {
                parts.push(IoSlice::new(payload));
            }
            begin = end;
        }
        file.write_all(&mut parts)
    }
}

impl Writer {
    /// Begins file `number` with an entry of this sequence.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub(crate) fn new(
        options: WriterOptions,
        marks: Marks,
        number: u64,
        sequence: u64,
        shared: &Shared,
    ) -> Result<Self, StoreError> {
        let name = FileName { number, sequence, salt: fresh() as u32 };
        let begun = begin_file(&options, name, &marks);
        let (file, head_bytes, reader) = begun.map_err(|error| failed("begin", name, &error))?;
        let sequence = sequence + 1 + marks.logs.len() as u64;
        shared.rolled(None, LogFileState::new(name, reader, head_bytes));
        Ok(Self { options, file, name, position: head_bytes, head_bytes, sequence, marks })
    }

    /// Writes until the store is closed or something fails.
    pub(crate) fn run(mut self, shared: &Shared) {
        while let Some(group) = shared.take_group() {
            match self.write(shared, &group) {
                Ok(entries) => shared.written(self.name.number, group, &entries),
                Err(why) => {
                    tracing::error!(%why, "the log cannot be written, nothing is taken any more");
                    shared.fail(group, &why);
                    return;
                }
            }
        }
        let mut last = Group::default();
        last.push(&Entry::Close, self.sequence, self.name.salt);
        // Without it the next start is as after a crash: everything is there all the same.
        if let Err(error) = self.write_and_sync(&last) {
            let why = failed("close", self.name, &error);
            tracing::warn!(%why, "the log was not closed in order");
        }
    }

    /// Makes a group durable and says where in the file each entry is.
    fn write(&mut self, shared: &Shared, group: &[Waiting]) -> Result<Vec<Stretch>, StoreError> {
        let wanted = group.iter().any(|waiting| matches!(waiting.change, Change::Roll));
        let written_bytes = self.position - self.head_bytes;
        if written_bytes >= self.options.log_file_bytes || wanted && written_bytes > 0 {
            self.roll(shared)?;
        }
        let mut together = Group::default();
        let mut entries = Vec::with_capacity(group.len());
        let mut position = self.position;
        for waiting in group {
            let Some(entry) = waiting.entry() else {
                entries.push(Stretch { position, bytes: 0 });
                continue;
            };
            self.marks.apply(&entry).map_err(|error| StoreError::Failed {
                what: format!("log {:?}", waiting.id),
                why: error.to_string(),
            })?;
            let bytes = together.push(&entry, self.sequence, self.name.salt);
            entries.push(Stretch { position, bytes });
            position += bytes as u64;
        }
        if !together.entries.is_empty() {
            self.write_and_sync(&together).map_err(|error| failed("write", self.name, &error))?;
        }
        self.position = position;
        self.sequence += together.entries.len() as u64;
        Ok(entries)
    }

    fn write_and_sync(&mut self, group: &Group<'_>) -> io::Result<()> {
        group.write_to(&mut *self.file)?;
        // Never tried again after an error: the system may have dropped what it could not write,
        // and would say the next time that all is well.
        if self.options.fsync { self.file.sync() } else { Ok(()) }
    }

    fn roll(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let name = FileName {
            number: self.name.number + 1,
            sequence: self.sequence,
            salt: fresh() as u32,
        };
        let begun = begin_file(&self.options, name, &self.marks);
        let (file, head_bytes, reader) = begun.map_err(|error| failed("begin", name, &error))?;
        let complete = (self.name.number, self.position);
        (self.file, self.name) = (file, name);
        (self.position, self.head_bytes) = (head_bytes, head_bytes);
        self.sequence += 1 + self.marks.logs.len() as u64;
        shared.rolled(Some(complete), LogFileState::new(name, reader, head_bytes));
        Ok(())
    }
}

/// Makes a file with its head, and says how long it is; and the same file for reading.
fn begin_file(
    options: &WriterOptions,
    name: FileName,
    marks: &Marks,
) -> io::Result<(Box<dyn LogFile>, u64, File)> {
    let path = options.directory.join(name.to_string());
    let mut file = options.disk.create(&path)?;
    let mut head = Group::default();
    let count = u32::try_from(marks.logs.len()).map_err(io::Error::other)?;
    let first = Head { file: name.number, marks: count, incarnation_next: marks.incarnation_next };
    let mut bytes = head.push(&Entry::Head(first), name.sequence, name.salt);
    for (&id, &Mark { incarnation, start_offset, end_offset }) in &marks.logs {
        let mark = Entry::Mark { id, incarnation, start_offset, end_offset };
        bytes += head.push(&mark, name.sequence, name.salt);
    }
    head.write_to(&mut *file)?;
    if options.fsync {
        file.sync()?;
        options.disk.sync_directory(&options.directory)?;
    }
    let reader = File::open(&path)?;
    Ok((file, bytes as u64, reader))
}

fn failed(what: &str, name: FileName, error: &io::Error) -> StoreError {
    StoreError::Failed { what: format!("cannot {what} log file {name}"), why: error.to_string() }
}
