//! What the store does when the disk does not do what it should.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::wal::disk::{Disk, LogFile, SystemDisk, WriteError};
use crate::{AppendError, Batch, LogId, Store, StoreError, StoreOptions};

const LOG: LogId = LogId { topic: [1; 16], partition: 0 };

/// The system's disk, until it is told to fail.
#[derive(Debug, Default)]
struct FailingDisk {
    full: AtomicBool,
    broken: AtomicBool,
}

struct FailingFile {
    disk: Arc<FailingDisk>,
    file: Box<dyn LogFile>,
}

#[derive(Debug)]
struct Handle(Arc<FailingDisk>);

impl Disk for Handle {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = SystemDisk.create(path)?;
        Ok(Box::new(FailingFile { disk: Arc::clone(&self.0), file }))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(path)
    }
}

impl LogFile for FailingFile {
    fn write_all(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        if self.disk.full.load(Ordering::SeqCst) {
            // As a full disk does: some of it is written.
            self.file.write_all(&mut parts[..1])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(parts)
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        if self.disk.broken.load(Ordering::SeqCst) {
            return Err(WriteError::Lasting(io::Error::other("Input/output error")));
        }
        self.file.sync()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.cut(bytes)
    }
}

fn batch(base_offset: i64) -> Batch {
    let mut bytes = vec![0; 100];
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[8..12].copy_from_slice(&88_i32.to_be_bytes());
    let (next_offset, bytes) = (base_offset + 1, Bytes::from(bytes));
    Batch { base_offset, next_offset, max_timestamp_ms: 0, bytes }
}

async fn open(place: &Path) -> (Store, Arc<FailingDisk>) {
    let disk = Arc::new(FailingDisk::default());
    let on = Arc::new(Handle(Arc::clone(&disk)));
    let (store, _) = Store::open_on(StoreOptions::new(place), on).await.unwrap();
    (store, disk)
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let (store, disk) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    store.append(LOG, batch(0)).unwrap().await.unwrap();
    disk.full.store(true, Ordering::SeqCst);
    let taken = store.append(LOG, batch(1)).unwrap();
    let refused = loop {
        // Until the writer has met the full disk, changes are taken as ever.
        match store.append(LOG, batch(store.extent(LOG).unwrap().end_offset)) {
            Ok(_) => tokio::task::yield_now().await,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Store(StoreError::Unavailable { .. })), "{refused}");
    assert!(refused.to_string().contains("no storage space"), "{refused}");
    assert!(store.trim(LOG, 1).await.is_err());
    assert_eq!(store.read(LOG, 0, 1000, true).await.unwrap(), batch(0).bytes);
    assert_eq!(store.extent(LOG).unwrap().durable_end_offset, 1);
    store.room().await;
    disk.full.store(false, Ordering::SeqCst);
    taken.await.unwrap();
    let end = store.extent(LOG).unwrap().end_offset;
    let all: Vec<u8> = (0..end).flat_map(|at| batch(at).bytes).collect();
    loop {
        let next = store.append(LOG, batch(store.extent(LOG).unwrap().end_offset));
        if let Ok(durable) = next {
            durable.await.unwrap();
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(store);
    let (store, recovery) = Store::open(StoreOptions::new(place.path())).await.unwrap();
    assert_eq!(recovery.report.torn_bytes, 0);
    let found = store.read(LOG, 0, 1 << 20, true).await.unwrap();
    assert!(found.starts_with(&all) && found.len() == all.len() + batch(end).bytes.len());
}

#[tokio::test]
async fn a_store_with_a_full_disk_can_be_closed() {
    let place = tempfile::tempdir().unwrap();
    let (store, disk) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    store.append(LOG, batch(0)).unwrap().await.unwrap();
    disk.full.store(true, Ordering::SeqCst);
    let taken = store.append(LOG, batch(1)).unwrap();
    drop(store);
    assert!(matches!(taken.await, Err(StoreError::Closed)));
    let (store, recovery) = Store::open(StoreOptions::new(place.path())).await.unwrap();
    assert!(recovery.report.torn_bytes > 0);
    assert_eq!(store.read(LOG, 0, 1000, true).await.unwrap(), batch(0).bytes);
    store.append(LOG, batch(1)).unwrap().await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_not_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let (store, disk) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    let first = store.append(LOG, batch(0)).unwrap();
    let second = store.append(LOG, batch(1));
    assert!(first.await.is_err());
    disk.broken.store(false, Ordering::SeqCst);
    if let Ok(second) = second {
        assert!(second.await.is_err());
    }
    assert!(store.append(LOG, batch(2)).is_err());
    assert_eq!(store.extent(LOG).unwrap().durable_end_offset, 0);
}

/// Holds the writer up in its sync until it is let go.
#[derive(Debug)]
struct SlowDisk(Arc<tokio::sync::Mutex<()>>);

struct SlowFile(Arc<tokio::sync::Mutex<()>>, Box<dyn LogFile>);

impl Disk for SlowDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(SlowFile(Arc::clone(&self.0), SystemDisk.create(path)?)))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl LogFile for SlowFile {
    fn write_all(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.1.write_all(parts)
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        drop(self.0.blocking_lock());
        self.1.sync()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.1.cut(bytes)
    }
}

#[tokio::test]
async fn too_much_waiting_is_refused_until_there_is_room() {
    let place = tempfile::tempdir().unwrap();
    let hold = Arc::new(tokio::sync::Mutex::new(()));
    let mut options = StoreOptions::new(place.path());
    options.waiting_bytes_max = 250;
    let disk = Arc::new(SlowDisk(Arc::clone(&hold)));
    let (store, _) = Store::open_on(options, disk).await.unwrap();
    store.create(LOG, 0).await.unwrap();
    let held = hold.lock().await;
    let durable: Vec<_> = (0..3).map(|at| store.append(LOG, batch(at)).unwrap()).collect();
    let refused = store.append(LOG, batch(3)).unwrap_err();
    assert!(matches!(refused, AppendError::Busy { waiting_bytes: 300, .. }), "{refused}");
    assert_eq!(store.extent(LOG).unwrap().durable_end_offset, 0);
    assert!(store.read(LOG, 0, 1000, true).await.unwrap().is_empty());
    drop(held);
    store.room().await;
    store.append(LOG, batch(3)).unwrap().await.unwrap();
    for earlier in durable {
        earlier.await.unwrap();
    }
    assert_eq!(store.extent(LOG).unwrap().durable_end_offset, 4);
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    let wrong = [
        Batch { base_offset: 1, next_offset: 2, ..batch(0) },
        Batch { next_offset: 5, ..batch(0) },
        Batch { bytes: batch(0).bytes.slice(..90), ..batch(0) },
        Batch { bytes: Bytes::new(), ..batch(0) },
    ];
    for batch in wrong {
        let refused = store.append(LOG, batch).unwrap_err();
        assert!(matches!(refused, AppendError::NotABatch { .. }), "{refused}");
    }
    assert_eq!(store.extent(LOG).unwrap().end_offset, 0);
}
