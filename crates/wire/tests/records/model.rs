//! A naive picture of a log, made and read back without the code under test where that matters.

use bytes::Bytes;
use farlog_wire::records::compression::compress;
use farlog_wire::records::{
    BATCH_HEADER_BYTES, BatchHeader, BatchWriter, Compression, Header, OutgoingBatch,
    ProducerStamp, RawBatch, records,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// One record, with owned fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plain {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub(crate) const STAMP: ProducerStamp =
    ProducerStamp { producer_id: 4_242, producer_epoch: 0, base_sequence: 17 };

fn some_bytes(bytes_max: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    option::weighted(0.9, vec(any::<u8>(), 0..bytes_max))
}

prop_compose! {
    fn plain()(
        timestamp in -1_i64..2_000_000,
        key in some_bytes(20),
        value in some_bytes(200),
        headers in vec(("[a-z]{0,8}", some_bytes(12)), 0..3),
    ) -> Plain {
        let headers = headers.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        Plain { offset: 0, timestamp, key, value, headers }
    }
}

/// A batch as a broker might hand it out: what is left of it after compaction, and when its
/// timestamps were written.
#[derive(Clone, Debug)]
pub(crate) struct LogBatch {
    pub(crate) records: Vec<Plain>,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_offset: i64,
    pub(crate) log_append_time: Option<i64>,
    pub(crate) delete_horizon: bool,
}

prop_compose! {
    /// Records of one batch, each with the number of offsets that compaction freed before it.
    fn holed()(
        records in vec((plain(), prop_oneof![8 => Just(0), 1 => 1..100_000_i64]), 0..12),
        behind in prop_oneof![4 => Just(0), 1 => 1..100_i64],
        log_append_time in option::weighted(0.2, 0_i64..2_000_000),
        delete_horizon in any::<bool>(),
    ) -> LogBatch {
        let mut offset = 0;
        let mut kept = Vec::new();
        for (mut record, hole) in records {
            record.offset = offset + hole;
            offset = record.offset + 1;
            kept.push(record);
        }
        let last_offset_delta = (offset - 1 + behind).max(0) as i32;
        let records = kept;
        LogBatch { records, last_offset_delta, base_offset: 0, log_append_time, delete_horizon }
    }
}

prop_compose! {
    /// Consecutive batches, offsets absolute.
    pub(crate) fn log()(
        start in prop_oneof![Just(0_i64), 0..1_i64 << 40],
        batches in vec(holed(), 1..8),
    ) -> Vec<LogBatch> {
        let mut offset = start;
        let mut log = Vec::new();
        for mut batch in batches {
            batch.base_offset = offset;
            for record in &mut batch.records {
                record.offset += offset;
                if let Some(timestamp) = batch.log_append_time {
                    record.timestamp = timestamp;
                }
            }
            offset += i64::from(batch.last_offset_delta) + 1;
            log.push(batch);
        }
        log
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    loop {
        if rest < 0x80 {
            return out.push(rest as u8);
        }
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
}

fn field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    varint(out, field.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(field.unwrap_or_default());
}

/// One record, encoded without the code under test.
pub(crate) fn encode_record(record: &Plain, timestamp_delta: i64, offset_delta: i64) -> Vec<u8> {
    let mut body = vec![0];
    varint(&mut body, timestamp_delta);
    varint(&mut body, offset_delta);
    field(&mut body, record.key.as_deref());
    field(&mut body, record.value.as_deref());
    varint(&mut body, record.headers.len() as i64);
    for (key, value) in &record.headers {
        field(&mut body, Some(key));
        field(&mut body, value.as_deref());
    }
    let mut bytes = Vec::new();
    varint(&mut bytes, body.len() as i64);
    bytes.extend(body);
    bytes
}

/// The payload of a batch, its records' timestamps counted from `base_timestamp`.
pub(crate) fn encode_payload(batch: &LogBatch, base_timestamp: i64) -> Vec<u8> {
    let mut payload = Vec::new();
    for (index, record) in batch.records.iter().enumerate() {
        // A broker that writes its own time leaves the producer's deltas as they were.
        let delta = match batch.log_append_time {
            Some(_) => index as i64 * 3,
            None => record.timestamp - base_timestamp,
        };
        payload.extend(encode_record(record, delta, record.offset - batch.base_offset));
    }
    payload
}

/// The bytes of a batch with this header and payload, length and checksum made to fit.
pub(crate) fn seal(mut header: BatchHeader, payload: &[u8]) -> Bytes {
    header.batch_length = (payload.len() + BATCH_HEADER_BYTES - 12) as i32;
    let mut front = [0; BATCH_HEADER_BYTES];
    header.write_to(&mut front);
    let mut bytes = front.to_vec();
    bytes.extend_from_slice(payload);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

impl LogBatch {
    /// The batch as it lies in the log.
    pub(crate) fn encode(&self, compression: Compression) -> Bytes {
        let base_timestamp = self.records.first().map_or(5, |record| record.timestamp - 3);
        let mut payload = encode_payload(self, base_timestamp);
        let timestamps = self.records.iter().map(|record| record.timestamp);
        let mut attributes = 0x10;
        if !self.records.is_empty() && compression.is_compressed() {
            attributes |= compression as i16;
            payload = compress(compression, &payload).unwrap();
        }
        if self.log_append_time.is_some() {
            attributes |= 0x08;
        }
        if self.delete_horizon {
            attributes |= 0x40;
        }
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            partition_leader_epoch: 7,
            magic: 2,
            crc: 0,
            attributes: farlog_wire::records::Attributes(attributes),
            last_offset_delta: self.last_offset_delta,
            base_timestamp,
            max_timestamp: timestamps.max().or(self.log_append_time).unwrap_or(-1),
            producer_id: 99,
            producer_epoch: 3,
            base_sequence: 1_000,
            record_count: self.records.len() as i32,
        };
        seal(header, &payload)
    }

    pub(crate) fn raw(&self, compression: Compression) -> RawBatch {
        RawBatch::new(self.encode(compression)).unwrap()
    }
}

/// The records of a batch as the code under test reads them.
pub(crate) fn read(batch: &RawBatch) -> Vec<Plain> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let records = records(batch).unwrap();
    let plain = records.into_iter().map(|record| Plain {
        offset: record.offset,
        timestamp: record.timestamp,
        key: owned(record.key),
        value: owned(record.value),
        headers: record
            .headers
            .iter()
            .map(|header| (header.key.to_vec(), owned(header.value)))
            .collect(),
    });
    plain.collect()
}

/// A batch that goes out, as one that came in; its checksum must hold.
pub(crate) fn received(batch: &OutgoingBatch) -> RawBatch {
    let raw = RawBatch::new(batch.to_bytes()).unwrap();
    raw.verify_crc().unwrap();
    assert_eq!(raw.header, *batch.header());
    raw
}

/// Checks what a broker checks, and what it does not: base offset 0, dense deltas, true maximum of
/// the timestamps, no bit but the compression.
pub(crate) fn check_outgoing(batch: &OutgoingBatch, decompressed: &RawBatch) {
    let header = batch.header();
    let plain = read(decompressed);
    assert_eq!(header.base_offset, 0);
    assert_eq!(header.partition_leader_epoch, -1);
    assert_eq!(header.record_count as usize, plain.len());
    assert_eq!(header.last_offset_delta + 1, header.record_count);
    assert_eq!(header.attributes.0 & !0x07, 0);
    for (index, record) in plain.iter().enumerate() {
        assert_eq!(record.offset, index as i64);
    }
    let max_timestamp = plain.iter().map(|record| record.timestamp).max();
    assert_eq!(Some(header.max_timestamp), max_timestamp);
    let owner = (header.producer_id, header.producer_epoch);
    assert_eq!(owner, (STAMP.producer_id, STAMP.producer_epoch));
}

/// A batch made by the writer under test.
pub(crate) fn write(records: &[Plain], compression: Compression) -> OutgoingBatch {
    let mut writer = BatchWriter::new().compression(compression);
    for record in records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| Header { key, value: value.as_deref() })
            .collect();
        writer.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
    }
    writer.finish(STAMP).unwrap()
}

/// Random logs, the same ones at every call.
pub(crate) fn sample_logs(count: usize) -> Vec<Vec<LogBatch>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let logs = std::iter::repeat_with(|| log().new_tree(&mut runner).unwrap().current());
    logs.take(count).collect()
}
