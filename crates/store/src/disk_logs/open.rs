//! How a store comes to be: lock, newest manifest, log, and then a manifest of our own.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::DiskLogs;
use crate::chance::fresh;
use crate::error::StoreError;
use crate::limits::{
    BUCKET_LOG_FILES_MAX, CHUNK_FIRST, CHUNKS_PER_FILE_MAX, LONG_LOG_TIMES, MANIFEST_ATTEMPTS_MAX,
};
use crate::logs::Logs;
use crate::mover::{self, MoveError, Mover, MoverOptions};
use crate::objects::{ObjectError, Objects};
use crate::options::{LogPlace, OpenError, Recovery, StoreOptions};
use crate::queue::Shared;
use crate::recover::Recovered;
use crate::section_read::SectionReader;
use crate::segment::manifest::{Manifest, ManifestLog};
use crate::wal::bucket_disk::{BucketDisk, BucketLog};
use crate::wal::chain::{self, ChainError};
use crate::wal::chunk::Author;
use crate::wal::disk::Disk;
use crate::wal::writer::{Writer, WriterOptions};

/// Where the write-ahead log is, below the store's directory.
const LOG_DIRECTORY: &str = "log";

/// Where copies of it are, if it is in the bucket.
const COPIES_DIRECTORY: &str = "log-copies";

/// What is locked while a store is open.
const LOCK_FILE: &str = "lock";

/// Says that a store is open.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not only closed: a process that was begun meanwhile may hold a copy for a moment.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the store's lock cannot be given back");
        }
    }
}

/// A store that is ours.
struct Taken {
    shared: Arc<Shared>,
    writer: Writer,
    /// The manifest that says so.
    manifest: Manifest,
    /// If the log is in the bucket.
    bucket_log: Option<Arc<BucketLog>>,
    recovery: Recovery,
}

impl DiskLogs {
    /// Opens the store and takes over from whoever had it.
    pub(crate) async fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Recovery), OpenError> {
        options.check()?;
        let is_in_bucket = options.log_place != LogPlace::Directory;
        let below = if is_in_bucket { COPIES_DIRECTORY } else { LOG_DIRECTORY };
        let directory = options.directory.join(below);
        fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, &error))?;
        let lock = lock(&options.directory)?;
        let objects = Objects::open(&options.objects, options.fsync)
            .map_err(|why| OpenError::Failed { what: "open the place of segments".into(), why })?;
        if options.fsync {
            // The names of what was just made, and of the directory itself.
            let above = options.directory.parent().filter(|above| !above.as_os_str().is_empty());
            for made_in in above.into_iter().chain([options.directory.as_path()]) {
                let synced = disk.sync_directory(made_in);
                synced.map_err(|error| failed("sync", made_in, &error))?;
            }
        }
        let mut attempts = 0;
        let taken = loop {
            attempts += 1;
            match take(&options, &directory, &disk, &objects).await? {
                Ok(taken) => break taken,
                // The store before us was making a manifest when it ended: begin again with that.
                Err(MoveError::Overtaken(_)) if attempts < MANIFEST_ATTEMPTS_MAX => {}
                Err(MoveError::Fenced { epoch, ours, .. })
                    if (epoch < ours || is_in_bucket) && attempts < MANIFEST_ATTEMPTS_MAX => {}
                Err(error) => return Err(not_claimed(error)),
            }
        };
        let Taken { shared, writer, manifest, bucket_log, recovery } = taken;
        let for_writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("farlog-store-log".to_owned());
        let writer = thread
            .spawn(move || writer.run(&for_writer))
            .map_err(|error| failed("begin the log in", &directory, &error))?;
        let StoreOptions { segment_bytes, log_bytes_max, .. } = options;
        let log_files_max = if is_in_bucket { BUCKET_LOG_FILES_MAX } else { usize::MAX };
        let mover_options =
            MoverOptions { directory, segment_bytes, log_bytes_max, log_files_max, bucket_log };
        let mover = Mover::new(mover_options, Arc::clone(&shared), objects.clone(), &manifest);
        let mover = tokio::spawn(mover.run()).abort_handle();
        let logs = Self {
            shared,
            sections: SectionReader::new(objects.clone()),
            objects,
            epoch: manifest.epoch,
            segment_bytes,
            mover,
            writer: Some(writer),
            _lock: lock,
        };
        Ok((logs, recovery))
    }
}

/// Reads everything, begins a file of the log and makes the manifest that needs it; the inner error
/// if that cannot be made.
async fn take(
    options: &StoreOptions,
    directory: &Path,
    disk: &Arc<dyn Disk>,
    objects: &Objects,
) -> Result<Result<Taken, MoveError>, OpenError> {
    let mut newest = newest_manifest(objects).await?;
    check_place(options.log_place, newest.as_ref())?;
    let bucket_log = match options.log_place {
        LogPlace::Directory => None,
        LogPlace::Bucket { .. } => {
            match bucket_log(options, directory, objects, &mut newest).await? {
                Ok(log) => Some(log),
                Err(error) => return Ok(Err(error)),
            }
        }
    };
    let (newest, recovered) = recovered(options, directory.to_owned(), newest).await?;
    if bucket_log.is_some() {
        // They are open; nobody needs their names.
        chain::clear(directory).map_err(|error| failed("clear", directory, &error))?;
    }
    let recovery = Recovery { logs: recovered.logs(), report: recovered.report };
    let manifest = claim(newest, &recovered, bucket_log.is_some());
    let Recovered { logs, marks, number, sequence, .. } = recovered;
    let shared = Arc::new(Shared::new(logs, options.waiting_bytes_max));
    let writer_options = writer_options(options, directory, disk, bucket_log.as_ref());
    let for_writer = Arc::clone(&shared);
    let beginning = tokio::task::spawn_blocking(move || {
        Writer::new(writer_options, marks, number, sequence, &for_writer)
    });
    let begin_failed = |error: &dyn std::error::Error| failed("begin the log in", directory, error);
    let writer = match beginning.await.map_err(|error| begin_failed(&error))? {
        Ok(writer) => writer,
        Err(StoreError::Fenced { by }) => return Ok(Err(MoveError::Overtaken(by))),
        Err(error) => return Err(begin_failed(&error)),
    };
    let made = mover::commit(objects, &manifest).await;
    Ok(made.map(|()| Taken { shared, writer, manifest, bucket_log, recovery }))
}

/// Where the log is looked for it must be.
fn check_place(place: LogPlace, newest: Option<&Manifest>) -> Result<(), OpenError> {
    const HERE: &str = "in local files";
    const BUCKET: &str = "in the bucket";
    let wanted = if place == LogPlace::Directory { HERE } else { BUCKET };
    match newest.map(|newest| if newest.chunk_from == 0 { HERE } else { BUCKET }) {
        Some(there) if there != wanted => Err(OpenError::LogElsewhere { there, here: wanted }),
        _ => Ok(()),
    }
}

/// Takes over a log that is in the bucket, and makes local files of it; the newest manifest may be
/// another one by then.
async fn bucket_log(
    options: &StoreOptions,
    directory: &Path,
    objects: &Objects,
    newest: &mut Option<Manifest>,
) -> Result<Result<Arc<BucketLog>, MoveError>, OpenError> {
    let first = |newest: &Option<Manifest>| newest.as_ref().map(|newest| newest.chunk_from);
    let epoch = newest.as_ref().map_or(0, |newest| newest.epoch) + 1;
    let author = Author { epoch, number: fresh() };
    let from = first(newest).unwrap_or(CHUNK_FIRST);
    let fence = match chain::fence(objects, from, author).await {
        Ok(fence) => fence,
        Err(ChainError::Missing(number)) => {
            return Ok(Err(MoveError::Overtaken(format!("chunk {number} was deleted"))));
        }
        Err(error) => return Ok(Err(error.into())),
    };
    *newest = newest_manifest(objects).await?;
    let chain = loop {
        let first = first(newest).unwrap_or(CHUNK_FIRST);
        if fence < first {
            return Ok(Err(MoveError::Overtaken(format!("chunk {fence} is not needed any more"))));
        }
        chain::clear(directory).map_err(|error| failed("clear", directory, &error))?;
        let log_from = newest.as_ref().map_or(0, |newest| newest.log_from);
        match chain::read(objects, directory, first, fence, log_from).await {
            Ok(chain) => break chain,
            Err(error @ ChainError::Missing(_)) => {
                // What the store before us has moved meanwhile it has deleted.
                let used = std::mem::replace(newest, newest_manifest(objects).await?);
                if used == *newest {
                    return Ok(Err(error.into()));
                }
            }
            Err(error) => return Ok(Err(error.into())),
        }
    };
    let for_log = Objects::open_for_log(&options.objects, options.fsync);
    let log = for_log.and_then(|objects| {
        BucketLog::new(objects, author, chain).map_err(|error| error.to_string())
    });
    let log = log.map_err(|why| OpenError::Failed { what: "open the log's bucket".into(), why })?;
    Ok(Ok(Arc::new(log)))
}

fn writer_options(
    options: &StoreOptions,
    directory: &Path,
    disk: &Arc<dyn Disk>,
    bucket_log: Option<&Arc<BucketLog>>,
) -> WriterOptions {
    let local = WriterOptions {
        directory: directory.to_owned(),
        fsync: options.fsync,
        log_file_bytes: options.log_file_bytes,
        complete_bytes_max: options.log_bytes_max.saturating_mul(LONG_LOG_TIMES),
        log_file_syncs: u64::MAX,
        interval: Duration::ZERO,
        quiet: Duration::ZERO,
        disk: Arc::clone(disk),
    };
    match (options.log_place, bucket_log) {
        (LogPlace::Bucket { interval }, Some(log)) => WriterOptions {
            // What is not in the bucket is not durable.
            fsync: true,
            log_file_syncs: CHUNKS_PER_FILE_MAX,
            interval,
            quiet: options.bucket_patience,
            disk: Arc::new(BucketDisk(Arc::clone(log))),
            ..local
        },
        _ => local,
    }
}

/// Reads the log, without holding up whoever shares the thread.
async fn recovered(
    options: &StoreOptions,
    directory: PathBuf,
    newest: Option<Manifest>,
) -> Result<(Option<Manifest>, Recovered), OpenError> {
    let (fsync, logs) = (options.fsync, Logs::new(options.cache_bytes));
    let reading = tokio::task::spawn_blocking(move || {
        let recovered = Recovered::read(&directory, logs, fsync, newest.as_ref())?;
        Ok((newest, recovered))
    });
    reading.await.map_err(|error| failed("read", &options.directory, &error))?
}

/// The newest manifest, if there is any.
async fn newest_manifest(objects: &Objects) -> Result<Option<Manifest>, OpenError> {
    let unreadable = |error: ObjectError| OpenError::Failed {
        what: "read the newest manifest".into(),
        why: error.to_string(),
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        let Some(&number) = objects.manifests().await.map_err(unreadable)?.last() else {
            return Ok(None);
        };
        let bytes = match objects.manifest_bytes(number).await {
            // Whoever has the store open has deleted it meanwhile, and made newer ones.
            Err(error) if error.is_not_found() && attempts < MANIFEST_ATTEMPTS_MAX => continue,
            found => found.map_err(unreadable)?,
        };
        let manifest = Manifest::decode(&bytes).filter(|manifest| manifest.number == number);
        return manifest.map(Some).ok_or_else(|| OpenError::Damaged {
            file: format!("manifest {number:016x}"),
            position: 0,
            why: "it is not as it was written".into(),
        });
    }
}

/// The manifest that makes the store ours: the same store, a new epoch.
fn claim(newest: Option<Manifest>, recovered: &Recovered, is_in_bucket: bool) -> Manifest {
    if let Some(newest) = newest {
        let (number, epoch) = (newest.number + 1, newest.epoch + 1);
        return Manifest { number, epoch, author: fresh(), ..newest };
    }
    let as_begun =
        |(&id, &mark)| (id, ManifestLog { mark, sections: Vec::new(), checkpoint: None });
    Manifest {
        number: 1,
        epoch: 1,
        author: fresh(),
        log_from: recovered.first.0,
        sequence: recovered.first.1,
        chunk_from: if is_in_bucket { CHUNK_FIRST } else { 0 },
        incarnation_next: recovered.begun.incarnation_next,
        logs: recovered.begun.logs.iter().map(as_begun).collect(),
    }
}

fn not_claimed(error: MoveError) -> OpenError {
    match error {
        MoveError::Fenced { .. } | MoveError::Overtaken(_) => {
            OpenError::Fenced { by: error.to_string() }
        }
        MoveError::Log(ChainError::Damaged { number, why }) => OpenError::Damaged {
            file: format!("chunk {number:016x} of the write-ahead log"),
            position: 0,
            why: why.to_owned(),
        },
        MoveError::Log(error) => OpenError::Failed {
            what: "take over the write-ahead log in the bucket".into(),
            why: error.to_string(),
        },
        error => OpenError::Failed { what: "make a manifest".into(), why: error.to_string() },
    }
}

fn lock(directory: &Path) -> Result<Lock, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| failed("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path, &error)),
    }
}

fn failed(what: &str, path: &Path, error: &dyn std::error::Error) -> OpenError {
    OpenError::Failed { what: format!("{what} {}", path.display()), why: error.to_string() }
}
