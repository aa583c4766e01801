//! Finds out at start what the write-ahead log says.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::extent::{Checkpoint, LogId, RecoveredLog};
use crate::logs::{Log, LogFileState, Logs};
use crate::options::{OpenError, RecoveryReport};
use crate::piece::Stretch;
use crate::segment::manifest::{Manifest, ManifestLog};
use crate::wal::disk;
use crate::wal::entry::{Entry, EntryError};
use crate::wal::file_name::FileName;
use crate::wal::head::{self, HeadError};
use crate::wal::marks::{Mark, Marks};
use crate::wal::scan::{Scanner, Tail};

/// What the files of the log come to.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) logs: Logs,
    pub(crate) marks: Marks,
    /// As of the first file's head.
    pub(crate) begun: Marks,
    /// Which one that was, or will be.
    pub(crate) first: (u64, u64),
    /// What had been moved before that.
    moved: Option<BTreeMap<LogId, ManifestLog>>,
    /// Of the file to begin.
    pub(crate) number: u64,
    /// Of the next entry.
    pub(crate) sequence: u64,
    pub(crate) report: RecoveryReport,
}

/// How a file ends.
enum End {
    /// With a valid entry, or with what is not worth anything.
    Whole,
    /// The bytes behind the last valid entry must be cut off at this position.
    Cut { position: u64, bytes: u64 },
    /// Not even its head is there.
    Nothing { bytes: u64 },
}

impl Recovered {
    /// Reads all files of the log in `directory` that the manifest needs, cuts off a torn tail and
    /// deletes the files that it does not need.
    ///
    /// # Errors
    /// If a file is missing, damaged or cannot be read.
    pub(crate) fn read(
        directory: &Path,
        logs: Logs,
        fsync: bool,
        manifest: Option<&Manifest>,
    ) -> Result<Self, OpenError> {
        let mut names = list(directory)?;
        let needed = manifest.map_or(0, |manifest| manifest.log_from);
        for name in names.extract_if(.., |name| name.number < needed) {
            let path = directory.join(name.to_string());
            disk::delete(&path).map_err(|error| failed(&path, &error))?;
        }
        let on_disk = names.first().map_or((1, 1), |name| (name.number, name.sequence));
        let first = manifest.map_or(on_disk, |manifest| (manifest.log_from, manifest.sequence));
        let mut recovered = Self {
            logs,
            marks: Marks::default(),
            begun: Marks::default(),
            first,
            moved: manifest.map(|manifest| manifest.logs.clone()),
            number: first.0,
            sequence: first.1,
            report: RecoveryReport::default(),
        };
        for (index, &name) in names.iter().enumerate() {
            if name.number != recovered.number {
                let directory = directory.to_owned();
                return Err(OpenError::Missing { directory, number: recovered.number });
            }
            recovered.file(directory, name, index == 0, index + 1 == names.len(), fsync)?;
        }
        if manifest.is_some() && !recovered.logs.files.contains_key(&first.0) {
            return Err(OpenError::Missing { directory: directory.to_owned(), number: first.0 });
        }
        recovered.logs.incarnation_next = recovered.marks.incarnation_next;
        recovered.check_begin(directory)?;
        recovered.finish();
        Ok(recovered)
    }

    /// What logs had when the first file was begun must have been moved, or be given up by now.
    fn check_begin(&self, directory: &Path) -> Result<(), OpenError> {
        for (id, begun) in &self.begun.logs {
            let Some(log) = self.logs.find(*id, begun.incarnation) else { continue };
            let moved_until = log.sections.back().map(|section| section.facts.next_offset);
            if log.start_offset < begun.end_offset && moved_until != Some(begun.end_offset) {
                let (directory, number) = (directory.to_owned(), self.first.0.saturating_sub(1));
                return Err(OpenError::Missing { directory, number });
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        for log in self.logs.by_id.values_mut() {
            // A torn tail may have taken what a checkpoint from a manifest accounts for.
            log.checkpoint = log.checkpoint.take().filter(|one| one.at_offset <= log.end_offset);
        }
        let parts = |log: &Log| log.sections.len() + log.pieces.len();
        self.report.segments = self.logs.by_id.values().map(parts).sum();
    }

    fn file(
        &mut self,
        directory: &Path,
        name: FileName,
        is_first: bool,
        is_last: bool,
        fsync: bool,
    ) -> Result<(), OpenError> {
        let path = directory.join(name.to_string());
        let in_file = |what, error: io::Error| OpenError::Failed {
            what: format!("{what} {}", path.display()),
            why: error.to_string(),
        };
        let file = File::open(&path).map_err(|error| in_file("open", error))?;
        let bytes = file.metadata().map_err(|error| in_file("read", error))?.len();
        let reader = file.try_clone().map_err(|error| in_file("open", error))?;
        let state = LogFileState::new(name, reader, bytes);
        self.logs.files.insert(name.number, state);
        let mut replay = Replay {
            recovered: self,
            path: &path,
            name,
            scanner: Scanner::new(file, bytes, name.sequence, name.salt),
        };
        let end = replay.run(is_first)?;
        let sequence = replay.scanner.sequence();
        match end {
            End::Whole => {}
            End::Cut { position, .. } | End::Nothing { bytes: position } if !is_last => {
                let why = "bytes that are no entry, in a file that was complete".to_owned();
                return Err(OpenError::Damaged { file: path.display().to_string(), position, why });
            }
            End::Nothing { bytes } => {
                self.report.torn_bytes += bytes;
                self.logs.files.remove(&name.number);
                disk::delete(&path).map_err(|error| in_file("delete", error))?;
                return sync_directory(directory, fsync).map_err(|error| in_file("delete", error));
            }
            End::Cut { position, bytes } => {
                self.report.torn_bytes += bytes;
                cut(&path, position).map_err(|error| in_file("cut", error))?;
            }
        }
        if is_last && fsync {
            // A process that was killed may have left it to the system to write.
            File::open(&path)
                .and_then(|file| file.sync_data())
                .map_err(|error| in_file("sync", error))?;
        }
        self.report.log_files += 1;
        self.report.log_bytes += bytes;
        (self.number, self.sequence) = (name.number + 1, sequence);
        Ok(())
    }

    /// What the owner of the logs is told.
    pub(crate) fn logs(&self) -> Vec<RecoveredLog> {
        let recovered = |(&id, mark): (&LogId, &Mark)| RecoveredLog {
            id,
            start_offset: mark.start_offset,
            end_offset: mark.end_offset,
            checkpoint: self.logs.by_id.get(&id).and_then(|log| log.checkpoint.clone()),
        };
        self.marks.logs.iter().map(recovered).collect()
    }
}

/// Reads one file into what was recovered so far.
struct Replay<'a> {
    recovered: &'a mut Recovered,
    path: &'a Path,
    name: FileName,
    scanner: Scanner<File>,
}

impl Replay<'_> {
    fn run(&mut self, is_first: bool) -> Result<End, OpenError> {
        if self.name.sequence != self.recovered.sequence {
            return Err(self.damaged(0, "it does not continue the file before"));
        }
        match self.head(is_first)? {
            None => {}
            Some(why) => return self.end(why, true),
        }
        loop {
            match self.scanner.next() {
                Ok(Ok((position, decoded))) => {
                    self.recovered.report.entries += 1;
                    let bytes = decoded.bytes;
                    let entry = Stretch { position, bytes };
                    let applied = self.recovered.apply(&decoded.entry, self.name.number, entry);
                    applied.map_err(|why| self.damaged(position, why))?;
                }
                Ok(Err(why)) => return self.end(why, false),
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    /// Reads the front; what is wrong if it is not all there.
    fn head(&mut self, is_first: bool) -> Result<Option<EntryError>, OpenError> {
        let marks = match head::scan(&mut self.scanner, self.name.number) {
            Ok(marks) => marks,
            Err(HeadError::NoEntry(why)) => return Ok(Some(why)),
            Err(HeadError::Nonsense(position, why)) => return Err(self.damaged(position, why)),
            Err(HeadError::Failed(error)) => return Err(self.failed(&error)),
        };
        if is_first {
            self.recovered.begin(marks).map_err(|why| self.damaged(0, why))?;
        } else if marks != self.recovered.marks {
            return Err(self.damaged(0, "its head contradicts the files before"));
        }
        Ok(None)
    }

    fn end(&mut self, why: EntryError, within_head: bool) -> Result<End, OpenError> {
        let position = self.scanner.position();
        match self.scanner.tail(why) {
            Ok(Tail::Damaged { why }) => Err(self.damaged(position, why)),
            Ok(Tail::Torn { bytes }) if within_head => Ok(End::Nothing { bytes: position + bytes }),
            Ok(Tail::Empty) if within_head => Ok(End::Nothing { bytes: position }),
            Ok(Tail::Torn { bytes }) => Ok(End::Cut { position, bytes }),
            Ok(Tail::Empty) => Ok(End::Whole),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn damaged(&self, position: u64, why: impl ToString) -> OpenError {
        let (file, why) = (self.path.display().to_string(), why.to_string());
        OpenError::Damaged { file, position, why }
    }

    fn failed(&self, error: &io::Error) -> OpenError {
        failed(self.path, error)
    }
}

impl Recovered {
    /// The logs that the first file begins with.
    fn begin(&mut self, marks: Marks) -> Result<(), &'static str> {
        let moved = self.moved.take();
        let known = moved.iter().flatten().map(|(id, log)| (id, &log.mark));
        if moved.is_some() && !known.eq(&marks.logs) {
            return Err("its head contradicts the manifest");
        }
        let mut moved = moved.unwrap_or_default();
        for (&id, mark) in &marks.logs {
            let mut log = Log::new(mark.incarnation, mark.start_offset, mark.end_offset);
            if let Some(moved) = moved.remove(&id) {
                log.size_bytes = moved.sections.iter().map(|one| one.facts.size_bytes).sum();
                log.sections = moved.sections.into();
                log.checkpoint = moved.checkpoint;
            }
            self.logs.by_id.insert(id, log);
        }
        self.begun = marks.clone();
        self.marks = marks;
        Ok(())
    }

    fn apply(
        &mut self,
        entry: &Entry<'_>,
        file: u64,
        stretch: Stretch,
    ) -> Result<(), crate::wal::marks::MarkError> {
        self.marks.apply(entry)?;
        self.report.was_closed = matches!(entry, Entry::Close);
        match *entry {
            Entry::Create { id, incarnation, start_offset } => {
                self.logs.by_id.insert(id, Log::new(incarnation, start_offset, start_offset));
            }
            Entry::Append { id, facts, bytes } => {
                let bytes = bytes.len() as u64;
                if let Some(log) = self.logs.by_id.get_mut(&id) {
                    log.end_offset = facts.next_offset;
                    log.size_bytes += bytes;
                    let incarnation = log.incarnation;
                    self.logs.index(id, incarnation, file, stretch, facts, bytes);
                }
            }
            Entry::Trim { id, start_offset } => {
                if let Some(log) = self.logs.by_id.get_mut(&id) {
                    log.start_offset = log.start_offset.max(start_offset);
                    let (incarnation, start_offset) = (log.incarnation, log.start_offset);
                    self.logs.trimmed(id, incarnation, start_offset);
                }
            }
            Entry::Remove { id } => {
                if let Some(incarnation) = self.logs.by_id.get(&id).map(|log| log.incarnation) {
                    self.logs.remove(id);
                    self.logs.removed(id, incarnation);
                }
            }
            Entry::Checkpoint { id, at_offset, state } => {
                if let Some(log) = self.logs.by_id.get_mut(&id) {
                    let state = bytes::Bytes::copy_from_slice(state);
                    log.checkpoint = Some(Checkpoint { at_offset, state });
                }
            }
            Entry::Head(_) | Entry::Mark { .. } | Entry::Close => {}
        }
        Ok(())
    }
}

/// The log's files, in order.
fn list(directory: &Path) -> Result<Vec<FileName>, OpenError> {
    let mut names = Vec::new();
    for found in fs::read_dir(directory).map_err(|error| failed(directory, &error))? {
        let found = found.map_err(|error| failed(directory, &error))?;
        names.extend(found.file_name().to_str().and_then(FileName::parse));
    }
    names.sort();
    Ok(names)
}

fn cut(path: &PathBuf, position: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(position)?;
    file.sync_all()
}

fn sync_directory(path: &Path, fsync: bool) -> io::Result<()> {
    if fsync { File::open(path)?.sync_all() } else { Ok(()) }
}

fn failed(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Failed { what: format!("read {}", path.display()), why: error.to_string() }
}
