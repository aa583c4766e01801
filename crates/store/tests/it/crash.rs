//! A process that writes is killed: what it was told is durable is there afterwards.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use farlog_store::{LogPlace, ObjectPlace, Store, StoreOptions};

use crate::batches::{batch, log, next_offset, read_all, rewrite};

const DIRECTORY: &str = "FARLOG_STORE_CRASH_DIRECTORY";

/// Of a log in the bucket; without it the log is in the directory.
const BUCKET: &str = "FARLOG_STORE_CRASH_BUCKET";
const LOGS: u8 = 3;
const ROUNDS: usize = 20;

fn options(directory: &Path, bucket: Option<&Path>) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    if let Some(bucket) = bucket {
        options.objects = ObjectPlace::Directory(bucket.to_owned());
        options.log_place = LogPlace::Bucket { interval: Duration::from_millis(1) };
    }
    options.log_file_bytes = 100_000;
    options.cache_bytes = 10_000;
    options.log_bytes_max = 150_000;
    options.segment_bytes = 60_000;
    options
}

/// Not a test: the process that is killed. Appends for ever, and prints what is durable.
#[test]
#[ignore = "the process that the test below kills"]
fn writer() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bucket = std::env::var_os(BUCKET);
        let options = options(directory.as_ref(), bucket.as_deref().map(Path::new));
        let (store, _) = Store::open(options).await.unwrap();
        let writers = (0..LOGS).map(|number| tokio::spawn(write(store.clone(), number)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Store, number: u8) {
    let id = log(number);
    store.create(id, 0).await.unwrap();
    loop {
        let extent = store.extent(id).unwrap();
        let payload = 50 + (extent.end_offset * 13 % 400) as usize;
        let appended = store.append(id, batch(id, extent.end_offset, 2, payload)).unwrap();
        if extent.end_offset - extent.start_offset > 2000 {
            let trimmed = store.trim(id, extent.end_offset - 1000);
            trimmed.await.unwrap();
        }
        appended.await.unwrap();
        if extent.end_offset % 600 == 0
            && let Some(end) = store.rewritable_end(id, extent.start_offset + 1)
        {
            // Everything is kept, so that whoever looks later can tell what is missing. Nothing is
            // left to rewrite if it was all trimmed meanwhile.
            let _ = rewrite(&store, id, end, |_| true).await;
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "durable {number} {}", extent.end_offset + 2).unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let place = tempfile::tempdir().unwrap();
    kill_again_and_again(ROUNDS, |_| place.path().to_owned(), None).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_machine_too_if_the_log_is_in_the_bucket() {
    let place = tempfile::tempdir().unwrap();
    // Nothing is found again but the bucket.
    let machine = |round| place.path().join(format!("machine-{round}"));
    let bucket = place.path().join("bucket");
    kill_again_and_again(ROUNDS / 2, machine, Some(&bucket)).await;
}

async fn kill_again_and_again(
    rounds: usize,
    directory: impl Fn(usize) -> PathBuf,
    bucket: Option<&Path>,
) {
    let mut durable = [0; LOGS as usize];
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "crash::writer", "--ignored", "--nocapture"]);
        child.env(DIRECTORY, directory(2 * round)).stdout(Stdio::piped());
        bucket.map(|bucket| child.env(BUCKET, bucket));
        let mut child = child.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kill_after = 1 + round * 37 % 400;
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((_, durable_line)) = line.split_once("durable ") else { continue };
            let (number, end) = durable_line.split_once(' ').unwrap();
            // The kill may cut the last line short.
            let Ok(end) = end.parse::<i64>() else { continue };
            let known = &mut durable[number.parse::<usize>().unwrap()];
            *known = (*known).max(end);
            seen += 1;
            if seen == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= kill_after, "the writer ended by itself");
        check(options(&directory(2 * round + 1), bucket), &durable).await;
    }
}

async fn check(options: StoreOptions, durable: &[i64]) {
    let (store, recovery) = Store::open(options).await.unwrap();
    assert!(!recovery.report.was_closed);
    for (number, &durable) in durable.iter().enumerate() {
        let id = log(number as u8);
        let extent = store.extent(id).unwrap();
        assert!(extent.end_offset >= durable, "{durable} was durable, {extent:?}");
        let found = read_all(&store, id, extent.start_offset, 5000).await;
        let mut rest = &found[..];
        let mut at = extent.start_offset;
        while !rest.is_empty() {
            let payload = 50 + (at * 13 % 400) as usize;
            let expected = batch(id, at, 2, payload).bytes;
            assert!(rest.starts_with(&expected), "log {number} at {at}");
            rest = &rest[expected.len()..];
            at += 2;
        }
        assert_eq!(at, extent.end_offset);
        assert!(found.is_empty() || next_offset(&found) == at);
    }
}
