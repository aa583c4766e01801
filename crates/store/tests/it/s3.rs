//! A store over a bucket that speaks S3, with 503s and lost answers.

use std::sync::atomic::Ordering;

use farlog_store::{ObjectPlace, Store};

use crate::batches::{batch, log, read_all, small};
use crate::s3_server::Server;

fn place(server: &Server) -> ObjectPlace {
    let settings = [
        ("AWS_ENDPOINT", format!("http://{}", server.address)),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "nowhere".to_owned()),
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "key".to_owned()),
        // Of somebody else's environment.
        ("BUCKET", "another".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    ObjectPlace::from_address("s3://farlog/brokers/1", settings).unwrap()
}

#[tokio::test]
async fn segments_go_to_s3_and_come_back() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = small(directory.path(), 0);
    (options.log_bytes_max, options.segment_bytes) = (0, 20_000);
    options.log_file_bytes = 10_000;
    options.objects = place(&server);
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
    let keys = server.state.keys();
    assert!(keys.iter().all(|key| key.starts_with("brokers/1/")), "{keys:?}");
    assert!(keys.iter().any(|key| key.contains("/segments/")), "{keys:?}");
    assert!(server.state.faults.load(Ordering::SeqCst) >= 3);
}

#[test]
fn an_address_that_is_no_bucket_is_refused() {
    for address in ["nonsense", "http://example.org/x", "ftp://example.org"] {
        let refused = ObjectPlace::from_address(address, []).unwrap_err();
        assert!(refused.to_string().starts_with(address), "{refused}");
    }
    let directory = ObjectPlace::from_address("file:///tmp/farlog", []).unwrap();
    assert!(matches!(directory, ObjectPlace::Directory(path) if path.ends_with("tmp/farlog")));
}
