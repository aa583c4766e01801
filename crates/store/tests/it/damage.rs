//! Torn tails are cut off, damage is refused.

use std::fs;
use std::path::{Path, PathBuf};

use farlog_store::{OpenError, Store, StoreOptions};

use crate::batches::{batch, log, read_all};

fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.fsync = false;
    options.cache_bytes = 0;
    options
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("log")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("log")).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join("log").join(file.file_name().unwrap())).unwrap();
    }
}

/// Appends one after the other, so that each is a group of its own; gives where each ends in the
/// file. The store is left as a killed process leaves it.
async fn written(directory: &Path, count: usize) -> Vec<u64> {
    let live = directory.with_extension("live");
    let (store, _) = Store::open(options(&live)).await.unwrap();
    store.create(log(1), 0).await.unwrap();
    let mut ends = vec![fs::metadata(&files(&live)[0]).unwrap().len()];
    for number in 0..count {
        let batch = batch(log(1), number as i64 * 3, 3, 20 + number);
        store.append(log(1), batch).unwrap().await.unwrap();
        ends.push(fs::metadata(&files(&live)[0]).unwrap().len());
    }
    copy(&live, directory);
    ends
}

fn expected(count: usize) -> Vec<u8> {
    let batches = (0..count).map(|number| batch(log(1), number as i64 * 3, 3, 20 + number));
    batches.flat_map(|batch| batch.bytes).collect()
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off() {
    let place = tempfile::tempdir().unwrap();
    let written_in = place.path().join("written");
    let ends = written(&written_in, 6).await;
    for bytes in ends[3]..*ends.last().unwrap() {
        let torn = place.path().join(format!("torn-{bytes}"));
        copy(&written_in, &torn);
        let file = fs::OpenOptions::new().write(true).open(&files(&torn)[0]).unwrap();
        file.set_len(bytes).unwrap();
        let whole = ends.iter().rposition(|&end| end <= bytes).unwrap();
        let (store, recovery) = Store::open(options(&torn)).await.unwrap();
        assert_eq!(recovery.report.torn_bytes, bytes - ends[whole]);
        assert!(!recovery.report.was_closed);
        assert_eq!(read_all(&store, log(1), 0, 1 << 20).await, expected(whole));
        // And it goes on from there.
        let next = batch(log(1), whole as i64 * 3, 3, 20 + whole);
        store.append(log(1), next).unwrap().await.unwrap();
        drop(store);
        let (store, recovery) = Store::open(options(&torn)).await.unwrap();
        assert_eq!(recovery.report.torn_bytes, 0);
        assert_eq!(read_all(&store, log(1), 0, 1 << 20).await, expected(whole + 1));
        drop(store);
        fs::remove_dir_all(torn).unwrap();
    }
}

#[tokio::test]
async fn a_head_torn_at_any_byte_is_begun_again() {
    let place = tempfile::tempdir().unwrap();
    let written_in = place.path().join("written");
    written(&written_in, 2).await;
    drop(Store::open(options(&written_in)).await.unwrap());
    let head_bytes = fs::metadata(&files(&written_in)[1]).unwrap().len();
    for bytes in 0..head_bytes {
        let torn = place.path().join(format!("torn-{bytes}"));
        copy(&written_in, &torn);
        let file = fs::OpenOptions::new().write(true).open(&files(&torn)[1]).unwrap();
        file.set_len(bytes).unwrap();
        let (store, _) = Store::open(options(&torn)).await.unwrap();
        assert_eq!(read_all(&store, log(1), 0, 1 << 20).await, expected(2));
        drop(store);
        fs::remove_dir_all(torn).unwrap();
    }
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_group_is_refused_with_its_place() {
    let place = tempfile::tempdir().unwrap();
    let written_in = place.path().join("written");
    let ends = written(&written_in, 4).await;
    let file = files(&written_in)[0].clone();
    let bytes = fs::read(&file).unwrap();
    let last_begins = ends[ends.len() - 2];
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&file, &flipped).unwrap();
        let found = Store::open(options(&written_in)).await;
        if (at as u64) < last_begins {
            let Err(OpenError::Damaged { position, .. }) = found else {
                panic!("byte {at}: {found:?}");
            };
            assert!(position <= at as u64, "byte {at} is said to be at {position}");
        } else {
            let (store, recovery) = found.unwrap();
            assert_eq!(recovery.report.torn_bytes, bytes.len() as u64 - last_begins);
            assert_eq!(read_all(&store, log(1), 0, 1 << 20).await, expected(3));
            drop(store);
            for newer in files(&written_in).split_off(1) {
                fs::remove_file(newer).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn damage_in_a_file_that_was_complete_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let written_in = place.path().join("written");
    written(&written_in, 4).await;
    drop(Store::open(options(&written_in)).await.unwrap());
    let file = files(&written_in)[0].clone();
    let bytes = fs::read(&file).unwrap();
    for (cut, what) in [(bytes.len() - 1, "cut"), (0, "emptied")] {
        fs::write(&file, &bytes[..cut]).unwrap();
        let found = Store::open(options(&written_in)).await;
        assert!(matches!(found, Err(OpenError::Damaged { .. })), "{what}: {found:?}");
    }
    fs::remove_file(&file).unwrap();
    let found = Store::open(options(&written_in)).await;
    assert!(matches!(found, Err(OpenError::Missing { .. })), "{found:?}");
}

#[tokio::test]
async fn a_flipped_bit_is_seen_by_readers() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    store.create(log(1), 0).await.unwrap();
    store.append(log(1), batch(log(1), 0, 3, 500)).unwrap().await.unwrap();
    let file = &files(place.path())[0];
    let mut bytes = fs::read(file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    fs::write(file, bytes).unwrap();
    let error = store.read(log(1), 0, 1 << 20, true).await.unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn a_second_store_in_the_same_place_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    let second = Store::open(options(place.path())).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    drop(store);
    Store::open(options(place.path())).await.unwrap();
}
