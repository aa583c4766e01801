//! A process that writes is killed: what it was told is durable is there afterwards.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use farlog_store::{Store, StoreOptions};

use crate::batches::{batch, log, next_offset, read_all, rewrite};

const DIRECTORY: &str = "FARLOG_STORE_CRASH_DIRECTORY";
const LOGS: u8 = 3;
const ROUNDS: usize = 20;

fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
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
        let (store, _) = Store::open(options(directory.as_ref())).await.unwrap();
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
    let mut durable = [0; LOGS as usize];
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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
        check(place.path(), &durable).await;
    }
}

async fn check(directory: &Path, durable: &[i64]) {
    let (store, recovery) = Store::open(options(directory)).await.unwrap();
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
