//! The write-ahead log in the bucket: whoever opens it finds all that was acknowledged, and whoever
//! had it open before acknowledges nothing more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use farlog_store::{
    AppendError, LogPlace, ObjectPlace, OpenError, Store, StoreError, StoreOptions,
};
use farlog_testkit::bucket::{Bucket, Weather};
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::watch;

use crate::batches::{batch, log, next_offset, read_all, small};
use crate::s3::place;

fn options(directory: &Path, objects: ObjectPlace) -> StoreOptions {
    let mut options = small(directory, 0);
    options.log_place = LogPlace::Bucket { interval: Duration::from_millis(1) };
    (options.log_bytes_max, options.segment_bytes) = (0, 4000);
    options.objects = objects;
    options
}

fn in_memory() -> (Arc<InMemory>, ObjectPlace) {
    let memory = Arc::new(InMemory::new());
    (Arc::clone(&memory), ObjectPlace::bucket(memory, "one"))
}

async fn append(store: &Store, count: i64) {
    for _ in 0..count {
        let end = store.extent(log(1)).unwrap().end_offset;
        store.append(log(1), batch(log(1), end, 4, 200)).unwrap().await.unwrap();
    }
}

fn expected(end_offset: i64) -> Vec<u8> {
    (0..end_offset / 4).flat_map(|at| batch(log(1), at * 4, 4, 200).bytes).collect()
}

async fn keys(memory: &InMemory, kind: &str) -> usize {
    let prefix = ObjectPath::from(format!("one/{kind}"));
    memory.list_with_delimiter(Some(&prefix)).await.unwrap().objects.len()
}

#[tokio::test]
async fn nothing_but_the_bucket_is_needed() {
    let machines = tempfile::tempdir().unwrap();
    let (memory, bucket) = in_memory();
    for round in 0..4 {
        let machine = machines.path().join(round.to_string());
        let (store, recovery) = Store::open(options(&machine, bucket.clone())).await.unwrap();
        assert_eq!(recovery.report.was_closed, round > 0);
        store.create(log(1), 0).await.unwrap();
        assert_eq!(store.extent(log(1)).unwrap().end_offset, round * 200);
        append(&store, 50).await;
        store.settle().await;
        assert_eq!(read_all(&store, log(1), 0, 1000).await, expected(round * 200 + 200));
        // A fence for each time it was opened, and what is in files that are not moved yet.
        let chunks = keys(&memory, "log").await;
        assert!(chunks < 15 + round as usize, "{chunks} chunks");
        let copies = std::fs::read_dir(machine.join("log-copies")).unwrap().count();
        assert_eq!(copies, 0, "copies of the log outlive the process");
    }
}

#[tokio::test]
async fn a_log_is_looked_for_where_it_is() {
    let machine = tempfile::tempdir().unwrap();
    let (_, bucket) = in_memory();
    let in_bucket = options(machine.path(), bucket);
    let local = StoreOptions { log_place: LogPlace::Directory, ..in_bucket.clone() };
    drop(Store::open(in_bucket.clone()).await.unwrap());
    let found = Store::open(local.clone()).await;
    assert!(matches!(found, Err(OpenError::LogElsewhere { .. })), "{found:?}");
    let (_, another) = in_memory();
    drop(Store::open(StoreOptions { objects: another.clone(), ..local }).await.unwrap());
    let found = Store::open(StoreOptions { objects: another, ..in_bucket }).await;
    assert!(matches!(found, Err(OpenError::LogElsewhere { .. })), "{found:?}");
}

#[tokio::test]
async fn a_chunk_that_is_damaged_or_missing_is_refused() {
    let machines = tempfile::tempdir().unwrap();
    let (memory, bucket) = in_memory();
    let mut options = options(&machines.path().join("1"), bucket);
    options.log_file_bytes = 1 << 20;
    let (store, _) = Store::open(options.clone()).await.unwrap();
    store.create(log(1), 0).await.unwrap();
    append(&store, 5).await;
    drop(store);
    options.directory = machines.path().join("2");
    let prefix = ObjectPath::from("one/log");
    let listed = memory.list_with_delimiter(Some(&prefix)).await.unwrap().objects;
    // The first is a fence, which nobody reads again.
    for chunk in &listed[1..] {
        let intact = memory.get(&chunk.location).await.unwrap().bytes().await.unwrap();
        for at in (0..intact.len()).step_by(7) {
            let mut damaged = intact.to_vec();
            damaged[at] ^= 1 << (at % 8);
            memory.put(&chunk.location, damaged.into()).await.unwrap();
            let found = Store::open(options.clone()).await;
            assert!(matches!(found, Err(OpenError::Damaged { .. })), "{at}: {found:?}");
        }
        if chunk.location != listed[listed.len() - 1].location {
            memory.delete(&chunk.location).await.unwrap();
            let found = Store::open(options.clone()).await;
            let said = found.unwrap_err().to_string();
            assert!(said.contains("missing"), "{said}");
        }
        memory.put(&chunk.location, intact.into()).await.unwrap();
    }
    let (store, _) = Store::open(options).await.unwrap();
    assert_eq!(read_all(&store, log(1), 0, 1000).await, expected(20));
}

#[tokio::test]
async fn who_comes_back_after_long_is_still_fenced() {
    let machines = tempfile::tempdir().unwrap();
    let (_, bucket) = in_memory();
    let older = options(&machines.path().join("older"), bucket.clone());
    let (older, _) = Store::open(older).await.unwrap();
    older.create(log(1), 0).await.unwrap();
    append(&older, 20).await;
    let newer = options(&machines.path().join("newer"), bucket);
    let (newer, _) = Store::open(newer).await.unwrap();
    // By now all of the chunks and manifests of that time are deleted.
    append(&newer, 100).await;
    newer.settle().await;
    newer.settle().await;
    let refused = older.append(log(1), batch(log(1), 80, 4, 200)).unwrap().await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
    let why = older.refusal().await;
    assert!(why.to_string().contains("another broker has taken over this store"), "{why}");
    let refused = older.append(log(1), batch(log(1), 84, 4, 200)).unwrap_err();
    assert!(matches!(refused, AppendError::Store(StoreError::Fenced { .. })), "{refused}");
    append(&newer, 20).await;
    newer.settle().await;
    assert_eq!(read_all(&newer, log(1), 0, 1000).await, expected(560));
}

/// Appends until it is fenced, and tells what is durable.
async fn write(store: Store, durable: watch::Sender<i64>) {
    loop {
        let end = store.extent(log(1)).unwrap().end_offset;
        let appended = match store.append(log(1), batch(log(1), end, 4, 200)) {
            Ok(appended) => appended.await,
            Err(AppendError::Store(why)) => Err(why),
            Err(why) => panic!("{why}"),
        };
        match appended {
            Ok(()) => drop(durable.send_replace(end + 4)),
            Err(StoreError::Unavailable { .. }) => tokio::task::yield_now().await,
            Err(StoreError::Fenced { .. }) => return,
            Err(why) => panic!("{why}"),
        }
    }
}

/// Brokers take over from each other while they write, in bad weather: what any of them had been
/// told is durable is there when the next one opens, and nothing else than what was written.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_brokers_take_over_from_each_other() {
    let machines = tempfile::tempdir().unwrap();
    let bucket = Bucket::start(7).unwrap();
    let mut writers = Vec::new();
    let (durable, mut told) = watch::channel(0);
    for round in 0..8 {
        bucket.set_weather(Weather { hang: 0, ..Weather::bad(4) });
        let machine = machines.path().join(round.to_string());
        let (store, _) = Store::open(options(&machine, place(&bucket))).await.unwrap();
        let acknowledged = *told.borrow();
        store.create(log(1), 0).await.unwrap();
        let end = store.extent(log(1)).unwrap().end_offset;
        assert!(end >= acknowledged, "{acknowledged} was acknowledged, the log ends at {end}");
        assert_eq!(read_all(&store, log(1), 0, 5000).await, expected(end));
        let (durable, wanted) = (durable.clone(), end + 4 * (3 + round * 7 % 11));
        // A channel of its own would not see what the one before says too late.
        writers.push(tokio::spawn(write(store, durable)));
        told.wait_for(|&durable| durable >= wanted).await.unwrap();
    }
    let last = writers.pop().unwrap();
    for fenced in writers {
        fenced.await.unwrap();
    }
    last.abort();
    assert!(bucket.faults().total() > 8, "{:?}", bucket.faults());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_gone_is_waited_for() {
    let machine = tempfile::tempdir().unwrap();
    let bucket = Bucket::start(8).unwrap();
    let mut options = options(machine.path(), place(&bucket));
    options.bucket_patience = Duration::from_millis(200);
    let (store, _) = Store::open(options).await.unwrap();
    store.create(log(1), 0).await.unwrap();
    append(&store, 3).await;
    bucket.set_weather(Weather::gone());
    let taken = store.append(log(1), batch(log(1), 12, 4, 200)).unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        let end = store.extent(log(1)).unwrap().end_offset;
        match store.append(log(1), batch(log(1), end, 4, 200)) {
            Ok(durable) => waiting.push(durable),
            Err(refused) => break refused,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(matches!(refused, AppendError::Store(StoreError::Unavailable { .. })), "{refused}");
    bucket.set_weather(Weather::default());
    taken.await.unwrap();
    for taken in waiting {
        taken.await.unwrap();
    }
    let end = store.extent(log(1)).unwrap().end_offset;
    assert_eq!(read_all(&store, log(1), 0, 5000).await, expected(end));
    assert_eq!(next_offset(&expected(end)), end);
}
