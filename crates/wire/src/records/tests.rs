//! What goes in comes out; `tests/records` compares with other implementations.

use bytes::Bytes;

use super::*;

fn stamp() -> ProducerStamp {
    ProducerStamp { producer_id: 7, producer_epoch: 0, base_sequence: 40 }
}

fn batch(compression: Compression, base_offset: i64, values: &[&str]) -> RawBatch {
    let mut writer = BatchWriter::new().compression(compression);
    for (index, value) in values.iter().enumerate() {
        let headers = [Header { key: b"h", value: None }];
        writer.push(1000 - index as i64, Some(b"key"), Some(value.as_bytes()), &headers);
    }
    at(base_offset, &writer.finish(stamp()).unwrap())
}

/// The batch as a broker would store it.
fn at(base_offset: i64, outgoing: &OutgoingBatch) -> RawBatch {
    let mut bytes = outgoing.to_bytes().to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    let batch = RawBatch::new(Bytes::from(bytes)).unwrap();
    batch.verify_crc().unwrap();
    batch
}

fn values(batch: &RawBatch) -> Vec<(i64, i64, String)> {
    records(&batch.decompressed(1 << 20).unwrap())
        .unwrap()
        .into_iter()
        .map(|record| {
            assert_eq!(record.key, Some(&b"key"[..]));
            assert_eq!(record.headers, [Header { key: b"h", value: None }]);
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            (record.offset, record.timestamp, value)
        })
        .collect()
}

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

#[test]
fn batches_read_back_in_every_codec() {
    for codec in CODECS {
        let batch = batch(codec, 70, &["a", "b"]);
        assert_eq!(batch.header.attributes.compression(), codec);
        let expected = vec![(70, 1000, "a".to_owned()), (71, 999, "b".to_owned())];
        assert_eq!(values(&batch), expected, "{codec:?}");
    }
}

#[test]
fn merging_gives_dense_offsets_and_says_where_records_came_from() {
    let limits = BuilderLimits { size_bytes_max: 1 << 20, record_count_max: 100 };
    let mut builder = BatchBuilder::new();
    let first = builder.append_batch(&batch(Compression::None, 10, &["a", "b"]), 11, limits);
    let first = first.unwrap();
    assert_eq!(*first.runs, [SourceRun { source_offset: 11, record_count: 1 }]);
    assert_eq!((first.next_offset, first.first_timestamp_ms), (12, 999));
    builder.append_batch(&batch(Compression::None, 20, &["c", "d"]), 0, limits).unwrap();
    let merged = at(5, &builder.finish(stamp()));
    assert_eq!(
        values(&merged),
        [(5, 999, "b".to_owned()), (6, 1000, "c".to_owned()), (7, 999, "d".to_owned())]
    );
    assert_eq!(merged.header.max_timestamp, 1000);
    assert_eq!((merged.header.producer_id, merged.header.base_sequence), (7, 40));
}

#[test]
fn a_full_batch_takes_no_more_and_one_large_record_is_a_batch_of_its_own() {
    let source = batch(Compression::None, 0, &["a", "b", "c"]);
    let mut builder = BatchBuilder::new();
    let two = BuilderLimits { size_bytes_max: 1 << 20, record_count_max: 2 };
    let appended = builder.append_batch(&source, 0, two).unwrap();
    assert_eq!(appended.next_offset, 2);
    assert_eq!(builder.finish(stamp()).record_count(), 2);
    let tiny = BuilderLimits { size_bytes_max: 1, record_count_max: 10 };
    let appended = builder.append_batch(&source, 2, tiny).unwrap();
    assert_eq!((appended.next_offset, builder.record_count()), (3, 1));
}

#[test]
fn a_damaged_batch_leaves_the_builder_as_it_was() {
    let limits = BuilderLimits { size_bytes_max: 1 << 20, record_count_max: 100 };
    let mut builder = BatchBuilder::new();
    builder.append_batch(&batch(Compression::None, 0, &["a"]), 0, limits).unwrap();
    let mut bytes = batch(Compression::None, 1, &["b", "c"]).bytes().to_vec();
    let last = bytes.len() - 1;
    bytes.truncate(last);
    bytes[8..12].copy_from_slice(&(last as i32 - 12).to_be_bytes());
    let damaged = RawBatch::new(Bytes::from(bytes)).unwrap();
    builder.append_batch(&damaged, 0, limits).unwrap_err();
    assert_eq!(values(&at(0, &builder.finish(stamp()))), [(0, 1000, "a".to_owned())]);
}

#[test]
fn a_batch_entered_in_the_middle_is_compressed_again() {
    for codec in CODECS {
        let source = batch(codec, 30, &["a", "b", "c"]);
        let rewritten = rewrite_compressed(&source, 31, stamp(), 1 << 20).unwrap().unwrap();
        assert_eq!(rewritten.batch.header().attributes.compression(), codec);
        let stored = at(0, &rewritten.batch);
        assert_eq!(values(&stored), [(0, 999, "b".to_owned()), (1, 998, "c".to_owned())]);
        assert_eq!(*rewritten.runs, [SourceRun { source_offset: 31, record_count: 2 }]);
    }
}

#[test]
fn passing_through_changes_the_producer_and_nothing_else() {
    let source = batch(Compression::Zstd, 30, &["a", "b", "c"]);
    let passed = pass_through(&source, ProducerStamp::NONE).unwrap();
    assert_eq!(passed.payload(), &source.payload());
    let stored = at(30, &passed);
    assert_eq!(stored.header.producer_id, -1);
    assert_eq!(values(&stored), values(&source));
}

#[test]
fn what_comes_out_of_a_codec_is_bounded() {
    let zeros = vec![0; 1 << 20];
    for codec in CODECS {
        let compressed = compression::compress(codec, &zeros).unwrap();
        assert_eq!(compression::decompress(codec, &compressed, 1 << 20).unwrap(), zeros);
        let error = compression::decompress(codec, &compressed, (1 << 20) - 1).unwrap_err();
        assert!(matches!(error, CodecError::TooLarge { .. }), "{codec:?}: {error}");
    }
}
