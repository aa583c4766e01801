//! What is merged, what passes, and what is compressed again.

use farlog_wire::records::{BATCH_HEADER_BYTES, BatchWriter, records};

use super::*;

fn assembler(recompress: Option<Compression>) -> Assembler<()> {
    let limits = AssemblerLimits { merged_bytes_max: 1_000_000, recompress };
    let position = Position { target_offset: 0, source_offset: 0, source_leader_epoch: 0 };
    Assembler::new(limits, 7, position, BufferPool::default())
}

/// A batch of `count` records of `size` bytes, as a source stores it.
fn stored(base_offset: i64, count: usize, size: usize, compression: Compression) -> RawBatch {
    let mut writer = BatchWriter::new().compression(compression);
    for index in 0..count {
        // Not the same letter everywhere, so that it stays large when compressed.
        let value: Vec<u8> =
            (0..size).map(|at| ((at * (index + 7) * 2_654_435_761) >> 7) as u8).collect();
        writer.push(1_000 + index as i64, Some(&index.to_be_bytes()), Some(&value), &[]);
    }
    let mut bytes = writer.finish_unsequenced().expect("records").to_bytes().to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&0_i32.to_be_bytes());
    RawBatch::new(bytes.into()).expect("a batch")
}

fn assemble(recompress: Option<Compression>, batches: &[RawBatch]) -> Vec<Assembled<()>> {
    let (mut assembler, mut ready) = (assembler(recompress), VecDeque::new());
    for batch in batches {
        assembler.push(batch, 0, &(), &mut ready).expect("a sound batch");
    }
    assembler.flush(&mut ready);
    ready.into()
}

fn values(batch: &RawBatch) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let plain = batch.decompressed(10_000_000).expect("it decompresses");
    let owned = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
    let read = records(&plain).expect("records");
    read.iter().map(|record| (record.timestamp, owned(record.key), owned(record.value))).collect()
}

#[test]
fn small_compressed_batches_are_merged_under_their_own_codec_or_the_chosen_one() {
    let batches: Vec<RawBatch> =
        (0..50).map(|index| stored(index * 3, 3, 200, Compression::Zstd)).collect();
    let choices = [
        (None, Compression::Zstd),
        (Some(Compression::Zstd), Compression::Zstd),
        (Some(Compression::Lz4), Compression::Lz4),
    ];
    for (chosen, codec) in choices {
        let merged = assemble(chosen, &batches);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].tickets.len(), 50);
        assert!(merged[0].entry.is_none(), "it simply continues");
        assert_eq!(merged[0].source_offset_next, 150);
        let written = RawBatch::new(merged[0].batch.to_bytes()).expect("a batch");
        assert_eq!(written.header.attributes.compression(), codec);
        assert_eq!(written.header.record_count, 150);
        written.verify_crc().expect("a sound checksum");
        let before: Vec<_> = batches.iter().flat_map(values).collect();
        assert_eq!(values(&written), before);
    }
}

fn payload(batch: &RawBatch) -> bytes::Bytes {
    batch.bytes().slice(BATCH_HEADER_BYTES..)
}

#[test]
fn a_small_compressed_batch_that_nothing_follows_passes_as_it_is() {
    let one = stored(0, 3, 200, Compression::Lz4);
    let (mut assembler, mut ready) = (assembler(None), VecDeque::new());
    assembler.push(&one, 0, &(), &mut ready).expect("a sound batch");
    assert!(ready.is_empty() && assembler.is_open());
    assert_eq!(assembler.first_timestamp_ms(), Some(1_000));
    assembler.flush(&mut ready);
    assert!(!assembler.is_open());
    assert_eq!(ready[0].batch.payload(), &payload(&one));
    assert_eq!((ready[0].target_offset, ready[0].source_offset_next), (0, 3));
}

#[test]
fn neighbours_under_other_codecs_or_none_stay_apart_and_in_order() {
    let batches = [
        stored(0, 3, 200, Compression::Lz4),
        stored(3, 3, 200, Compression::Zstd),
        stored(6, 3, 200, Compression::Zstd),
        stored(9, 3, 200, Compression::None),
        stored(12, 3, 200, Compression::None),
        stored(15, 3, 200, Compression::Snappy),
        stored(18, 300, 200, Compression::Snappy),
    ];
    let assembled = assemble(None, &batches);
    let found: Vec<_> = assembled
        .iter()
        .map(|one| {
            let batch = RawBatch::new(one.batch.to_bytes()).expect("a batch");
            batch.verify_crc().expect("a sound checksum");
            let codec = batch.header.attributes.compression();
            (one.target_offset, batch.header.record_count, codec)
        })
        .collect();
    let expected = [
        (0, 3, Compression::Lz4),
        (3, 6, Compression::Zstd),
        (9, 6, Compression::None),
        (15, 3, Compression::Snappy),
        (18, 300, Compression::Snappy),
    ];
    assert_eq!(found, expected);
    let after: Vec<_> = assembled
        .iter()
        .flat_map(|one| values(&RawBatch::new(one.batch.to_bytes()).expect("a batch")))
        .collect();
    assert_eq!(after, batches.iter().flat_map(values).collect::<Vec<_>>());
}

#[test]
fn a_small_compressed_batch_that_nobody_can_read_passes_as_it_is() {
    let mut bytes = stored(3, 3, 200, Compression::Zstd).bytes().to_vec();
    bytes[BATCH_HEADER_BYTES + 1] ^= 0xff;
    let unreadable = RawBatch::new(bytes.into()).expect("a batch");
    let [before, after] = [0, 6].map(|at| stored(at, 3, 200, Compression::Zstd));
    let assembled = assemble(None, &[before, unreadable.clone(), after]);
    assert_eq!(assembled.len(), 3);
    assert_eq!(assembled[1].batch.payload(), &payload(&unreadable));
    assert_eq!(assembled[2].source_offset_next, 9);
}

#[test]
fn small_compressed_batches_that_must_be_rewritten_are_merged_at_once() {
    let [first, second] = [0, 3].map(|at| stored(at, 3, 200, Compression::Zstd));
    let (mut assembler, mut ready) = (assembler(None), VecDeque::new());
    assembler.push(&first, 1, &(), &mut ready).expect("entered in the middle");
    assembler.push(&second, 1, &(), &mut ready).expect("a sound batch");
    assembler.flush(&mut ready);
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].batch.record_count(), 5);
    assert_eq!(ready[0].entry.as_ref().expect("a gap").runs[0].source_offset, 1);
}

#[test]
fn large_compressed_batches_pass_as_they_are_and_plain_ones_are_compressed() {
    let large = stored(0, 100, 4_000, Compression::Zstd);
    assert!(large.bytes().len() >= PASSED_THROUGH_BYTES_MIN, "{}", large.bytes().len());
    let plain = stored(100, 10, 100, Compression::None);
    let assembled = assemble(Some(Compression::Zstd), &[large.clone(), plain.clone()]);
    assert_eq!(assembled.len(), 2);
    assert_eq!(assembled[0].batch.payload(), &payload(&large));
    let second = RawBatch::new(assembled[1].batch.to_bytes()).expect("a batch");
    assert_eq!(second.header.attributes.compression(), Compression::Zstd);
    assert_eq!(values(&second), values(&plain));
}
