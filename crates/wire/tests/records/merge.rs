//! Merging against the naive model: decode all, merge, decode all, and nothing has changed.

use farlog_wire::records::{
    BatchBuilder, BatchError, BatchWriter, BufferPool, BuilderLimits, Compression, Obstacle,
    OutgoingBatch, RawBatch, SourceRun,
};
use proptest::prelude::*;

use crate::model::{LogBatch, Plain, STAMP, check_outgoing, log, read, received};

const UNLIMITED: BuilderLimits =
    BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };

/// What merging a whole log made.
struct Merged {
    batches: Vec<OutgoingBatch>,
    runs: Vec<SourceRun>,
}

fn merge(log: &[RawBatch], from: i64, limits: BuilderLimits) -> Merged {
    let mut builder = BatchBuilder::new();
    let mut merged = Merged { batches: Vec::new(), runs: Vec::new() };
    for batch in log {
        let mut next = from.max(batch.header.base_offset);
        while next < batch.header.next_offset() {
            let before = builder.record_count();
            let appended = builder.append_batch(batch, next, limits).unwrap();
            assert_eq!(i64::from(builder.record_count() - before), appended.record_count);
            assert_eq!(appended.runs.record_count(), appended.record_count);
            assert!(appended.next_offset > next || !builder.is_empty());
            merged.runs.extend_from_slice(&appended.runs);
            next = appended.next_offset;
            if next < batch.header.next_offset() {
                merged.batches.push(builder.finish(STAMP));
            }
        }
    }
    if !builder.is_empty() {
        merged.batches.push(builder.finish(STAMP));
    }
    merged
}

fn raw(log: &[LogBatch]) -> Vec<RawBatch> {
    log.iter().map(|batch| batch.raw(Compression::None)).collect()
}

fn expected(log: &[LogBatch], from: i64) -> Vec<Plain> {
    let records = log.iter().flat_map(|batch| batch.records.clone());
    records.filter(|record| record.offset >= from).collect()
}

fn without_offset(records: impl IntoIterator<Item = Plain>) -> Vec<Plain> {
    records.into_iter().map(|record| Plain { offset: 0, ..record }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn merging_keeps_every_record_in_its_place(
        log in log(),
        from in any::<prop::sample::Index>(),
        size_bytes_max in prop_oneof![Just(usize::MAX), 60..2_000_usize],
        record_count_max in prop_oneof![Just(i64::MAX), 1..20_i64],
    ) {
        let limits = BuilderLimits { size_bytes_max, record_count_max };
        let start = log[0].base_offset;
        let end = log.last().map(|batch| batch.base_offset + 1).unwrap();
        let from = start + from.index((end - start) as usize) as i64;
        let expected = expected(&log, from);
        let merged = merge(&raw(&log), from, limits);
        let mut found = Vec::new();
        for batch in &merged.batches {
            let raw = received(batch);
            check_outgoing(batch, &raw);
            prop_assert!(batch.size_bytes() <= size_bytes_max || batch.record_count() == 1);
            prop_assert!(i64::from(batch.record_count()) <= record_count_max);
            found.extend(read(&raw));
        }
        prop_assert_eq!(without_offset(found), without_offset(expected.clone()));
        let offsets: Vec<i64> = merged
            .runs
            .iter()
            .flat_map(|run| run.source_offset..run.next_offset())
            .collect();
        let expected: Vec<i64> = expected.iter().map(|record| record.offset).collect();
        prop_assert_eq!(offsets, expected);
    }

    #[test]
    fn a_batch_is_never_left_half_full_for_nothing(log in log(), size_bytes_max in 200..600_usize) {
        let limits = BuilderLimits { size_bytes_max, ..UNLIMITED };
        let batches = merge(&raw(&log), 0, limits).batches;
        for pair in batches.windows(2) {
            let next = read(&received(&pair[1]));
            let first = crate::model::encode_record(&next[0], i64::MAX, i64::from(i32::MAX));
            prop_assert!(pair[0].size_bytes() + first.len() > size_bytes_max);
        }
    }
}

fn batch_of(timestamps: &[i64]) -> RawBatch {
    let mut writer = BatchWriter::new();
    for timestamp in timestamps {
        writer.push(*timestamp, None, Some(b"value"), &[]);
    }
    received(&writer.finish(STAMP).unwrap())
}

#[test]
fn timestamps_too_far_apart_go_into_two_batches() {
    let log = [batch_of(&[i64::MAX]), batch_of(&[-2]), batch_of(&[-1, 5])];
    let mut builder = BatchBuilder::new();
    assert_eq!(builder.append_batch(&log[0], 0, UNLIMITED).unwrap().record_count, 1);
    let left = builder.append_batch(&log[1], 0, UNLIMITED).unwrap();
    assert_eq!((left.record_count, left.next_offset, left.runs.is_empty()), (0, 0, true));
    assert_eq!(read(&received(&builder.finish(STAMP)))[0].timestamp, i64::MAX);
    builder.append_batch(&log[1], 0, UNLIMITED).unwrap();
    builder.append_batch(&log[2], 0, UNLIMITED).unwrap();
    let merged = received(&builder.finish(STAMP));
    assert_eq!(merged.header.max_timestamp, 5);
    let timestamps: Vec<i64> = read(&merged).iter().map(|record| record.timestamp).collect();
    assert_eq!(timestamps, [-2, -1, 5]);
}

#[test]
fn an_error_takes_nothing() {
    let good = batch_of(&[1, 2, 3]);
    // The second record's length reaches beyond the batch.
    let mut bytes = good.bytes().to_vec();
    let second = bytes.len() - 2 * (bytes.len() - 61) / 3;
    bytes[second] = 0x7e;
    let bad = RawBatch::new(bytes.into()).unwrap();
    let mut builder = BatchBuilder::new();
    builder.append_batch(&good, 0, UNLIMITED).unwrap();
    let size_bytes = builder.size_bytes();
    assert!(matches!(
        builder.append_batch(&bad, 0, UNLIMITED),
        Err(BatchError::Record { index: 1, .. })
    ));
    assert_eq!((builder.record_count(), builder.size_bytes()), (3, size_bytes));
    assert_eq!(read(&received(&builder.finish(STAMP))), read(&good));
}

#[test]
fn what_must_not_be_merged_is_refused() {
    let mut builder = BatchBuilder::new();
    let mut writer = BatchWriter::new().compression(Compression::Lz4);
    writer.push(1, None, None, &[]);
    let compressed = received(&writer.finish(STAMP).unwrap());
    assert_eq!(
        builder.append_batch(&compressed, 0, UNLIMITED),
        Err(BatchError::Compressed { offset: 0 })
    );
    let mut bytes = batch_of(&[1]).bytes().to_vec();
    bytes[22] |= 0x20;
    let control = RawBatch::new(bytes.into()).unwrap();
    let refused = BatchError::NotForwardable { offset: 0, obstacle: Obstacle::Control };
    assert_eq!(builder.append_batch(&control, 0, UNLIMITED), Err(refused));
    let none = BuilderLimits { record_count_max: 0, ..UNLIMITED };
    assert!(matches!(
        builder.append_batch(&batch_of(&[1]), 0, none),
        Err(BatchError::TooManyRecords { .. })
    ));
}

#[test]
fn a_record_larger_than_the_limit_is_a_batch_of_its_own() {
    let batch = batch_of(&[1, 2]);
    let limits = BuilderLimits { size_bytes_max: 10, record_count_max: 100 };
    let mut builder = BatchBuilder::new();
    let appended = builder.append_batch(&batch, 0, limits).unwrap();
    assert_eq!((appended.record_count, appended.next_offset), (1, 1));
    assert_eq!(builder.append_batch(&batch, 1, limits).unwrap().record_count, 0);
    builder.finish(STAMP);
    let appended = builder.append_batch(&batch, 1, limits).unwrap();
    assert_eq!((appended.record_count, appended.next_offset), (1, 2));
    assert_eq!(*appended.runs, [SourceRun { source_offset: 1, record_count: 1 }]);
}

#[test]
fn buffers_come_back_when_the_batch_is_let_go() {
    let pool = BufferPool::new(1, 1 << 20);
    let mut builder = BatchBuilder::with_pool(pool.clone());
    let batch = batch_of(&[1, 2]);
    builder.append_batch(&batch, 0, UNLIMITED).unwrap();
    let first = builder.finish(STAMP);
    let address = first.payload().as_ptr();
    builder.append_batch(&batch, 0, UNLIMITED).unwrap();
    let second = builder.finish(STAMP);
    let clone = first.clone();
    drop(first);
    assert_eq!(pool.spare_count(), 0);
    drop(clone);
    drop(second);
    assert_eq!(pool.spare_count(), 1);
    builder.append_batch(&batch, 0, UNLIMITED).unwrap();
    assert_eq!(builder.finish(STAMP).payload().as_ptr(), address);
}

#[test]
fn a_batch_that_was_left_can_be_entered_anywhere_again() {
    let batch = batch_of(&[1, 2, 3, 4]);
    let three = BuilderLimits { record_count_max: 3, ..UNLIMITED };
    for (from, timestamps) in [(0, &[1, 2, 3, 4][..]), (2, &[3, 4]), (3, &[4])] {
        let mut builder = BatchBuilder::new();
        assert_eq!(builder.append_batch(&batch, 0, three).unwrap().next_offset, 3);
        builder.finish(STAMP);
        builder.append_batch(&batch, from, UNLIMITED).unwrap();
        let found = read(&received(&builder.finish(STAMP)));
        assert!(found.iter().map(|record| record.timestamp).eq(timestamps.iter().copied()));
    }
}
