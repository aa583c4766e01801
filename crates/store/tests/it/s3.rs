//! A store over a bucket that speaks S3, with 503s and lost answers.

use farlog_store::{ObjectPlace, Store};
use farlog_testkit::bucket::{Bucket, Weather};

use crate::batches::{batch, log, read_all, small};

pub(crate) fn place(bucket: &Bucket) -> ObjectPlace {
    let own = |(name, value): (&str, String)| (name.to_owned(), value);
    let environment = [
        ("AWS_ENDPOINT", "http://192.0.2.1".to_owned()),
        // Of somebody else's environment.
        ("BUCKET", "another".to_owned()),
    ];
    let mut given = bucket.settings().map(own).to_vec();
    given.push(own(("aws_timeout", "1s".to_owned())));
    ObjectPlace::from_address("s3://farlog/brokers/1", environment.map(own), given).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_go_to_s3_and_come_back() {
    let bucket = Bucket::start(1).unwrap();
    bucket.set_weather(Weather { hang: 0, ..Weather::bad(5) });
    let directory = tempfile::tempdir().unwrap();
    let mut options = small(directory.path(), 0);
    (options.log_bytes_max, options.segment_bytes) = (0, 20_000);
    options.log_file_bytes = 10_000;
    options.objects = place(&bucket);
    let mut expected = Vec::new();
    for round in 0..2 {
        let (store, _) = Store::open(options.clone()).await.unwrap();
        store.create(log(1), 0).await.unwrap();
        for at in 0..100 {
            let made = batch(log(1), (round * 100 + at) * 4, 4, 150);
            expected.extend_from_slice(&made.bytes);
            store.append(log(1), made).unwrap().await.unwrap();
        }
        store.settle().await;
        assert!(read_all(&store, log(1), 0, 4000).await == expected);
    }
    let keys = bucket.keys();
    assert!(keys.iter().all(|key| key.starts_with("brokers/1/")), "{keys:?}");
    assert!(keys.iter().any(|key| key.contains("/segments/")), "{keys:?}");
    assert!(bucket.faults().total() >= 3, "{:?}", bucket.faults());
}

#[test]
fn an_address_that_is_no_bucket_is_refused() {
    for address in ["nonsense", "http://example.org/x", "ftp://example.org"] {
        let refused = ObjectPlace::from_address(address, [], []).unwrap_err();
        assert!(refused.to_string().starts_with(address), "{refused}");
    }
    let directory = ObjectPlace::from_address("file:///tmp/farlog", [], []).unwrap();
    assert!(matches!(directory, ObjectPlace::Directory(path) if path.ends_with("tmp/farlog")));
}

#[test]
fn a_setting_that_means_nothing_is_refused() {
    let given = [("aws_endpiont".to_owned(), "http://127.0.0.1:1".to_owned())];
    let refused = ObjectPlace::from_address("s3://farlog", [], given).unwrap_err();
    assert!(refused.to_string().contains("aws_endpiont"), "{refused}");
}
