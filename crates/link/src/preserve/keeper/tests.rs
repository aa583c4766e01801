//! Any log, cut anywhere: every record lands at its offset, and the log ends where it ends.

use farlog_wire::records::compression::compress;
use farlog_wire::records::{BatchWriter, Record, records};
use proptest::prelude::*;

use super::*;
use crate::position::SEQUENCE_MODULUS;

/// What lies at some offsets of a source log, in order.
#[derive(Clone, Debug)]
enum Part {
    /// A batch, with the offsets that compaction left of it, one at least.
    Batch {
        offsets: Vec<i64>,
        extent: i64,
        compression: Compression,
        value_bytes: usize,
        epoch: i32,
    },
    /// Markers, aborted data, or batches that compaction removed; seen, or not there at all.
    Missing { offsets: i64, is_seen: bool },
}

fn part() -> impl Strategy<Value = Part> {
    let compression =
        prop_oneof![Just(Compression::None), Just(Compression::Zstd), Just(Compression::Lz4)];
    let batch = (
        prop::collection::vec(0_i64..4, 1..12),
        0_i64..5,
        compression,
        prop_oneof![4 => 0_usize..200, 1 => 4_000_usize..15_000],
        0_i32..2,
    )
        .prop_map(|(gaps, behind, compression, value_bytes, epoch)| {
            let mut next = 0;
            let offsets: Vec<i64> = gaps
                .iter()
                .map(|gap| {
                    // Three of four batches are whole.
                    let at = next + (gap - 2).max(0);
                    next = at + 1;
                    at
                })
                .collect();
            let behind = (behind - 3).max(0);
            Part::Batch { extent: next + behind, offsets, compression, value_bytes, epoch }
        });
    let missing = (prop_oneof![3 => 1_i64..5, 1 => 1_i64..6_000], any::<bool>())
        .prop_map(|(offsets, is_seen)| Part::Missing { offsets, is_seen });
    prop_oneof![3 => batch, 2 => missing]
}

/// A batch as a source stores it after compaction.
fn stored(base_offset: i64, part: &Part, epoch: i32) -> RawBatch {
    let Part::Batch { offsets, extent, compression, value_bytes, .. } = part else {
        unreachable!()
    };
    let mut builder = ExactBuilder::default();
    let limits = BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };
    for offset in offsets {
        let mut writer = BatchWriter::new();
        let value: Vec<u8> = (0..*value_bytes)
            .map(|at| ((at as i64 * (offset + 7) * 2_654_435_761) >> 9) as u8)
            .collect();
        writer.push(1_000 + offset, Some(b"key"), Some(&value), &[]);
        let mut bytes = writer.finish_unsequenced().unwrap().to_bytes().to_vec();
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        let one = RawBatch::new(bytes.into()).unwrap();
        assert_eq!(builder.append_batch(&one, 0, 0, limits).unwrap().record_count, 1);
    }
    // The phantoms of the builder are cut out again: the cleaner leaves fewer records.
    let batch = builder.finish(*extent, *compression, ProducerStamp::NONE).unwrap();
    let mut bytes = batch.to_bytes().to_vec();
    let count = offsets.len() as i32;
    if i64::from(count) < *extent {
        let payload = &bytes[61..];
        let mut at = 0;
        for _ in 0..*extent - i64::from(count) {
            at += 1 + (payload[at] >> 1) as usize;
        }
        let mut kept = bytes[..61].to_vec();
        kept.extend_from_slice(&compress(*compression, &payload[at..]).unwrap());
        kept[21..23].copy_from_slice(&(*compression as i16).to_be_bytes());
        let length = kept.len() as i32 - 12;
        kept[8..12].copy_from_slice(&length.to_be_bytes());
        kept[57..61].copy_from_slice(&count.to_be_bytes());
        bytes = kept;
    }
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    let crc = crc32c_of(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    RawBatch::new(bytes.into()).unwrap()
}

fn crc32c_of(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

type Kept = (i64, i64, Vec<u8>);

fn kept(batch: &RawBatch) -> Vec<Kept> {
    let plain = batch.decompressed(100_000_000).unwrap();
    let of = |record: &Record<'_>| {
        (record.offset, record.timestamp, record.value.unwrap_or_default().to_vec())
    };
    records(&plain).unwrap().iter().map(of).collect()
}

/// The mirror's batches as the target stores them; what a broker would refuse fails.
fn landed(start: i64, ready: &VecDeque<Assembled<()>>, holes: Holes) -> (i64, Vec<Kept>) {
    let mut end = start;
    let mut found = Vec::new();
    for assembled in ready {
        assert_eq!(assembled.target_offset, end);
        assert_eq!(assembled.batch.base_sequence(), sequence_at(end));
        let batch = RawBatch::new(assembled.batch.clone().at(end).to_bytes()).unwrap();
        batch.verify_crc().unwrap();
        let extent = i64::from(batch.header.last_offset_delta) + 1;
        match holes {
            Holes::Phantoms => assert_eq!(i64::from(batch.header.record_count), extent),
            Holes::Kept => assert_eq!(assembled.batch.header().base_offset, end),
        }
        assert!(extent <= records_before_wrap(end), "it straddles the wrap");
        end += extent;
        assert_eq!(assembled.source_offset_next, end);
        if let Some(entry) = &assembled.entry {
            assert_eq!(entry.record_count(), extent);
            assert_eq!(entry.source_offset_next(), end);
        }
        found.extend(kept(&batch));
    }
    (end, found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_record_lands_at_its_offset(
        start in prop_oneof![
            Just(0_i64),
            0..1_i64 << 40,
            Just(SEQUENCE_MODULUS - 20),
            Just(SEQUENCE_MODULUS - 3),
        ],
        parts in prop::collection::vec(part(), 1..14),
        entered in 0_i64..4,
        merged_bytes_max in prop_oneof![Just(1_000_000_usize), 200_usize..5_000],
        flushes in any::<u16>(),
        recompress in prop_oneof![2 => Just(None), 1 => Just(Some(Compression::Zstd))],
        holes in prop_oneof![2 => Just(Holes::Phantoms), 1 => Just(Holes::Kept)],
    ) {
        let limits = AssemblerLimits { merged_bytes_max, recompress };
        let position =
            Position { target_offset: start, source_offset: start, source_leader_epoch: -1 };
        let mut keeper: Keeper<()> = Keeper::new(limits, 7, position, BufferPool::default(), holes);
        let (mut ready, mut expected) = (VecDeque::new(), Vec::new());
        // The first batch may be entered in the middle.
        let is_entered = matches!(parts[0], Part::Batch { .. });
        let mut offset = start - if is_entered { entered.min(start) } else { 0 };
        let mut epoch = 0;
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Batch { extent, epoch: more, .. } => {
                    epoch += more;
                    let batch = stored(offset, part, epoch);
                    keeper.push(&batch, start, &(), &mut ready).unwrap();
                    expected.extend(kept(&batch).into_iter().filter(|(at, ..)| *at >= start));
                    offset += extent;
                }
                Part::Missing { offsets, is_seen } => {
                    offset += offsets;
                    if *is_seen {
                        keeper.pass_over(offset, 5);
                    }
                }
            }
            if flushes >> (index % 16) & 1 == 1 {
                keeper.flush(&mut ready).unwrap();
            }
        }
        keeper.pass_over(offset, 5);
        keeper.flush(&mut ready).unwrap();
        prop_assert!(!keeper.is_open());
        let (end, found) = landed(start, &ready, holes);
        prop_assert_eq!(end, offset.max(start));
        prop_assert_eq!(keeper.position().source_offset, end);
        prop_assert_eq!(found.len(), expected.len());
        prop_assert!(found == expected, "records differ");
    }
}

#[test]
fn transactions_of_one_record_are_merged_over_their_markers() {
    let limits = AssemblerLimits { merged_bytes_max: 1_000_000, recompress: None };
    let position = Position { target_offset: 0, source_offset: 0, source_leader_epoch: 0 };
    let holes = Holes::Phantoms;
    let mut keeper: Keeper<()> = Keeper::new(limits, 7, position, BufferPool::default(), holes);
    let mut ready = VecDeque::new();
    let part = Part::Batch {
        offsets: vec![0],
        extent: 1,
        compression: Compression::None,
        value_bytes: 10,
        epoch: 0,
    };
    for index in 0..500 {
        keeper.push(&stored(index * 2, &part, 0), 0, &(), &mut ready).unwrap();
        keeper.pass_over(index * 2 + 2, 7);
    }
    assert!(ready.is_empty());
    keeper.flush(&mut ready).unwrap();
    assert_eq!(ready.len(), 1);
    assert!(ready[0].entry.is_none(), "nothing needs to be written ahead");
    assert_eq!(landed(0, &ready, holes).0, 1_000);
}

#[test]
fn a_hole_beyond_the_bound_is_refused_and_a_long_one_shares_its_bytes() {
    let limits = AssemblerLimits { merged_bytes_max: 1_000_000, recompress: None };
    let position = Position { target_offset: 0, source_offset: 0, source_leader_epoch: 0 };
    let holes = Holes::Phantoms;
    let mut keeper: Keeper<()> = Keeper::new(limits, 7, position, BufferPool::default(), holes);
    let mut ready = VecDeque::new();
    keeper.pass_over(1_000_000, 9);
    assert_eq!(keeper.first_timestamp_ms(), Some(9));
    keeper.flush(&mut ready).unwrap();
    assert_eq!(ready.len(), 1_000);
    let payload = |index: usize| ready[index].batch.payload().as_ptr();
    assert_eq!(payload(0), payload(999));
    let until = 1_000_000 + HOLE_OFFSETS_MAX + 1;
    keeper.pass_over(until, 9);
    let error = keeper.flush(&mut ready).unwrap_err();
    assert!(matches!(error, KeeperError::HoleTooLong { from: 1_000_000, .. }), "{error}");
}
