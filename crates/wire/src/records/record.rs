//! Records inside an uncompressed payload.

use super::error::BatchError;
use super::header::BatchHeader;
use super::raw::RawBatch;
use super::varint::{read_varint, read_varlong};

/// Most headers that one record may have; each takes at least two bytes, and Kafka sets no bound.
const HEADERS_MAX: i32 = 1_000_000;

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its key, UTF-8 by convention.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the log the batch was read from.
    pub offset: i64,
    /// Its timestamp in milliseconds since the epoch, as clients see it.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; keys may repeat.
    pub headers: Vec<Header<'a>>,
}

/// Where the parts of a record lie that the merger needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordFrame {
    pub(super) attributes: u8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    /// Key, value and headers: from here …
    pub(super) rest_begin: usize,
    /// … to the end of the record.
    pub(super) end: usize,
}

/// Reads the front of the record at `at`; `None` if it does not fit the bytes.
#[inline]
pub(super) fn read_frame(payload: &[u8], at: usize) -> Option<RecordFrame> {
    let (length, begin) = read_varint(payload, at)?;
    let end = begin.checked_add(usize::try_from(length).ok()?)?;
    if end > payload.len() {
        return None;
    }
    let attributes = *payload.get(begin)?;
    let (timestamp_delta, next) = read_varlong(payload, begin + 1)?;
    let (offset_delta, rest_begin) = read_varint(payload, next)?;
    (rest_begin <= end).then_some(RecordFrame {
        attributes,
        timestamp_delta,
        offset_delta,
        rest_begin,
        end,
    })
}

/// The records of an uncompressed batch, checked against its header.
pub fn records(batch: &RawBatch) -> Result<Vec<Record<'_>>, BatchError> {
    let header = &batch.header;
    let error = |index, what| BatchError::Record { offset: header.base_offset, index, what };
    if header.attributes.compression().is_compressed() {
        return Err(error(0, "the batch is compressed"));
    }
    let payload = &batch.bytes()[super::header::BATCH_HEADER_BYTES..];
    let mut records = Vec::new();
    let mut at = 0;
    for index in 0..header.record_count {
        let frame = read_frame(payload, at).ok_or_else(|| error(index, "it does not fit"))?;
        let record = read_record(header, payload, frame)
            .ok_or_else(|| error(index, "its fields do not fit its length"))?;
        records.push(record);
        at = frame.end;
    }
    if at != payload.len() {
        return Err(error(header.record_count, "bytes follow the last record"));
    }
    Ok(records)
}

fn read_record<'a>(
    header: &BatchHeader,
    payload: &'a [u8],
    frame: RecordFrame,
) -> Option<Record<'a>> {
    let bytes = &payload[..frame.end];
    let (key, at) = read_bytes(bytes, frame.rest_begin)?;
    let (value, at) = read_bytes(bytes, at)?;
    let (count, mut at) = read_varint(bytes, at)?;
    if !(0..=HEADERS_MAX).contains(&count) {
        return None;
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        let (key, next) = read_bytes(bytes, at)?;
        let (value, next) = read_bytes(bytes, next)?;
        headers.push(Header { key: key?, value });
        at = next;
    }
    if at != frame.end {
        return None;
    }
    let timestamp = if header.attributes.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.checked_add(frame.timestamp_delta)?
    };
    let offset = header.base_offset.checked_add(i64::from(frame.offset_delta))?;
    Some(Record { offset, timestamp, key, value, headers })
}

/// A length and as many bytes; -1 is null.
fn read_bytes(bytes: &[u8], at: usize) -> Option<(Option<&[u8]>, usize)> {
    let (length, at) = read_varint(bytes, at)?;
    if length < 0 {
        return (length == -1).then_some((None, at));
    }
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    Some((Some(bytes.get(at..end)?), end))
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The transaction is aborted.
    Abort,
    /// The transaction is committed.
    Commit,
    /// Leader changes, snapshots and what may come: nothing about transactions.
    Other(i16),
}

/// The type of a control batch's record: the second 16 bits of its key (KIP-98).
pub fn control_type(batch: &RawBatch) -> Result<ControlType, BatchError> {
    let error = |what| BatchError::Record { offset: batch.header.base_offset, index: 0, what };
    let parsed = records(batch)?;
    // The cleaner keeps the header of a marker whose record it removed.
    let Some(record) = parsed.first() else { return Ok(ControlType::Other(-1)) };
    let key = record.key.ok_or_else(|| error("a control record without key"))?;
    let code: [u8; 2] = key
        .get(2..4)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| error("the key of a control record is too short"))?;
    Ok(match i16::from_be_bytes(code) {
        0 => ControlType::Abort,
        1 => ControlType::Commit,
        other => ControlType::Other(other),
    })
}
