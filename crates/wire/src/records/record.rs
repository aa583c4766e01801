//! Records inside an uncompressed batch.
//!
//! Source: Kafka's documentation, "Record"; KIP-98, KIP-82 (headers).

use super::error::{BatchError, RecordFault};
use super::header::{BatchHeader, TimestampType};
use super::raw::RawBatch;
use super::varint::{push_varlong, read_varint, read_varlong, varlong_bytes};

/// Bytes of the smallest record: its length, attributes, two deltas, null key, null value and no
/// headers, one each.
pub(super) const RECORD_BYTES_MIN: usize = 7;

/// Bytes of the smallest header of a record: an empty key and a null value.
const RECORD_HEADER_BYTES_MIN: usize = 2;

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its key: UTF-8 by the protocol, which brokers do not check.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

/// One record, as clients see it. Key, value and headers lie where the batch lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the log that the batch was read from.
    pub offset: i64,
    /// Its timestamp in milliseconds since the epoch; the append's for LogAppendTime; -1 for none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; keys may repeat.
    pub headers: Vec<Header<'a>>,
}

/// Where the parts of one record lie in a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) attributes: u8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    /// Where key, value and headers begin; they end at `end`.
    pub(super) rest_begin: usize,
    /// Where the record ends.
    pub(super) end: usize,
}

/// Reads the front of the record at `at`, and checks that its length fits the payload.
#[inline(always)]
pub(super) fn read_frame(payload: &[u8], at: usize) -> Result<Frame, RecordFault> {
    let (length, begin) = read_varint(payload, at).ok_or(RecordFault::Varint)?;
    let length = usize::try_from(length).map_err(|_| RecordFault::Length)?;
    if length > payload.len() - begin {
        return Err(RecordFault::Length);
    }
    let end = begin + length;
    let record = &payload[..end];
    let attributes = *record.get(begin).ok_or(RecordFault::Length)?;
    let (timestamp_delta, next) = read_varlong(record, begin + 1).ok_or(RecordFault::Varint)?;
    let (offset_delta, rest_begin) = read_varint(record, next).ok_or(RecordFault::Varint)?;
    Ok(Frame { attributes, timestamp_delta, offset_delta, rest_begin, end })
}

/// Checks that key, value and headers of the record fill it exactly.
#[inline(always)]
pub(super) fn check_fields(payload: &[u8], frame: Frame) -> Result<(), RecordFault> {
    let record = &payload[..frame.end];
    let (_, at) = read_bytes(record, frame.rest_begin)?;
    let (_, at) = read_bytes(record, at)?;
    let (mut headers, mut at) = read_header_count(record, at)?;
    while headers > 0 {
        let (key, next) = read_bytes(record, at)?;
        key.ok_or(RecordFault::Fields)?;
        (_, at) = read_bytes(record, next)?;
        headers -= 1;
    }
    if at == frame.end { Ok(()) } else { Err(RecordFault::Fields) }
}

/// The timestamp that clients see on the record.
#[inline(always)]
pub(super) fn timestamp_of(header: &BatchHeader, frame: Frame) -> Result<i64, RecordFault> {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => Ok(header.max_timestamp),
        TimestampType::CreateTime => {
            header.base_timestamp.checked_add(frame.timestamp_delta).ok_or(RecordFault::Timestamp)
        }
    }
}

/// A length and as many bytes; -1 is null.
#[inline(always)]
fn read_bytes(record: &[u8], at: usize) -> Result<(Option<&[u8]>, usize), RecordFault> {
    let (length, at) = read_varint(record, at).ok_or(RecordFault::Varint)?;
    if length == -1 {
        return Ok((None, at));
    }
    let length = usize::try_from(length).map_err(|_| RecordFault::Fields)?;
    if length > record.len() - at {
        return Err(RecordFault::Fields);
    }
    Ok((Some(&record[at..at + length]), at + length))
}

/// The number of headers, which must have room in what is left.
#[inline(always)]
fn read_header_count(record: &[u8], at: usize) -> Result<(usize, usize), RecordFault> {
    let (count, at) = read_varint(record, at).ok_or(RecordFault::Varint)?;
    let count = usize::try_from(count).map_err(|_| RecordFault::Fields)?;
    if count > (record.len() - at) / RECORD_HEADER_BYTES_MIN {
        return Err(RecordFault::Fields);
    }
    Ok((count, at))
}

/// The offset deltas of one batch, as they must be: rising, from 0 on, up to the header's last.
/// In front of them there may be phantoms, which are no records (see [`super::ExactBuilder`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct DeltaOrder {
    last: i32,
    max: i32,
}

impl DeltaOrder {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self { last: -1, max: header.last_offset_delta }
    }

    /// Whether it is a record; `false` for a phantom, which every reader is to pass over.
    #[inline(always)]
    pub(super) fn follow(&mut self, delta: i32) -> Result<bool, RecordFault> {
        if delta <= self.last || delta > self.max {
            let is_phantom = delta < 0 && self.last == -1;
            return if is_phantom { Ok(false) } else { Err(RecordFault::Offset) };
        }
        self.last = delta;
        Ok(true)
    }
}

/// The records of a batch, in order, phantoms left out; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: &'a BatchHeader,
    payload: &'a [u8],
    at: usize,
    index: i32,
    order: DeltaOrder,
    failed: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(batch: &'a RawBatch) -> Result<Self, BatchError> {
        let header = &batch.header;
        if header.attributes.compression().is_compressed() {
            return Err(BatchError::Compressed { offset: header.base_offset });
        }
        Ok(Self {
            header,
            payload: batch.payload_slice(),
            at: 0,
            index: 0,
            order: DeltaOrder::of(header),
            failed: false,
        })
    }

    /// The next record; `None` for a phantom.
    fn read(&mut self) -> Result<Option<Record<'a>>, RecordFault> {
        let frame = read_frame(self.payload, self.at)?;
        if !self.order.follow(frame.offset_delta)? {
            check_fields(self.payload, frame)?;
            self.at = frame.end;
            return Ok(None);
        }
        let record = &self.payload[..frame.end];
        let (key, at) = read_bytes(record, frame.rest_begin)?;
        let (value, at) = read_bytes(record, at)?;
        let (count, mut at) = read_header_count(record, at)?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let (key, next) = read_bytes(record, at)?;
            let (value, next) = read_bytes(record, next)?;
            headers.push(Header { key: key.ok_or(RecordFault::Fields)?, value });
            at = next;
        }
        if at != frame.end {
            return Err(RecordFault::Fields);
        }
        let timestamp = timestamp_of(self.header, frame)?;
        self.at = frame.end;
        let offset = self.header.base_offset + i64::from(frame.offset_delta);
        Ok(Some(Record { offset, timestamp, key, value, headers }))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let offset = self.header.base_offset;
        while self.index < self.header.record_count {
            let index = self.index;
            self.index += 1;
            let record = self.read().transpose();
            if let Some(record) = record {
                self.failed = record.is_err();
                return Some(record.map_err(|what| BatchError::Record { offset, index, what }));
            }
        }
        let (record_count, bytes) = (self.index, self.payload.len() - self.at);
        self.failed = true;
        (bytes > 0).then_some(Err(BatchError::TrailingBytes { offset, record_count, bytes }))
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// All records of an uncompressed batch.
///
/// # Errors
/// As [`RawBatch::records`], and that of the first record that does not hold together.
pub fn records(batch: &RawBatch) -> Result<Vec<Record<'_>>, BatchError> {
    batch.records()?.collect()
}

/// Appends a record to a payload. Lengths beyond 32 bits are the caller's to refuse.
pub(super) fn push_record(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) {
    let headers_bytes: usize = headers
        .iter()
        .map(|header| field_bytes(Some(header.key)) + field_bytes(header.value))
        .sum();
    let length = 1
        + varlong_bytes(timestamp_delta)
        + varlong_bytes(i64::from(offset_delta))
        + field_bytes(key)
        + field_bytes(value)
        + varlong_bytes(headers.len() as i64)
        + headers_bytes;
    push_varlong(out, length as i64);
    out.push(0);
    push_varlong(out, timestamp_delta);
    push_varlong(out, i64::from(offset_delta));
    push_field(out, key);
    push_field(out, value);
    push_varlong(out, headers.len() as i64);
    for header in headers {
        push_field(out, Some(header.key));
        push_field(out, header.value);
    }
}

fn field_bytes(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => varlong_bytes(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

fn push_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            push_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => push_varlong(out, -1),
    }
}

/// The key of the record that a payload begins with, if it can be read.
pub(super) fn first_key(payload: &[u8]) -> Option<&[u8]> {
    let frame = read_frame(payload, 0).ok()?;
    read_bytes(&payload[..frame.end], frame.rest_begin).ok()?.0
}
