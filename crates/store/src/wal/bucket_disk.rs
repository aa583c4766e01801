//! A write-ahead log in a bucket, for the one who writes it: a sync is an object. What was written
//! is in a file as well, which has no name and is only there to be read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::chain::Chain;
use super::chunk::{Author, Chunk};
use super::disk::{Disk, LogFile, SystemDisk, WriteError};
use super::file_name::FileName;
use crate::objects::{Made, Objects};

/// What the log's files and its mover know of the chunks.
pub(crate) struct BucketLog {
    objects: Objects,
    author: Author,
    /// Of the writer's thread alone: it goes on while others wait for that thread.
    runtime: Option<Runtime>,
    state: Mutex<State>,
}

struct State {
    /// Of the next chunk.
    next: u64,
    /// The chunks of each file, by its number.
    files: BTreeMap<u64, RangeInclusive<u64>>,
}

impl fmt::Debug for BucketLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BucketLog").field("author", &self.author).finish_non_exhaustive()
    }
}

impl BucketLog {
    /// A log that was taken over. The objects must be those of the log: see
    /// [`ObjectPlace::Bucket`](crate::ObjectPlace::Bucket).
    ///
    /// # Errors
    /// If the system has no thread or descriptor to give.
    pub(crate) fn new(objects: Objects, author: Author, chain: Chain) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let state = Mutex::new(State { next: chain.next, files: chain.files });
        Ok(Self { objects, author, runtime: Some(runtime), state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first chunk of a file.
    pub(crate) fn first_chunk(&self, file: u64) -> Option<u64> {
        self.lock().files.get(&file).map(|chunks| *chunks.start())
    }

    /// The chunks of a file that nothing needs any more.
    pub(crate) fn forget(&self, file: u64) -> Option<RangeInclusive<u64>> {
        self.lock().files.remove(&file)
    }

    /// Makes the next chunk. After an error the same one must be tried again, or none: it may have
    /// been made.
    fn put(&self, file: FileName, position: u64, bytes: Bytes) -> Result<(), WriteError> {
        let number = self.lock().next;
        let chunk = Chunk { number, author: self.author, file, position, bytes };
        let runtime = self.runtime.as_ref().expect("it is there until this is dropped");
        let made = runtime.block_on(self.objects.create_chunk(number, chunk.encode()));
        match made {
            Ok(Made::Ours) => {
                let mut state = self.lock();
                state.next += 1;
                let first = state.files.get(&file.number).map_or(number, |chunks| *chunks.start());
                state.files.insert(file.number, first..=number);
                Ok(())
            }
            Ok(Made::Theirs(bytes)) => {
                let by = Chunk::decode(&bytes).map_or_else(
                    || "nobody knows whom".to_owned(),
                    |theirs| {
                        format!("epoch {}, ours is {}", theirs.author.epoch, self.author.epoch)
                    },
                );
                Err(WriteError::Fenced(format!("chunk {number} of the log is by {by}")))
            }
            Err(error) => Err(WriteError::Passing(error.to_string())),
        }
    }
}

impl Drop for BucketLog {
    fn drop(&mut self) {
        // Whoever drops it may be within another runtime, where waiting for the end of this one is
        // not allowed; there is nothing to wait for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where the log's files are made.
#[derive(Debug)]
pub(crate) struct BucketDisk(pub(crate) Arc<BucketLog>);

struct ChunkedFile {
    log: Arc<BucketLog>,
    name: FileName,
    /// For reading.
    copy: Box<dyn LogFile>,
    /// Of what is in the bucket.
    bytes: u64,
    /// What is not.
    unsynced: Vec<u8>,
}

impl Disk for BucketDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(FileName::parse);
        let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
        let copy = SystemDisk.create(path)?;
        let log = Arc::clone(&self.0);
        Ok(Box::new(ChunkedFile { log, name, copy, bytes: 0, unsynced: Vec::new() }))
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn begun(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl LogFile for ChunkedFile {
    fn write_all(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        parts.iter().for_each(|part| self.unsynced.extend_from_slice(part));
        self.copy.write_all(parts)
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        let bytes = Bytes::from(std::mem::take(&mut self.unsynced));
        let count = bytes.len() as u64;
        self.log.put(self.name, self.bytes, bytes)?;
        self.bytes += count;
        Ok(())
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.unsynced.clear();
        self.copy.cut(bytes)
    }
}

/// Reads a file from its beginning, whatever others do with the same handle.
#[derive(Debug)]
pub(crate) struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl FromStart {
    pub(crate) fn new(file: Arc<File>) -> Self {
        Self { file, position: 0 }
    }
}

impl io::Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
