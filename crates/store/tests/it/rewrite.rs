//! The older part of a log is replaced as a whole, or not at all.

use std::fs;
use std::path::Path;

use farlog_store::{RewriteError, Store, StoreOptions};

use crate::batches::{batch, log, read_all, rewrite, small};

fn options(directory: &Path) -> StoreOptions {
    let mut options = small(directory, 0);
    // Nothing is moved unless somebody asks for it.
    options.log_bytes_max = 1 << 20;
    options.segment_bytes = 2000;
    options
}

/// A log of batches of 4 offsets each.
async fn filled(directory: &Path, batches: i64) -> Store {
    let (store, _) = Store::open(options(directory)).await.unwrap();
    store.create(log(1), 0).await.unwrap();
    for index in 0..batches {
        store.append(log(1), batch(log(1), index * 4, 4, 200)).unwrap().await.unwrap();
    }
    store
}

fn objects(directory: &Path) -> usize {
    fs::read_dir(directory.join("objects/segments")).unwrap().count()
}

/// Every third batch before `end`, the one that ends there, and all behind it.
fn expected(end: i64, batches: i64) -> Vec<u8> {
    let offsets = (0..batches).map(|index| index * 4);
    let kept = offsets.filter(|&base| base % 3 == 0 || base + 4 >= end);
    kept.flat_map(|base| batch(log(1), base, 4, 200).bytes).collect()
}

#[tokio::test]
async fn what_is_kept_is_all_there_is() {
    let place = tempfile::tempdir().unwrap();
    let store = filled(place.path(), 60).await;
    assert_eq!(store.rewritable_end(log(1), 1), None, "all is in the write-ahead log");
    store.move_out().await;
    assert_eq!(store.rewritable_end(log(1), 240), Some(240));
    for index in 60..70 {
        store.append(log(1), batch(log(1), index * 4, 4, 200)).unwrap().await.unwrap();
    }
    let before = objects(place.path());
    rewrite(&store, log(1), 240, |base| base % 3 == 0).await.unwrap();
    assert_eq!(read_all(&store, log(1), 0, 700).await, expected(240, 70));
    for _ in 0..3 {
        store.settle().await;
    }
    assert!(objects(place.path()) < before, "{} of {before} left", objects(place.path()));
    drop(store);
    let (store, _) = Store::open(options(place.path())).await.unwrap();
    assert_eq!(read_all(&store, log(1), 0, 1).await, expected(240, 70));
    store.move_out().await;
    assert_eq!(read_all(&store, log(1), 0, 1).await, expected(240, 70));
}

#[tokio::test]
async fn what_is_not_finished_never_was() {
    let place = tempfile::tempdir().unwrap();
    let store = filled(place.path(), 40).await;
    store.move_out().await;
    let before = objects(place.path());
    let mut begun = store.rewrite(log(1), 160).unwrap();
    for base in [0, 12, 24, 36, 48, 60, 72, 84, 96, 108, 120] {
        begun.push(batch(log(1), base, 4, 200)).await.unwrap();
    }
    assert!(objects(place.path()) > before, "it is on its way");
    let early = begun.finish().await;
    assert!(matches!(early, Err(RewriteError::End { end_offset: 160, .. })), "{early:?}");
    store.move_out().await;
    assert_eq!(objects(place.path()), before, "what it wrote is deleted");
    assert_eq!(read_all(&store, log(1), 0, 700).await, expected(0, 40));
    let outside = store.rewrite(log(1), 6);
    assert!(matches!(outside, Err(RewriteError::Boundary { .. })), "{outside:?}");
}

#[tokio::test]
async fn who_comes_second_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = filled(place.path(), 40).await;
    store.move_out().await;
    let end = store.rewritable_end(log(1), 1).unwrap();
    let mut late = store.rewrite(log(1), end).unwrap();
    late.push(batch(log(1), end - 4, 4, 200)).await.unwrap();
    rewrite(&store, log(1), 160, |base| base % 3 == 0).await.unwrap();
    let refused = late.finish().await;
    assert!(matches!(refused, Err(RewriteError::Boundary { .. })), "{refused:?}");
    assert_eq!(read_all(&store, log(1), 0, 700).await, expected(160, 40));
}
