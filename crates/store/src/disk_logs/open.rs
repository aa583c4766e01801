//! How a store comes to be: lock, newest manifest, log, and then a manifest of our own.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DiskLogs;
use crate::chance::fresh;
use crate::limits::MANIFEST_ATTEMPTS_MAX;
use crate::logs::Logs;
use crate::mover::{self, MoveError, Mover, MoverOptions};
use crate::objects::{ObjectError, Objects};
use crate::options::{OpenError, Recovery, StoreOptions};
use crate::queue::Shared;
use crate::recover::Recovered;
use crate::section_read::SectionReader;
use crate::segment::manifest::{Manifest, ManifestLog};
use crate::wal::disk::Disk;
use crate::wal::writer::{Writer, WriterOptions};

/// Where the write-ahead log is, below the store's directory.
const LOG_DIRECTORY: &str = "log";

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
    recovery: Recovery,
}

impl DiskLogs {
    /// Opens the store and takes over from whoever had it.
    pub(crate) async fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Recovery), OpenError> {
        options.check()?;
        let directory = options.directory.join(LOG_DIRECTORY);
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
                Err(MoveError::Fenced { epoch, ours, .. })
                    if epoch < ours && attempts < MANIFEST_ATTEMPTS_MAX => {}
                Err(error) => return Err(not_claimed(error)),
            }
        };
        let Taken { shared, writer, manifest, recovery } = taken;
        let for_writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("farlog-store-log".to_owned());
        let writer = thread
            .spawn(move || writer.run(&for_writer))
            .map_err(|error| failed("begin the log in", &directory, &error))?;
        let StoreOptions { segment_bytes, log_bytes_max, .. } = options;
        let mover_options = MoverOptions { directory, segment_bytes, log_bytes_max };
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
    let newest = newest_manifest(objects).await?;
    let (newest, recovered) = recovered(options, directory.to_owned(), newest).await?;
    let recovery = Recovery { logs: recovered.logs(), report: recovered.report };
    let manifest = claim(newest, &recovered);
    let Recovered { logs, marks, number, sequence, .. } = recovered;
    let shared = Arc::new(Shared::new(logs, options.waiting_bytes_max));
    let writer_options = WriterOptions {
        directory: directory.to_owned(),
        fsync: options.fsync,
        log_file_bytes: options.log_file_bytes,
        disk: Arc::clone(disk),
    };
    let for_writer = Arc::clone(&shared);
    let beginning = tokio::task::spawn_blocking(move || {
        Writer::new(writer_options, marks, number, sequence, &for_writer)
    });
    let begin_failed = |error: &dyn std::error::Error| failed("begin the log in", directory, error);
    let writer = beginning.await.map_err(|error| begin_failed(&error))?;
    let writer = writer.map_err(|error| begin_failed(&error))?;
    let made = mover::commit(objects, &manifest).await;
    Ok(made.map(|()| Taken { shared, writer, manifest, recovery }))
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
fn claim(newest: Option<Manifest>, recovered: &Recovered) -> Manifest {
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
        incarnation_next: recovered.begun.incarnation_next,
        logs: recovered.begun.logs.iter().map(as_begun).collect(),
    }
}

fn not_claimed(error: MoveError) -> OpenError {
    match error {
        MoveError::Fenced { .. } => OpenError::Fenced { by: error.to_string() },
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
