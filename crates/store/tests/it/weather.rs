//! A bucket with bad weather: every so often it says no, or says no and does it all the same.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use farlog_store::{ObjectPlace, Store, StoreOptions};
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::batches::{batch, log, read_all, small};

#[derive(Debug, Default)]
struct Weather {
    bucket: InMemory,
    requests: AtomicUsize,
    /// The next manifest is made, but nobody hears of it: it is the last thing before an outage.
    armed: AtomicBool,
    /// Requests that will fail because of it.
    outage: AtomicUsize,
}

impl fmt::Display for Weather {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("weather")
    }
}

impl Weather {
    /// What becomes of a request: every third fails in one way or the other.
    fn next(&self) -> usize {
        let outage = |left: usize| left.checked_sub(1);
        if self.outage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, outage).is_ok() {
            return 1;
        }
        self.requests.fetch_add(1, Ordering::SeqCst) % 6
    }

    fn slow_down() -> Error {
        Error::Generic { store: "weather", source: "503 SlowDown".into() }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Weather {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let turn = self.next();
        if turn == 1 {
            return Err(Self::slow_down());
        }
        let put = self.bucket.put_opts(location, payload, options).await;
        let of_manifest = location.as_ref().contains("manifests");
        if of_manifest && self.armed.swap(false, Ordering::SeqCst) {
            self.outage.store(50, Ordering::SeqCst);
            return Err(Self::slow_down());
        }
        // Done, but the answer is lost.
        if turn == 4 { Err(Self::slow_down()) } else { put }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.next() % 3 == 1 {
            return Err(Self::slow_down());
        }
        self.bucket.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.bucket.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.bucket.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}

fn options(directory: &std::path::Path, bucket: &Arc<Weather>) -> StoreOptions {
    let mut options = small(directory, 0);
    (options.log_bytes_max, options.segment_bytes) = (0, 3000);
    let store = Arc::clone(bucket) as Arc<dyn ObjectStore>;
    options.objects = ObjectPlace::bucket(store, "brokers/1");
    options
}

/// Appends 60 batches in round `round`, and gives their bytes.
async fn append(store: &Store, round: i64) -> Vec<u8> {
    store.create(log(1), 0).await.unwrap();
    let mut appended = Vec::new();
    for at in 0..60 {
        let made = batch(log(1), (round * 60 + at) * 4, 4, 150);
        appended.extend_from_slice(&made.bytes);
        store.append(log(1), made).unwrap().await.unwrap();
    }
    appended
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_slows_down_costs_time_only() {
    let place = tempfile::tempdir().unwrap();
    let bucket = Arc::new(Weather::default());
    let mut expected = Vec::new();
    for round in 0..3 {
        let (store, _) = Store::open(options(place.path(), &bucket)).await.unwrap();
        expected.extend(append(&store, round).await);
        store.settle().await;
        assert!(read_all(&store, log(1), 0, 1000).await == expected);
    }
    assert!(bucket.requests.load(Ordering::SeqCst) > 50);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_nobody_heard_of_is_our_own() {
    let place = tempfile::tempdir().unwrap();
    let bucket = Arc::new(Weather::default());
    let (store, _) = Store::open(options(place.path(), &bucket)).await.unwrap();
    let mut expected = append(&store, 0).await;
    store.settle().await;
    bucket.armed.store(true, Ordering::SeqCst);
    expected.extend(append(&store, 1).await);
    store.settle().await;
    assert!(!bucket.armed.load(Ordering::SeqCst));
    expected.extend(append(&store, 2).await);
    store.settle().await;
    assert!(read_all(&store, log(1), 0, 1000).await == expected);
    drop(store);
    let (store, _) = Store::open(options(place.path(), &bucket)).await.unwrap();
    assert!(read_all(&store, log(1), 0, 1000).await == expected);
}
