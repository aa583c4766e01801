//! What has left the write-ahead log is still there, and what nothing needs is not.

use std::fs;
use std::path::{Path, PathBuf};

use farlog_store::{
    AppendError, Checkpoint, ObjectPlace, OpenError, Store, StoreError, StoreOptions,
};

use crate::batches::{batch, log, read_all, small};

fn options(directory: &Path) -> StoreOptions {
    let mut options = small(directory, 0);
    options.log_bytes_max = 0;
    options.segment_bytes = 4000;
    options
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn append(store: &Store, number: u8, count: i64) {
    let id = log(number);
    store.create(id, 0).await.unwrap();
    for _ in 0..count {
        let end = store.extent(id).unwrap().end_offset;
        store.append(id, batch(id, end, 4, 200)).unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_trimmed_leaves_the_disk() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    append(&store, 1, 100).await;
    append(&store, 2, 100).await;
    store.settle().await;
    let segments = place.path().join("objects/segments");
    assert!(files(&segments).len() >= 10, "{:?}", files(&segments));
    assert_eq!(files(&place.path().join("log")).len(), 1);
    store.remove(log(2)).await.unwrap();
    store.trim(log(1), 396).await.unwrap();
    for _ in 0..3 {
        store.settle().await;
    }
    assert!(files(&segments).len() <= 1, "{:?}", files(&segments));
    assert!(files(&place.path().join("objects/manifests")).len() <= 2);
    assert_eq!(read_all(&store, log(1), 396, 10).await, batch(log(1), 396, 4, 200).bytes);
    drop(store);
    let (store, recovery) = Store::open(options(place.path())).await.unwrap();
    assert_eq!(recovery.logs.len(), 1);
    assert_eq!(read_all(&store, log(1), 396, 10).await, batch(log(1), 396, 4, 200).bytes);
}

#[tokio::test]
async fn many_logs_share_an_object() {
    let place = tempfile::tempdir().unwrap();
    let mut options = options(place.path());
    (options.log_file_bytes, options.segment_bytes) = (100_000, 1 << 20);
    let (store, _) = Store::open(options).await.unwrap();
    for _ in 0..3 {
        for number in 0..200 {
            append(&store, number, 1).await;
        }
    }
    store.settle().await;
    let segments = files(&place.path().join("objects/segments"));
    assert!(segments.len() <= 2, "{segments:?}");
    for number in 0..200 {
        let expected = (0..3).flat_map(|at| batch(log(number), at * 4, 4, 200).bytes);
        assert_eq!(read_all(&store, log(number), 0, 1).await, expected.collect::<Vec<u8>>());
    }
}

#[tokio::test]
async fn a_checkpoint_survives_its_log_file() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    append(&store, 1, 1).await;
    let checkpoint = Checkpoint { at_offset: 4, state: "what there was".into() };
    store.checkpoint(log(1), checkpoint.clone());
    append(&store, 1, 40).await;
    store.settle().await;
    drop(store);
    let (_store, recovery) = Store::open(options(place.path())).await.unwrap();
    assert_eq!(recovery.logs[0].checkpoint.as_ref(), Some(&checkpoint));
}

#[tokio::test]
async fn an_older_store_is_fenced_by_a_newer_one() {
    let place = tempfile::tempdir().unwrap();
    let bucket = ObjectPlace::Directory(place.path().join("bucket"));
    let mut older = options(&place.path().join("older"));
    older.objects = bucket.clone();
    let mut newer = options(&place.path().join("newer"));
    newer.objects = bucket;
    let (first, _) = Store::open(older).await.unwrap();
    append(&first, 1, 20).await;
    first.settle().await;
    // Without the log's newest part nobody can take over.
    let without = Store::open(newer.clone()).await;
    assert!(matches!(without, Err(OpenError::Missing { .. })), "{without:?}");
    for file in files(&place.path().join("older/log")) {
        fs::copy(&file, place.path().join("newer/log").join(file.file_name().unwrap())).unwrap();
    }
    let (second, _) = Store::open(newer).await.unwrap();
    append(&second, 1, 20).await;
    let refused = loop {
        let end = first.extent(log(1)).unwrap().end_offset;
        let appended = match first.append(log(1), batch(log(1), end, 4, 200)) {
            Ok(durable) => durable.await.map_err(AppendError::from),
            Err(refused) => Err(refused),
        };
        match appended {
            Ok(()) => first.settle().await,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Store(StoreError::Fenced { .. })), "{refused}");
    second.settle().await;
    let expected = (0..40).flat_map(|at| batch(log(1), at * 4, 4, 200).bytes);
    assert_eq!(read_all(&second, log(1), 0, 1000).await, expected.collect::<Vec<u8>>());
}

#[tokio::test]
async fn damage_in_a_segment_or_manifest_is_seen() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    append(&store, 1, 10).await;
    store.settle().await;
    let segment = &files(&place.path().join("objects/segments"))[0];
    let intact = fs::read(segment).unwrap();
    // Behind the object's own 12 bytes every byte is under a checksum.
    for at in 12..intact.len() {
        let mut damaged = intact.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(segment, damaged).unwrap();
        let read = store.read(log(1), 0, 1 << 20, true).await;
        assert!(read.is_err(), "byte {at}");
    }
    fs::write(segment, intact).unwrap();
    assert!(store.read(log(1), 0, 1 << 20, true).await.is_ok());
    drop(store);
    let manifest = files(&place.path().join("objects/manifests")).pop().unwrap();
    let intact = fs::read(&manifest).unwrap();
    for at in 0..intact.len() {
        let mut damaged = intact.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&manifest, damaged).unwrap();
        let opened = Store::open(options(place.path())).await;
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "byte {at}: {opened:?}");
    }
}
