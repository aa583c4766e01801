//! Measures merging and passing through in core time: `cargo run --release -p farlog-wire --example
//! merge_speed`. Input checksums are verified, output checksums made; buffers are pooled; the
//! input is a fetch response of 2 MiB out of a ring of 256 MiB, so that it does not come from the
//! cache, as it would not from a socket's buffer of another core.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use farlog_wire::records::{
    BatchBuilder, BatchWriter, BufferPool, BuilderLimits, Compression, Header, OutgoingBatch,
    ProducerStamp, batches, pass_through, rewrite_compressed,
};

const RING_BYTES: usize = 256 * 1024 * 1024;
const FETCH_BYTES: usize = 2 * 1024 * 1024;
const LIMITS: BuilderLimits =
    BuilderLimits { size_bytes_max: 1_000_000, record_count_max: i32::MAX as i64 };
const STAMP: ProducerStamp = ProducerStamp { producer_id: 77, producer_epoch: 0, base_sequence: 0 };
const DECOMPRESSED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// In flight at once, as a link keeps batches until the target has acknowledged them.
const HELD_MAX: usize = 5;

/// A batch of about `batch_bytes`, records of `value_bytes`, and what it holds uncompressed.
fn batch(
    value_bytes: usize,
    batch_bytes: usize,
    headers: &[Header<'_>],
    compression: Compression,
) -> (Bytes, usize) {
    let mut writer = BatchWriter::new().compression(compression);
    let mut state = 88_172_645_463_325_252_u64;
    let mut value = vec![0; value_bytes];
    while writer.record_count() == 0 || writer.records_bytes() + value_bytes < batch_bytes {
        for byte in &mut value {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // 6 bits of entropy a byte: text-like.
            *byte = b'0' + (state >> 40) as u8 % 64;
        }
        let timestamp = 1_760_000_000_000 + writer.record_count() as i64 / 50;
        writer.push(timestamp, Some(b"key-0123456789"), Some(&value), headers);
    }
    let plain_bytes = writer.records_bytes();
    (writer.finish(STAMP).expect("it has records").to_bytes(), plain_bytes)
}

/// Fetch responses that together fill the ring.
fn ring(batch: &Bytes, base_timestamps: bool) -> Vec<Bytes> {
    let per_fetch = (FETCH_BYTES / batch.len()).max(1);
    let mut fetches = Vec::new();
    let mut made_bytes = 0;
    while made_bytes < RING_BYTES {
        let mut fetch = BytesMut::with_capacity(per_fetch * batch.len());
        for index in 0..per_fetch {
            let begin = fetch.len();
            fetch.extend_from_slice(batch);
            if base_timestamps {
                // Other batches have other base timestamps: the deltas of a merged batch differ.
                let base = 1_760_000_000_000 + index as i64 * 7;
                let bytes = &mut fetch[begin..];
                bytes[27..35].copy_from_slice(&base.to_be_bytes());
                let crc = crc32c::crc32c(&bytes[21..]);
                bytes[17..21].copy_from_slice(&crc.to_be_bytes());
            }
        }
        made_bytes += fetch.len();
        fetches.push(fetch.freeze());
    }
    fetches
}

fn merge(fetches: &[Bytes]) -> usize {
    let mut builder = BatchBuilder::with_pool(BufferPool::new(HELD_MAX, 2 * 1024 * 1024));
    let mut held: Vec<OutgoingBatch> = Vec::new();
    let mut made_bytes = 0;
    for fetch in fetches {
        for batch in batches(fetch.clone()) {
            let batch = batch.expect("whole batches");
            batch.verify_crc().expect("undamaged batches");
            let mut next = batch.header.base_offset;
            while next < batch.header.next_offset() {
                next = builder.append_batch(&batch, next, LIMITS).expect("plain").next_offset;
                if next < batch.header.next_offset() {
                    made_bytes += builder.size_bytes();
                    if held.len() == HELD_MAX {
                        held.remove(0);
                    }
                    held.push(builder.finish(STAMP));
                }
            }
        }
    }
    made_bytes
}

fn pass(fetches: &[Bytes], verify: bool) -> usize {
    let mut made_bytes = 0;
    for fetch in fetches {
        for batch in batches(fetch.clone()) {
            let batch = batch.expect("whole batches");
            if verify {
                batch.verify_crc().expect("undamaged batches");
            }
            made_bytes += pass_through(&batch, STAMP).expect("it may pass").size_bytes();
        }
    }
    made_bytes
}

fn rewrite(fetches: &[Bytes]) -> usize {
    let mut made_bytes = 0;
    for fetch in fetches.iter().take(8) {
        for batch in batches(fetch.clone()) {
            let batch = batch.expect("whole batches");
            batch.verify_crc().expect("undamaged batches");
            let rewritten = rewrite_compressed(&batch, 1, STAMP, DECOMPRESSED_BYTES_MAX);
            let rewritten = rewritten.expect("it decompresses").expect("it has records");
            made_bytes += rewritten.batch.size_bytes();
        }
    }
    made_bytes
}

/// What this thread has used of a core; on systems that do not say, the time that has passed.
fn core_time(since: Instant) -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanoseconds = statistics.ok().and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// Best of five, since other processes share the caches.
fn measure(what: &str, factor: f64, run: impl Fn() -> usize) {
    let mut best = Duration::MAX;
    let mut bytes = 0;
    let start = Instant::now();
    for _ in 0..5 {
        let begin = core_time(start);
        bytes = run();
        best = best.min(core_time(start) - begin);
    }
    let rate = bytes as f64 * factor / best.as_secs_f64() / 1e9;
    println!("{what:<58} {rate:>7.2} GB/s");
}

fn main() {
    let shapes = [
        ("1 KB records, 127 KB batches", 1_000, 127_000),
        ("1 KB records, 16 KB batches", 1_000, 16_000),
        ("1 KB records, 2 KB batches", 1_000, 2_100),
        ("100 B records, 16 KB batches", 100, 16_000),
        ("10 B records, 16 KB batches", 10, 16_000),
    ];
    for (shape, value_bytes, batch_bytes) in shapes {
        let (batch, _) = batch(value_bytes, batch_bytes, &[], Compression::None);
        let fetches = ring(&batch, true);
        measure(&format!("merge, {shape}"), 1.0, || merge(&fetches));
        measure(&format!("pass through, {shape}"), 1.0, || pass(&fetches, true));
    }
    let headers = [Header { key: b"trace", value: Some(b"0123456789abcdef") }; 3];
    let (plain, _) = batch(1_000, 127_000, &headers, Compression::None);
    let fetches = ring(&plain, true);
    measure("merge, 1 KB records with 3 headers, 127 KB batches", 1.0, || merge(&fetches));
    // No byte of the records is touched: it takes more than one pass to see the time.
    measure("pass through without verifying", 1.0, || {
        (0..1_000).map(|_| pass(&fetches, false)).sum()
    });
    for compression in Compression::ALL.into_iter().filter(|codec| codec.is_compressed()) {
        let (batch, plain_bytes) = batch(1_000, 127_000, &[], compression);
        let factor = plain_bytes as f64 / batch.len() as f64;
        let fetches = ring(&batch, false);
        let what = format!("rewrite {}, uncompressed bytes", compression.name());
        measure(&what, factor, || rewrite(&fetches));
    }
}
