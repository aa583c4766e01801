//! Batches read where they lie, written, and passed through.

use bytes::Bytes;
use farlog_wire::records::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, BatchWriter, Compression, Obstacle, ProducerStamp,
    RawBatch, batches, next_fetch, pass_through,
};
use proptest::prelude::*;

use crate::model::{LogBatch, Plain, STAMP, log, read, received, write};

fn joined(log: &[LogBatch], compression: Compression) -> Bytes {
    log.iter().flat_map(|batch| batch.encode(compression)).collect()
}

/// The records as `kafka-protocol` writes them.
fn kafka_protocol_batch(records: &[Plain]) -> Bytes {
    use kafka_protocol::records::{
        Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };
    let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
    let records: Vec<Record> = records
        .iter()
        .map(|record| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 3,
            producer_id: STAMP.producer_id,
            producer_epoch: STAMP.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: record.offset,
            sequence: record.offset as i32,
            timestamp: record.timestamp,
            key: record.key.clone().map(Bytes::from),
            value: record.value.clone().map(Bytes::from),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| (text(key).into(), value.clone().map(Bytes::from)))
                .collect(),
        })
        .collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = bytes::BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

fn kafka_protocol_records(bytes: Bytes) -> Vec<Plain> {
    let mut bytes = bytes;
    let sets = kafka_protocol::records::RecordBatchDecoder::decode_all(&mut bytes).unwrap();
    let records = sets.into_iter().flat_map(|set| set.records);
    let plain = records.map(|record| Plain {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(Vec::from),
        value: record.value.map(Vec::from),
        headers: record
            .headers
            .into_iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.map(Vec::from)))
            .collect(),
    });
    plain.collect()
}

proptest! {
    #[test]
    fn a_fetch_response_splits_into_its_batches_wherever_it_is_cut(
        log in log(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = joined(&log, Compression::None);
        let cut = cut.index(bytes.len() + 1);
        let mut split = batches(bytes.slice(..cut));
        let whole: Vec<RawBatch> = split.by_ref().collect::<Result<_, _>>().unwrap();
        let size: usize = whole.iter().map(|batch| batch.bytes().len()).sum();
        prop_assert_eq!(size + split.cut_off_bytes(), cut);
        for (batch, expected) in whole.iter().zip(&log) {
            prop_assert_eq!(batch.verify_crc(), Ok(()));
            prop_assert_eq!(read(batch), expected.records.clone());
        }
        let next = whole.last().map(|batch| batch.header.next_offset());
        let found = next_fetch(&bytes[..cut]).unwrap();
        prop_assert_eq!(found.map(|next| next.offset), next);
        if let Some(missing) = log.get(whole.len()) {
            prop_assert!(split.cut_off_bytes() < missing.encode(Compression::None).len());
        }
    }

    #[test]
    fn the_header_reads_back(log in log()) {
        let bytes = log[0].encode(Compression::None);
        let header = BatchHeader::parse(&bytes).unwrap();
        let mut written = [0; BATCH_HEADER_BYTES];
        header.write_to(&mut written);
        prop_assert_eq!(&written[..], &bytes[..BATCH_HEADER_BYTES]);
        prop_assert_eq!(header.size_bytes(), bytes.len());
        let last_offset = log[0].base_offset + i64::from(log[0].last_offset_delta);
        prop_assert_eq!(header.last_offset(), last_offset);
    }

    #[test]
    fn kafka_protocol_reads_what_the_writer_wrote_and_the_reader_what_it_writes(log in log()) {
        let mut records: Vec<Plain> = log.into_iter().flat_map(|batch| batch.records).collect();
        prop_assume!(!records.is_empty());
        for (index, record) in records.iter_mut().enumerate() {
            record.offset = index as i64;
            // Their records keep headers in a map.
            record.headers.truncate(1);
        }
        let batch = write(&records, Compression::None);
        prop_assert_eq!(read(&received(&batch)), records.clone());
        prop_assert_eq!(kafka_protocol_records(batch.to_bytes()), records.clone());
        let theirs = RawBatch::new(kafka_protocol_batch(&records)).unwrap();
        prop_assert_eq!(theirs.verify_crc(), Ok(()));
        prop_assert_eq!(read(&theirs), records);
    }

    #[test]
    fn passed_through_batches_change_their_producer_and_nothing_else(
        log in log(),
        codec in 0_i16..=4,
    ) {
        let compression = Compression::from_code(codec).unwrap();
        for batch in &log {
            let raw = batch.raw(compression);
            match pass_through(&raw, STAMP) {
                Ok(outgoing) => {
                    prop_assert_eq!(outgoing.payload(), &raw.payload());
                    prop_assert_eq!(outgoing.payload().as_ptr(), raw.payload().as_ptr());
                    let received = received(&outgoing);
                    let header = received.header;
                    prop_assert_eq!((header.base_offset, header.partition_leader_epoch), (0, -1));
                    prop_assert_eq!(header.attributes.0, raw.header.attributes.0 & 7);
                    prop_assert_eq!(header.base_timestamp, raw.header.base_timestamp);
                    prop_assert_eq!(header.max_timestamp, raw.header.max_timestamp);
                    prop_assert_eq!(header.producer_id, STAMP.producer_id);
                    prop_assert_eq!(header.producer_epoch, STAMP.producer_epoch);
                    prop_assert_eq!(header.base_sequence, STAMP.base_sequence);
                    prop_assert_eq!(header.record_count as usize, batch.records.len());
                    let plain = read(&received.decompressed(1 << 20).unwrap());
                    let timestamps = plain.iter().map(|record| record.timestamp);
                    let expected = batch.records.iter().map(|record| record.timestamp);
                    prop_assert!(timestamps.eq(expected));
                }
                Err(BatchError::NotForwardable { obstacle, .. }) => match obstacle {
                    Obstacle::NoRecords => prop_assert!(batch.records.is_empty()),
                    Obstacle::Holes => {
                        prop_assert!((batch.records.len() as i32) <= batch.last_offset_delta);
                    }
                    Obstacle::LogAppendTime => prop_assert!(batch.log_append_time.is_some()),
                    Obstacle::Control => prop_assert!(false, "not a control batch"),
                },
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}

fn one_record(value: &[u8]) -> RawBatch {
    let mut writer = BatchWriter::new();
    writer.push(1_000, None, Some(value), &[]);
    received(&writer.finish(STAMP).unwrap())
}

#[test]
fn damage_on_the_way_here_is_damage_to_the_target_broker_too() {
    let mut bytes = one_record(b"value").bytes().to_vec();
    let last = bytes.len() - 3;
    bytes[last] ^= 0x20;
    let damaged = RawBatch::new(Bytes::from(bytes)).unwrap();
    assert!(matches!(damaged.verify_crc(), Err(BatchError::Crc { offset: 0, .. })));
    let outgoing = pass_through(&damaged, ProducerStamp::NONE).unwrap();
    let arrived = RawBatch::new(outgoing.to_bytes()).unwrap();
    assert!(matches!(arrived.verify_crc(), Err(BatchError::Crc { .. })));
}

#[test]
fn no_batch_straddles_the_sequence_wrap() {
    let batch = |stamp| {
        let mut writer = BatchWriter::new();
        writer.push(1, None, None, &[]);
        writer.push(2, None, None, &[]);
        writer.finish(stamp)
    };
    let last = ProducerStamp { base_sequence: i32::MAX - 1, ..STAMP };
    assert_eq!(batch(last).unwrap().base_sequence(), i32::MAX - 1);
    let beyond = ProducerStamp { base_sequence: i32::MAX, ..STAMP };
    let refused = BatchError::TooManyRecords { base_sequence: i32::MAX, record_count: 2 };
    assert_eq!(batch(beyond), Err(refused.clone()));
    let raw = received(&batch(STAMP).unwrap());
    assert_eq!(pass_through(&raw, beyond), Err(refused));
}

#[test]
fn a_batch_needs_a_record_and_its_records_one_span_of_time() {
    assert_eq!(BatchWriter::new().finish_unsequenced(), Err(BatchError::Empty));
    let mut writer = BatchWriter::new();
    writer.push(i64::MIN, None, None, &[]);
    writer.push(1, None, None, &[]);
    let refused = BatchError::TimestampRange { base_timestamp: i64::MIN, timestamp: 1 };
    assert_eq!(writer.finish_unsequenced(), Err(refused));
}

#[test]
fn older_message_formats_are_named_even_when_shorter_than_a_header() {
    // Offset, size, CRC, magic 1, attributes, timestamp, null key, null value.
    let mut message = Vec::new();
    message.extend_from_slice(&41_i64.to_be_bytes());
    message.extend_from_slice(&22_i32.to_be_bytes());
    message.extend_from_slice(&[1, 2, 3, 4, 1, 0]);
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[0xff; 8]);
    assert_eq!(message.len(), 34);
    let mut split = batches(Bytes::from(message));
    assert_eq!(split.next(), Some(Err(BatchError::Magic { offset: 41, magic: 1 })));
    assert_eq!(split.next(), None);
}

#[test]
fn transactional_batches_say_so() {
    let mut writer = BatchWriter::new().transactional().compression(Compression::Zstd);
    writer.push(1, Some(b"key"), None, &[]);
    let batch = received(&writer.finish(STAMP).unwrap());
    assert!(batch.header.attributes.is_transactional());
    assert_eq!(batch.header.attributes.compression(), Compression::Zstd);
}
