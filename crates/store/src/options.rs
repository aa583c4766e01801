//! How a store is opened, and what is found then.

use std::path::PathBuf;
use std::time::Duration;

use crate::extent::RecoveredLog;
use crate::limits::{LOG_FILE_BYTES_MAX, SEGMENT_BYTES_MAX};
use crate::objects::ObjectPlace;

/// Where the write-ahead log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// In files of the store's directory.
    Directory,
    /// With the segments: nothing of the store is anywhere else, and it can be opened anywhere.
    Bucket {
        /// Between two writes to the bucket, unless very much waits: an acknowledgement takes as
        /// long on average as half of it and the bucket together.
        interval: Duration,
    },
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where the write-ahead log is, or copies of what of it is in the bucket; made if it is not
    /// there. One store at a time.
    pub directory: PathBuf,
    /// Whether the write-ahead log is in that directory.
    pub log_place: LogPlace,
    /// Whether what was appended counts as durable only when the disk says so. Without, it is
    /// durable when the system has it: it survives the process, but not the machine.
    pub fsync: bool,
    /// Bytes of one file of the write-ahead log when the next one is begun, at most 1 GiB.
    pub log_file_bytes: u64,
    /// Bytes of complete files of the write-ahead log; beyond them the oldest are moved to
    /// segments.
    pub log_bytes_max: u64,
    /// Where segments and manifests are. Besides the log's newest part, they are all of the store.
    pub objects: ObjectPlace,
    /// Bytes of a segment object, at most 256 MiB; one is made in memory at a time.
    pub segment_bytes: usize,
    /// Bytes of the newest batches that are held in memory for readers.
    pub cache_bytes: usize,
    /// How long the bucket may not take the write-ahead log, if that is where it is, before changes
    /// are refused at once. What was taken waits for it in any case.
    pub bucket_patience: Duration,
    /// Bytes that may wait to be written; appends beyond them are refused. See
    /// [`Store::room`](crate::Store::room).
    pub waiting_bytes_max: usize,
}

/// What was found when a store was opened.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Every log, by name.
    pub logs: Vec<RecoveredLog>,
    /// What to tell the operator.
    pub report: RecoveryReport,
}

/// What was found when a store was opened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Files of the write-ahead log.
    pub log_files: usize,
    /// Their bytes.
    pub log_bytes: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes at the end of the last file that were being written when the power failed or the
    /// process was killed, never acknowledged, and cut off.
    pub torn_bytes: u64,
    /// Whether the store had been closed in order.
    pub was_closed: bool,
    /// Parts of logs that were found.
    pub segments: usize,
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options contradict a limit.
    #[error("{name} must be {allowed}, not {given}")]
    Options {
        /// The option.
        name: &'static str,
        /// What it may be.
        allowed: String,
        /// What it is.
        given: u64,
    },
    /// Another process, or another store in this one, has it open.
    #[error("{} is in use by another broker", directory.display())]
    InUse {
        /// The store's directory.
        directory: PathBuf,
    },
    /// What was once safely on disk is not what was written: served, it would be a hole or worse.
    #[error("{file} is damaged at byte {position}: {why}")]
    Damaged {
        /// The file or object.
        file: String,
        /// Where.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// A file between two others is not there.
    #[error("file {number} of the write-ahead log in {} is missing", directory.display())]
    Missing {
        /// Where it should be.
        directory: PathBuf,
        /// Its number.
        number: u64,
    },
    /// The write-ahead log of this store is in the other place.
    #[error("the write-ahead log of this store is {there}, and is looked for {here}")]
    LogElsewhere {
        /// Where it is.
        there: &'static str,
        /// Where it should be by the options.
        here: &'static str,
    },
    /// Another store was opened in the same place of the bucket while this one was.
    #[error("another broker is opening this store: {by}")]
    Fenced {
        /// What is known of it.
        by: String,
    },
    /// The disk or the bucket refused.
    #[error("cannot {what}: {why}")]
    Failed {
        /// What was being done, with its file or object.
        what: String,
        /// What the system said.
        why: String,
    },
}

impl StoreOptions {
    /// With the defaults, and all in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let objects = ObjectPlace::Directory(directory.join("objects"));
        Self {
            directory,
            log_place: LogPlace::Directory,
            fsync: true,
            log_file_bytes: 64 * 1024 * 1024,
            log_bytes_max: 256 * 1024 * 1024,
            objects,
            segment_bytes: 16 * 1024 * 1024,
            cache_bytes: 32 * 1024 * 1024,
            bucket_patience: Duration::from_secs(10),
            waiting_bytes_max: 64 * 1024 * 1024,
        }
    }

    /// With the defaults, and nothing in this directory that has to survive.
    pub fn in_bucket(
        directory: impl Into<PathBuf>,
        objects: ObjectPlace,
        interval: Duration,
    ) -> Self {
        Self {
            log_place: LogPlace::Bucket { interval },
            objects,
            // Whoever opens the store reads all of the log.
            log_file_bytes: 16 * 1024 * 1024,
            log_bytes_max: 32 * 1024 * 1024,
            ..Self::new(directory)
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if !(1..=LOG_FILE_BYTES_MAX).contains(&self.log_file_bytes) {
            let allowed = format!("between 1 and {LOG_FILE_BYTES_MAX}");
            return Err(OpenError::Options {
                name: "log_file_bytes",
                allowed,
                given: self.log_file_bytes,
            });
        }
        if !(1..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            let allowed = format!("between 1 and {SEGMENT_BYTES_MAX}");
            let given = self.segment_bytes as u64;
            return Err(OpenError::Options { name: "segment_bytes", allowed, given });
        }
        Ok(())
    }
}
