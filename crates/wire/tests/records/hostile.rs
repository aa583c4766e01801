//! Bytes that lie: an error each, no panic, and no memory for what is only declared.

use bytes::Bytes;
use farlog_wire::records::compression::{CodecError, compress, decompress};
use farlog_wire::records::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchError, BatchHeader, BuilderLimits, Compression,
    RawBatch, RecordFault, batches, next_fetch, records, rewrite_compressed,
};
use proptest::prelude::*;

use crate::model::{Plain, STAMP, encode_record, log, seal, write};

const UNLIMITED: BuilderLimits =
    BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };

fn compressed() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.is_compressed())
}

fn plain(value: &[u8]) -> Plain {
    let value = Some(value.to_vec());
    Plain { offset: 0, timestamp: 0, key: None, value, headers: Vec::new() }
}

/// A batch of two records with this payload.
fn two_records(payload: &[u8]) -> RawBatch {
    let header =
        BatchHeader { magic: 2, last_offset_delta: 1, record_count: 2, ..BatchHeader::default() };
    RawBatch::new(seal(header, payload)).unwrap()
}

/// Both readers must refuse the second record for the same reason.
fn refused(first_delta: i64, second: &[u8]) -> RecordFault {
    let mut payload = encode_record(&plain(b"first"), 0, first_delta);
    payload.extend_from_slice(second);
    let batch = two_records(&payload);
    let read = records(&batch).unwrap_err();
    let merged = BatchBuilder::new().append_batch(&batch, 0, UNLIMITED).unwrap_err();
    assert_eq!(read, merged);
    match read {
        BatchError::Record { index: 1, what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn wrong_offset_deltas_are_refused() {
    let second = |delta| encode_record(&plain(b"second"), 0, delta);
    for delta in [0, -1, i64::from(i32::MIN), 2, i64::from(i32::MAX)] {
        assert_eq!(refused(0, &second(delta)), RecordFault::Offset, "{delta}");
    }
    assert_eq!(refused(0, &second(1 << 31)), RecordFault::Varint);
}

#[test]
fn records_must_fill_their_length_and_no_more() {
    let good = encode_record(&plain(b"second"), 0, 1);
    let body = &good[1..];
    let with_length = |length: u8, body: &[u8]| [&[length][..], body].concat();
    let zigzag = |length: usize| (length * 2) as u8;
    // Reaches beyond the batch; negative; too short for its fields; longer than its fields.
    assert_eq!(refused(0, &with_length(zigzag(body.len() + 1), body)), RecordFault::Length);
    assert_eq!(refused(0, &with_length(1, body)), RecordFault::Length);
    assert_eq!(refused(0, &with_length(0, body)), RecordFault::Length);
    assert_eq!(refused(0, &with_length(zigzag(2), body)), RecordFault::Varint);
    assert_eq!(refused(0, &with_length(zigzag(body.len() - 1), body)), RecordFault::Varint);
    let longer = [body, &[0][..]].concat();
    assert_eq!(refused(0, &with_length(zigzag(longer.len()), &longer)), RecordFault::Fields);
    // A null header key; more headers than there is room for; a negative number of them.
    for (headers, fault) in [
        (&[2, 1, 1][..], RecordFault::Fields),
        (&[0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0][..], RecordFault::Fields),
        (&[1][..], RecordFault::Fields),
    ] {
        let body = [&body[..body.len() - 1], headers].concat();
        assert_eq!(refused(0, &with_length(zigzag(body.len()), &body)), fault, "{headers:?}");
    }
    // Key lengths: -2, and beyond the record.
    for key in [3, 0x7e] {
        let mut body = body.to_vec();
        body[3] = key;
        assert_eq!(refused(0, &with_length(zigzag(body.len()), &body)), RecordFault::Fields);
    }
}

#[test]
fn timestamps_that_overflow_are_refused() {
    let mut payload = encode_record(&plain(b"first"), 0, 0);
    payload.extend(encode_record(&plain(b"second"), 5, 1));
    let header = BatchHeader {
        magic: 2,
        base_timestamp: i64::MAX - 4,
        last_offset_delta: 1,
        record_count: 2,
        ..BatchHeader::default()
    };
    let batch = RawBatch::new(seal(header, &payload)).unwrap();
    let fault = BatchError::Record { offset: 0, index: 1, what: RecordFault::Timestamp };
    assert_eq!(records(&batch).unwrap_err(), fault);
    assert_eq!(BatchBuilder::new().append_batch(&batch, 0, UNLIMITED), Err(fault));
}

#[test]
fn counts_that_do_not_match_are_refused() {
    let one = encode_record(&plain(b"first of two"), 0, 0);
    let fault = BatchError::Record { offset: 0, index: 1, what: RecordFault::Varint };
    assert_eq!(records(&two_records(&one)).unwrap_err(), fault);
    let mut three = one.clone();
    three.extend(encode_record(&plain(b"second"), 0, 1));
    let behind = encode_record(&plain(b"third"), 0, 2);
    three.extend_from_slice(&behind);
    let batch = two_records(&three);
    let fault = BatchError::TrailingBytes { offset: 0, record_count: 2, bytes: behind.len() };
    assert_eq!(records(&batch).unwrap_err(), fault);
    assert_eq!(BatchBuilder::new().append_batch(&batch, 0, UNLIMITED), Err(fault));
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let good = BatchHeader {
        magic: 2,
        last_offset_delta: 1,
        record_count: 2,
        base_offset: 10,
        ..BatchHeader::default()
    };
    let payload = [0; 14];
    let parse = |header| BatchHeader::parse(&seal(header, &payload));
    parse(good).unwrap();
    for (what, header) in [
        ("more records than offsets", BatchHeader { record_count: 3, ..good }),
        ("negative count", BatchHeader { record_count: -1, ..good }),
        ("negative last delta", BatchHeader { last_offset_delta: -1, record_count: 0, ..good }),
        ("negative offset", BatchHeader { base_offset: -1, ..good }),
        ("offset overflow", BatchHeader { base_offset: i64::MAX - 1, ..good }),
        (
            "more records than bytes",
            BatchHeader { record_count: i32::MAX, last_offset_delta: i32::MAX, ..good },
        ),
    ] {
        assert!(matches!(parse(header), Err(BatchError::Counts { .. })), "{what}");
    }
    for code in 5..=7 {
        let header = BatchHeader { attributes: farlog_wire::records::Attributes(code), ..good };
        assert_eq!(parse(header), Err(BatchError::UnknownCompression { offset: 10, code }));
    }
    for declared in [-1, 0, 48, i32::MIN] {
        let mut bytes = seal(good, &payload).to_vec();
        bytes[8..12].copy_from_slice(&declared.to_be_bytes());
        let refused = BatchError::Length { offset: 10, declared };
        assert_eq!(BatchHeader::parse(&bytes), Err(refused.clone()));
        assert_eq!(next_fetch(&bytes), Err(refused.clone()));
        assert_eq!(batches(Bytes::from(bytes)).next(), Some(Err(refused)));
    }
}

#[test]
fn bombs_end_at_the_bound() {
    const DECOMPRESSED_BYTES_MAX: usize = 100_000;
    let bomb = vec![0; 50_000_000];
    for codec in compressed() {
        let data = compress(codec, &bomb).unwrap();
        assert!(data.len() < 3_000_000, "{codec:?}");
        assert_eq!(
            decompress(codec, &data, DECOMPRESSED_BYTES_MAX),
            Err(CodecError::TooLarge {
                compression: codec,
                compressed_bytes: data.len(),
                decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
            })
        );
        let batch = write(&[plain(&bomb)], codec);
        let batch = RawBatch::new(batch.to_bytes()).unwrap();
        assert!(matches!(
            rewrite_compressed(&batch, 0, STAMP, DECOMPRESSED_BYTES_MAX),
            Err(BatchError::Codec { source: CodecError::TooLarge { .. }, .. })
        ));
    }
}

#[test]
fn a_snappy_block_cannot_declare_what_its_bytes_cannot_hold() {
    // 64 MiB declared by six bytes.
    let block = [0x80, 0x80, 0x80, 0x20, 0, 0];
    let error = decompress(Compression::Snappy, &block, 1 << 30).unwrap_err();
    assert!(matches!(error, CodecError::Malformed { compressed_bytes: 6, .. }), "{error}");
    // The densest data there is must pass.
    let dense = compress(Compression::Snappy, &vec![7; 1 << 20]).unwrap();
    assert_eq!(decompress(Compression::Snappy, &dense, 1 << 20).unwrap().len(), 1 << 20);
}

#[test]
fn snappy_without_frames_is_read_too() {
    let value: Vec<u8> = b"as librdkafka writes it ".repeat(1_000);
    let raw = snap::raw::Encoder::new().compress_vec(&value).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, value.len()).unwrap(), value);
}

#[test]
fn compressed_data_that_is_cut_off_is_malformed() {
    let data: Vec<u8> = (0..60_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
    for codec in compressed() {
        let whole = compress(codec, &data).unwrap();
        for kept in (0..whole.len()).step_by(whole.len() / 50).chain([whole.len() - 1]) {
            let cut = decompress(codec, &whole[..kept], 1 << 20);
            // Snappy's frames have no end mark: at the end of a block, data is just shorter.
            let shorter =
                codec == Compression::Snappy && cut.as_ref().is_ok_and(|cut| *cut != data);
            let malformed = matches!(cut, Err(CodecError::Malformed { .. }));
            assert!(malformed || shorter, "{codec:?} {kept}/{}", whole.len());
        }
    }
}

#[test]
fn an_lz4_frame_cut_off_between_two_blocks_is_malformed() {
    let data = vec![1; 65_536];
    let one_block = compress(Compression::Lz4, &data).unwrap();
    let two_blocks = compress(Compression::Lz4, &data.repeat(2)).unwrap();
    // The end mark is 4 bytes; the block before it is the same in both.
    let between = one_block.len() - 4;
    assert_eq!(one_block[..between], two_blocks[..between]);
    let cut = decompress(Compression::Lz4, &two_blocks[..between], 1 << 20);
    assert!(matches!(cut, Err(CodecError::Malformed { .. })), "{cut:?}");
    let trailing = [&one_block[..], &[0]].concat();
    let refused = decompress(Compression::Lz4, &trailing, 1 << 20);
    assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{refused:?}");
}

proptest! {
    #[test]
    fn any_data_survives_any_codec(data in prop::collection::vec(any::<u8>(), 0..100_000)) {
        for codec in Compression::ALL {
            let compressed = compress(codec, &data).unwrap();
            prop_assert_eq!(&decompress(codec, &compressed, data.len()).unwrap(), &data);
        }
    }

    #[test]
    fn flipped_bits_never_make_a_wrong_batch(
        log in log(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..6),
        codec in 0_i16..=4,
    ) {
        let codec = Compression::from_code(codec).unwrap();
        let mut bytes = log[0].encode(codec).to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let Some(Ok(batch)) = batches(Bytes::from(bytes)).next() else { return Ok(()) };
        let Ok(plain) = batch.decompressed(1 << 20) else { return Ok(()) };
        let mut builder = BatchBuilder::new();
        let read = records(&plain);
        let Ok(appended) = builder.append_batch(&plain, 0, UNLIMITED) else { return Ok(()) };
        if !builder.is_empty() {
            let merged = RawBatch::new(builder.finish(STAMP).to_bytes()).unwrap();
            prop_assert_eq!(merged.verify_crc(), Ok(()));
            let dense = records(&merged).unwrap();
            prop_assert_eq!(dense.len() as i64, appended.record_count);
            for (record, index) in dense.iter().zip(0..) {
                prop_assert_eq!(record.offset, index);
            }
        }
        if appended.next_offset == plain.header.next_offset() {
            prop_assert_eq!(read.unwrap().len() as i64, appended.record_count);
        }
    }
}

/// More bytes than the front of a batch, none of them a batch.
#[test]
fn noise_is_not_a_batch() {
    let mut noise = vec![0x55; BATCH_HEADER_BYTES * 2];
    assert!(matches!(
        batches(Bytes::from(noise.clone())).next(),
        Some(Err(BatchError::Magic { magic: 0x55, .. }))
    ));
    noise[16] = 2;
    let mut split = batches(Bytes::from(noise));
    assert!(split.next().is_some_and(|batch| batch.is_err()));
    assert_eq!(split.next(), None);
    assert_eq!(split.cut_off_bytes(), BATCH_HEADER_BYTES * 2);
}
