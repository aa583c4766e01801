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
fn small_compressed_batches_pass_or_are_merged_as_the_operator_chose() {
    let batches: Vec<RawBatch> =
        (0..50).map(|index| stored(index * 3, 3, 200, Compression::Zstd)).collect();
    assert_eq!(assemble(None, &batches).len(), 50, "each as it is");

    for codec in [Compression::Zstd, Compression::Lz4] {
        let merged = assemble(Some(codec), &batches);
        assert_eq!(merged.len(), 1);
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

#[test]
fn large_compressed_batches_pass_as_they_are_and_plain_ones_are_compressed() {
    let large = stored(0, 100, 4_000, Compression::Zstd);
    assert!(large.bytes().len() >= PASSED_THROUGH_BYTES_MIN, "{}", large.bytes().len());
    let plain = stored(100, 10, 100, Compression::None);
    let assembled = assemble(Some(Compression::Zstd), &[large.clone(), plain.clone()]);
    assert_eq!(assembled.len(), 2);
    let payload = |batch: &RawBatch| batch.bytes().slice(BATCH_HEADER_BYTES..);
    assert_eq!(assembled[0].batch.payload(), &payload(&large));
    let second = RawBatch::new(assembled[1].batch.to_bytes()).expect("a batch");
    assert_eq!(second.header.attributes.compression(), Compression::Zstd);
    assert_eq!(values(&second), values(&plain));
}
