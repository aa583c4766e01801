//! What generated records hold: sizes from nothing to tens of kilobytes, nulls and empties
//! everywhere, headers, timestamps out of order.

use bytes::Bytes;

use super::bytes;
use crate::history::RecordId;
use crate::history::random::Random;
use crate::history::record::LogRecord;

/// Keys of a compacted partition.
const KEYS: u64 = 40;

/// Bytes of values in one batch: below every topic's `max.message.bytes`.
const BATCH_BYTES_MAX: usize = 600_000;

/// For which partition.
#[derive(Debug)]
pub(super) struct ContentsOptions<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) compacted: bool,
    pub(super) append_time: bool,
    pub(super) base_timestamp_ms: i64,
}

/// Makes records for one partition.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    options: ContentsOptions<'a>,
    random: &'a mut Random,
}

impl<'a> Contents<'a> {
    pub(super) fn new(options: ContentsOptions<'a>, random: &'a mut Random) -> Contents<'a> {
        Contents { options, random }
    }

    /// The records of one batch; counts on from `ordinal_next`.
    pub(super) fn batch(&mut self, ordinal_next: &mut u64) -> Vec<LogRecord> {
        let (count, value_bytes_max) = match self.random.below(20) {
            0 => (self.random.between(200, 500), 100),
            // Large enough to pass through as it is when it is compressed.
            1 => (self.random.between(40, 120), 5_000),
            2 => (1, 60_000),
            3..=7 => (1, 400),
            _ => (self.random.between(2, 40), 400),
        };
        let mut records = Vec::with_capacity(count as usize);
        let mut size_bytes = 0;
        while records.len() < count as usize && size_bytes < BATCH_BYTES_MAX {
            let record = self.record(*ordinal_next, value_bytes_max);
            size_bytes += record.value.as_ref().map_or(0, Bytes::len) + 64;
            *ordinal_next += 1;
            records.push(record);
        }
        records
    }

    fn record(&mut self, ordinal: u64, value_bytes_max: u64) -> LogRecord {
        let place = (self.options.topic.to_owned(), self.options.partition);
        let id = RecordId { topic: place.0, partition: place.1, ordinal }.to_field();
        let timestamp_ms = self.options.base_timestamp_ms + ordinal as i64;
        let offset = 0;
        let may_be_bare = !self.options.compacted && !self.options.append_time;
        if may_be_bare && self.random.chance(1, 100) {
            let value = if self.random.chance(1, 2) { None } else { Some(Bytes::new()) };
            return LogRecord { offset, timestamp_ms, key: None, value, headers: Vec::new() };
        }
        let jitter_ms = self.random.below(2_000) as i64 - 1_000;
        let timestamp_ms = if self.random.chance(1, 200) { -1 } else { timestamp_ms + jitter_ms };
        let mut value = match self.random.below(20) {
            0 | 1 => None,
            2 => Some(Bytes::new()),
            _ => {
                let mut value = id.clone();
                let length = self.random.below(value_bytes_max) as usize;
                value.extend(self.random.text(length));
                bytes(value)
            }
        };
        let nameless = value.as_ref().is_none_or(Bytes::is_empty);
        let mut headers = self.headers();
        let key = if self.options.compacted {
            // The key has to be one of few, so the id of a tombstone goes to its first header.
            if nameless {
                value = None;
                headers.insert(0, (Bytes::from_static(b"id"), bytes(id)));
            }
            bytes(format!("key-{}", self.random.below(KEYS)).into_bytes())
        } else if !nameless {
            self.key()
        } else if self.random.chance(1, 3) {
            headers.insert(0, (Bytes::from_static(b"id"), bytes(id)));
            None
        } else {
            bytes(id)
        };
        LogRecord { offset, timestamp_ms, key, value, headers }
    }

    fn key(&mut self) -> Option<Bytes> {
        match self.random.below(10) {
            0..=2 => None,
            3 => Some(Bytes::new()),
            _ => {
                let length = self.random.between(1, 30) as usize;
                bytes(self.random.text(length))
            }
        }
    }

    fn headers(&mut self) -> Vec<(Bytes, Option<Bytes>)> {
        let count = if self.random.chance(2, 3) { 0 } else { self.random.between(1, 3) };
        let mut headers = Vec::new();
        for _ in 0..count {
            // Names repeat on purpose: Kafka allows it, and order matters.
            let name = *self.random.pick(&["trace", "trace", "tenant", ""]);
            let value = match self.random.below(4) {
                0 => None,
                1 => Some(Bytes::new()),
                _ => bytes(self.random.text(12)),
            };
            headers.push((Bytes::from_static(name.as_bytes()), value));
        }
        headers
    }
}
