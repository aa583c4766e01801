//! What keeps its offsets keeps everything else, and a broker would take it.

use proptest::prelude::*;

use super::super::{BATCH_HEADER_BYTES, BatchWriter, Record, records};
use super::*;

const LIMITS: BuilderLimits =
    BuilderLimits { size_bytes_max: 1_000_000, record_count_max: 1 << 31 };

fn stamp() -> ProducerStamp {
    ProducerStamp { producer_id: 7, producer_epoch: 0, base_sequence: 40 }
}

fn at(base_offset: i64, outgoing: &OutgoingBatch) -> RawBatch {
    let mut bytes = outgoing.to_bytes().to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    let batch = RawBatch::new(bytes.into()).unwrap();
    batch.verify_crc().unwrap();
    batch
}

/// A batch of one record.
fn one(offset: i64, timestamp: i64, key: Option<&[u8]>) -> RawBatch {
    let mut writer = BatchWriter::new();
    writer.push(timestamp, key, Some(b"value"), &[]);
    at(offset, &writer.finish(stamp()).unwrap())
}

/// All records of a batch, phantoms included: offset delta, timestamp delta, key.
fn raw(batch: &RawBatch) -> Vec<(i32, i64, Option<Vec<u8>>)> {
    let payload = &batch.bytes()[BATCH_HEADER_BYTES..];
    let mut at = 0;
    let mut found = Vec::new();
    while at < payload.len() {
        let frame = super::super::record::read_frame(payload, at).unwrap();
        let key = first_key(&payload[at..frame.end]).map(<[u8]>::to_vec);
        found.push((frame.offset_delta, frame.timestamp_delta, key));
        at = frame.end;
    }
    found
}

fn kept(batch: &RawBatch) -> Vec<(i64, i64)> {
    records(batch)
        .unwrap()
        .iter()
        .map(|Record { offset, timestamp, .. }| (*offset, *timestamp))
        .collect()
}

#[test]
fn phantoms_stand_in_front_without_time_or_value() {
    let mut builder = ExactBuilder::default();
    for offset in [102, 103, 109] {
        builder.append_batch(&one(offset, 5_000 + offset, Some(b"k")), 0, 100, LIMITS).unwrap();
    }
    assert_eq!(builder.next_offset(), 110);
    let batch = at(100, &builder.finish(112, Compression::Zstd, stamp()).unwrap());
    assert_eq!((batch.header.record_count, batch.header.last_offset_delta), (12, 11));
    assert_eq!(batch.header.max_timestamp, 5_109);
    assert!(!batch.header.attributes.compression().is_compressed());
    assert_eq!(kept(&batch), [(102, 5_102), (103, 5_103), (109, 5_109)]);
    let raw = raw(&batch);
    let (phantoms, real) = raw.split_at(9);
    for (index, (delta, timestamp_delta, key)) in phantoms.iter().enumerate() {
        assert_eq!(*delta, i32::MIN + index as i32);
        assert_eq!(batch.header.base_timestamp + timestamp_delta, -1);
        assert_eq!(key.as_deref(), Some(&b"k"[..]));
    }
    assert_eq!(real.iter().map(|(delta, ..)| *delta).collect::<Vec<_>>(), [2, 3, 9]);
    // Who mirrors it onwards drops them.
    let mut merged = BatchBuilder::new();
    let appended = merged.append_batch(&batch, 0, LIMITS).unwrap();
    assert_eq!((appended.record_count, appended.next_offset), (3, 112));
    assert_eq!(appended.runs.len(), 2);
}

#[test]
fn without_holes_it_is_an_ordinary_batch() {
    let mut builder = ExactBuilder::default();
    for offset in [100, 101] {
        builder.append_batch(&one(offset, 9, None), 0, 100, LIMITS).unwrap();
    }
    let batch = builder.finish(102, Compression::Zstd, stamp()).unwrap();
    assert_eq!(batch.header().attributes.compression(), Compression::Zstd);
    let plain = at(100, &batch).decompressed(1 << 20).unwrap();
    assert_eq!(kept(&plain), [(100, 9), (101, 9)]);
}

#[test]
fn too_large_a_hole_is_left_to_the_caller() {
    let mut builder = ExactBuilder::default();
    let far = 100 + PHANTOMS_PER_BATCH_MAX + 1;
    let appended = builder.append_batch(&one(far, 9, None), 0, 100, LIMITS).unwrap();
    assert_eq!((appended.record_count, appended.next_offset), (0, far));
    assert!(builder.is_empty());
    builder.append_batch(&one(far - 1, 9, None), 0, 100, LIMITS).unwrap();
    assert_eq!(builder.reach(1 << 31), builder.next_offset(), "no phantom is left");
    builder.finish(far + 1, Compression::None, stamp()).unwrap_err();
    let large = {
        let mut writer = BatchWriter::new();
        writer.push(1, None, Some(&vec![0; PHANTOM_BATCH_BYTES_MAX]), &[]);
        at(105, &writer.finish(stamp()).unwrap())
    };
    let appended = builder.append_batch(&large, 0, 104, LIMITS).unwrap();
    assert_eq!((appended.record_count, appended.next_offset), (0, 105));
    let appended = builder.append_batch(&large, 0, 105, LIMITS).unwrap();
    assert_eq!(appended.record_count, 1);
    assert_eq!(builder.reach(1 << 31), 106);
}

#[test]
fn a_part_of_a_hole_has_no_record() {
    let batch = at(70, &ExactBuilder::hole(PHANTOMS_PER_BATCH_MAX, stamp()).unwrap());
    assert_eq!(batch.header.next_offset(), 70 + PHANTOMS_PER_BATCH_MAX);
    assert!(records(&batch).unwrap().is_empty());
    assert_eq!((batch.header.max_timestamp, batch.header.base_timestamp), (-1, -1));
    assert!(ExactBuilder::hole(0, stamp()).is_err());
    assert!(ExactBuilder::hole(-1, stamp()).is_err());
    assert!(ExactBuilder::hole(PHANTOMS_PER_BATCH_MAX + 1, stamp()).is_err());
    let last = ProducerStamp { base_sequence: i32::MAX, ..stamp() };
    assert!(ExactBuilder::hole(1, last).is_ok());
    assert!(ExactBuilder::hole(2, last).is_err());
}

#[test]
fn holes_are_kept_where_a_broker_takes_them() {
    for compression in [Compression::None, Compression::Zstd] {
        let mut builder = ExactBuilder { holes: Holes::Kept, ..ExactBuilder::default() };
        for offset in [102, 109] {
            builder.append_batch(&one(offset, 5_000 + offset, None), 0, 100, LIMITS).unwrap();
        }
        let batch = builder.finish(112, compression, stamp()).unwrap().at(100);
        assert_eq!((batch.record_count(), batch.extent()), (2, 12));
        let stored = RawBatch::new(batch.to_bytes()).unwrap();
        stored.verify_crc().unwrap();
        assert_eq!(stored.header.attributes.compression(), compression);
        let plain = stored.decompressed(1 << 20).unwrap();
        assert_eq!(kept(&plain), [(102, 5_102), (109, 5_109)]);
    }
    let empty = empty_batch(1 << 30, stamp()).unwrap().at(7);
    let stored = RawBatch::new(empty.to_bytes()).unwrap();
    stored.verify_crc().unwrap();
    assert_eq!((stored.header.record_count, stored.header.next_offset()), (0, 7 + (1 << 30)));
    assert!(empty_batch(0, stamp()).is_err());
    assert!(empty_batch(1 << 31, stamp()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_lie_where_they_lay(
        gaps in prop::collection::vec(0_i64..30, 1..30),
        behind in 0_i64..30,
        base in prop_oneof![Just(0_i64), 0..1_i64 << 40],
        key_bytes in 0_usize..100,
    ) {
        let key = vec![b'k'; key_bytes];
        let mut builder = ExactBuilder::default();
        let mut offset = base;
        let mut expected = Vec::new();
        for (index, gap) in gaps.iter().enumerate() {
            offset += gap;
            let timestamp = 1_000_000 - index as i64;
            let batch = one(offset, timestamp, Some(&key));
            prop_assert_eq!(builder.append_batch(&batch, 0, base, LIMITS).unwrap().record_count, 1);
            expected.push((offset, timestamp));
            offset += 1;
        }
        let end = offset + behind;
        let extent = end - base;
        prop_assume!(extent - (gaps.len() as i64) <= PHANTOMS_PER_BATCH_MAX);
        let batch = at(base, &builder.finish(end, Compression::None, stamp()).unwrap());
        prop_assert_eq!(batch.header.next_offset(), end);
        prop_assert_eq!(i64::from(batch.header.record_count), extent);
        prop_assert_eq!(kept(&batch), expected);
        // What the log cleaner asks for: offsets rise over the whole batch.
        let raw = raw(&batch);
        prop_assert!(raw.windows(2).all(|two| two[0].0 < two[1].0));
        prop_assert_eq!(raw.len() as i64, extent);
    }
}
