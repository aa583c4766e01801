//! Records to batches and back.

use bytes::Bytes;
use farlog_wire::records::{
    self, BatchError, BatchWriter, Compression, ControlType, Header, ProducerStamp, RawBatch,
};

use super::record::LogRecord;
use super::session::{HistoryError, Producer};

/// Decompressed bytes of one batch: ten times what a topic takes by default.
const BATCH_BYTES_MAX: usize = 10 * 1024 * 1024;

/// How a batch is compressed.
#[derive(Clone, Copy, Debug)]
pub struct Codec(Compression);

/// Who writes a batch.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    producer: ProducerStamp,
    transactional: bool,
}

/// The header of a batch as it stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// Offset of its first record, also when the cleaner removed that.
    pub base_offset: i64,
    /// Offset of its last record, also when the cleaner removed that.
    pub last_offset: i64,
    /// Records that are left.
    pub record_count: i32,
    /// -1 if the writer was not idempotent.
    pub producer_id: i64,
    /// -1 if the writer was not idempotent.
    pub producer_epoch: i16,
    /// -1 if the writer was not idempotent.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// Marked with a delete horizon by the cleaner.
    pub delete_horizon: bool,
    /// `Some(committed)` for a transaction marker.
    pub marker: Option<bool>,
}

// === impl Codec ===

impl Codec {
    /// Half of what real producers send is not compressed.
    pub(super) const WEIGHTED: [Codec; 8] = [
        Codec(Compression::None),
        Codec(Compression::None),
        Codec(Compression::None),
        Codec(Compression::None),
        Codec(Compression::Gzip),
        Codec(Compression::Snappy),
        Codec(Compression::Lz4),
        Codec(Compression::Zstd),
    ];

    /// No compression.
    pub const NONE: Codec = Codec(Compression::None);
    /// Gzip.
    pub const GZIP: Codec = Codec(Compression::Gzip);
    /// Zstandard.
    pub const ZSTD: Codec = Codec(Compression::Zstd);
}

// === impl Stamp ===

impl Stamp {
    /// Of a producer without an id.
    pub fn plain() -> Stamp {
        Stamp { producer: ProducerStamp::NONE, transactional: false }
    }

    /// Of an idempotent producer.
    pub fn idempotent(producer: &Producer, base_sequence: i32) -> Stamp {
        let producer = ProducerStamp {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence,
        };
        Stamp { producer, transactional: false }
    }

    /// Of a transactional producer.
    pub fn transactional(producer: &Producer, base_sequence: i32) -> Stamp {
        Stamp { transactional: true, ..Stamp::idempotent(producer, base_sequence) }
    }
}

/// One batch with these records, as a produce request carries it: at offset 0.
///
/// # Errors
/// When there are none, or they do not compress.
pub fn encode(records: &[LogRecord], codec: Codec, stamp: &Stamp) -> Result<Bytes, HistoryError> {
    let mut writer = BatchWriter::new().compression(codec.0);
    if stamp.transactional {
        writer = writer.transactional();
    }
    for record in records {
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| Header { key, value: value.as_deref() })
            .collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        writer.push(record.timestamp_ms, key, value, &headers);
    }
    let batch = writer.finish(stamp.producer).map_err(|error| HistoryError::Fixture {
        what: "building a batch".to_owned(),
        problem: error.to_string(),
    })?;
    Ok(batch.to_bytes())
}

/// The batches of a fetch answer with their records; markers have none.
pub(super) fn decode(fetched: Bytes) -> Result<Vec<(LogBatch, Vec<LogRecord>)>, BatchError> {
    records::batches(fetched).map(|batch| decode_one(&batch?)).collect()
}

fn decode_one(batch: &RawBatch) -> Result<(LogBatch, Vec<LogRecord>), BatchError> {
    batch.verify_crc()?;
    let header = batch.header;
    let marker = if header.attributes.is_control() {
        match records::control_type(batch)? {
            ControlType::Commit => Some(true),
            ControlType::Abort => Some(false),
            // A marker whose record the cleaner removed ends nothing any more.
            ControlType::Other(_) => Some(true),
        }
    } else {
        None
    };
    let seen = LogBatch {
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        record_count: header.record_count,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        delete_horizon: header.attributes.has_delete_horizon(),
        marker,
    };
    // The cleaner keeps the header of a producer's last batch without its records.
    if marker.is_some() || header.record_count == 0 {
        return Ok((seen, Vec::new()));
    }
    let plain = batch.decompressed(BATCH_BYTES_MAX)?;
    let bytes = plain.bytes().clone();
    let own = |field: &[u8]| bytes.slice_ref(field);
    let records = records::records(&plain)?.into_iter().map(|record| LogRecord {
        offset: record.offset,
        timestamp_ms: record.timestamp,
        key: record.key.map(own),
        value: record.value.map(own),
        headers: record
            .headers
            .iter()
            .map(|header| (own(header.key), header.value.map(own)))
            .collect(),
    });
    Ok((seen, records.collect()))
}
