//! The one who writes the log: takes everything that waits, writes it once, syncs it once.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{self, Disk, LogFile, WriteError};
use super::entry::{Entry, Head, Place};
use super::file_name::FileName;
use super::marks::{Mark, Marks};
use super::patience::{Patience, patiently};
use crate::chance::fresh;
use crate::error::StoreError;
use crate::limits::{LONG_LOG_BYTES_PER_SECOND, OBJECT_ATTEMPTS_MAX, WRITE_BYTES};
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
    /// Of complete files: when there are more, they are to be moved before much is written.
    pub(crate) complete_bytes_max: u64,
    /// Syncs of one file when the next one is begun.
    pub(crate) log_file_syncs: u64,
    /// Between the beginnings of two syncs, unless very much waits.
    pub(crate) interval: Duration,
    /// How long the log may not be writable before changes are refused meanwhile.
    pub(crate) quiet: Duration,
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
    /// Of the file so far.
    syncs: u64,
    /// When the last one was begun.
    synced_at: Option<Instant>,
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
        let (mut begin, mut bytes) = (0, 0);
        for &(end, payload) in &self.entries {
            if parts.len() + 2 > PARTS_MAX || bytes >= WRITE_BYTES {
                file.write_all(&mut parts)?;
                parts.clear();
                bytes = 0;
            }
            bytes += end - begin + payload.len();
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
        let patience = Patience { quiet: options.quiet, attempts_max: OBJECT_ATTEMPTS_MAX };
        let begin = || begin_file(&options, name, &marks);
        let (file, head_bytes, reader) =
            patiently(shared, patience, &format!("begin log file {name}"), begin)?;
        let sequence = sequence + 1 + marks.logs.len() as u64;
        shared.rolled(None, LogFileState::new(name, reader, head_bytes));
        let (position, syncs, synced_at) = (head_bytes, 0, None);
        Ok(Self { options, file, name, position, head_bytes, syncs, synced_at, sequence, marks })
    }

    /// Writes until the store is closed or something fails.
    pub(crate) fn run(mut self, shared: &Shared) {
        while let Some(group) = shared.take_group(self.next_sync()) {
            match self.write(shared, &group) {
                Ok(entries) => shared.written(self.name.number, group, &entries),
                Err(why) => {
                    tracing::error!(%why, "the log cannot be written, nothing is taken any more");
                    shared.fail(group, &why);
                    return;
                }
            }
        }
        if !shared.is_ours() {
            return;
        }
        let mut last = Group::default();
        last.push(&Entry::Close, self.sequence, self.name.salt);
        // Without it the next start is as after a crash: everything is there all the same.
        if let Err(why) = self.write_and_sync(&last) {
            tracing::warn!(%why, "log file {} was not closed in order", self.name);
        }
    }

    /// The earliest time of the next sync.
    fn next_sync(&self) -> Option<Instant> {
        self.synced_at.map(|at| at + self.options.interval)
    }

    /// Makes a group durable and says where in the file each entry is.
    fn write(&mut self, shared: &Shared, group: &[Waiting]) -> Result<Vec<Stretch>, StoreError> {
        let wanted = group.iter().any(|waiting| matches!(waiting.change, Change::Roll));
        let written_bytes = self.position - self.head_bytes;
        let is_full = written_bytes >= self.options.log_file_bytes
            || self.syncs >= self.options.log_file_syncs;
        if is_full || wanted && written_bytes > 0 {
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
        // Whoever appends waits with it, instead of filling the disk.
        let pause = (position - self.position) as f64 / LONG_LOG_BYTES_PER_SECOND as f64;
        shared.let_move(self.options.complete_bytes_max, Duration::from_secs_f64(pause));
        if !together.entries.is_empty() {
            self.write_patiently(shared, &together)?;
        }
        self.position = position;
        self.sequence += together.entries.len() as u64;
        Ok(entries)
    }

    fn write_patiently(&mut self, shared: &Shared, group: &Group<'_>) -> Result<(), StoreError> {
        let patience = Patience { quiet: self.options.quiet, attempts_max: usize::MAX };
        let mut is_first = true;
        patiently(shared, patience, &format!("write log file {}", self.name), || {
            if !std::mem::take(&mut is_first) {
                self.file.cut(self.position)?;
            }
            self.write_and_sync(group)
        })
    }

    fn write_and_sync(&mut self, group: &Group<'_>) -> Result<(), WriteError> {
        self.synced_at = Some(Instant::now());
        group.write_to(&mut *self.file)?;
        if self.options.fsync {
            self.file.sync()?;
        }
        self.syncs += 1;
        Ok(())
    }

    fn roll(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let name = FileName {
            number: self.name.number + 1,
            sequence: self.sequence,
            salt: fresh() as u32,
        };
        let patience = Patience { quiet: self.options.quiet, attempts_max: usize::MAX };
        let begin = || begin_file(&self.options, name, &self.marks);
        let (file, head_bytes, reader) =
            patiently(shared, patience, &format!("begin log file {name}"), begin)?;
        let complete = (self.name.number, self.position);
        (self.file, self.name) = (file, name);
        (self.position, self.head_bytes, self.syncs) = (head_bytes, head_bytes, 0);
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
) -> Result<(Box<dyn LogFile>, u64, File), WriteError> {
    let path = options.directory.join(name.to_string());
    // Of an attempt that failed.
    disk::delete(&path)?;
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
    let reader = File::open(&path)?;
    if options.fsync {
        file.sync()?;
        options.disk.begun(&path)?;
    }
    Ok((file, bytes as u64, reader))
}
