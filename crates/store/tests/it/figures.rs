//! Figures, not a test: `cargo test --release -p farlog-store --test it figures -- --ignored
//! --nocapture --test-threads 1`.

use std::time::Instant;

use farlog_store::{Store, StoreOptions};

use crate::batches::{batch, log, read_all};

const BATCH_BYTES: usize = 16 * 1024;

async fn append(store: &Store, number: u8, bytes: usize) {
    let id = log(number);
    store.create(id, 0).await.unwrap();
    for count in 0..bytes / BATCH_BYTES {
        let made = batch(id, count as i64 * 10, 10, BATCH_BYTES - 61);
        store.append(id, made).unwrap().await.unwrap();
    }
}

async fn rate(fsync: bool, writers: u8, bytes: usize) {
    let place = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(place.path());
    options.fsync = fsync;
    let (store, _) = Store::open(options).await.unwrap();
    let begun = Instant::now();
    let each = bytes / usize::from(writers);
    let tasks: Vec<_> = (0..writers)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { append(&store, number, each).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = begun.elapsed();
    let (megabytes, batches) = (bytes as f64 / 1e6, (bytes / BATCH_BYTES) as f64);
    println!(
        "append, fsync {fsync}, {writers} writers, 16 KiB batches: {:.0} MB/s, {:.0} batches/s",
        megabytes / took.as_secs_f64(),
        batches / took.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a while, and measures"]
async fn appends() {
    rate(true, 1, 16 << 20).await;
    rate(true, 16, 256 << 20).await;
    rate(false, 1, 512 << 20).await;
    rate(false, 16, 1 << 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a while, and measures"]
async fn reopen_a_gigabyte() {
    let place = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(place.path());
    options.fsync = false;
    options.cache_bytes = 0;
    let (store, _) = Store::open(options.clone()).await.unwrap();
    let bytes = 1 << 30;
    append(&store, 1, bytes).await;
    drop(store);
    let begun = Instant::now();
    let (store, recovery) = Store::open(options).await.unwrap();
    println!("reopen: {:?}, {:?}", begun.elapsed(), recovery.report);
    let begun = Instant::now();
    let read = read_all(&store, log(1), 0, 1 << 20).await.len();
    println!("read from files: {:.0} MB/s", read as f64 / 1e6 / begun.elapsed().as_secs_f64());
}
