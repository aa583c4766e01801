//! Fixed fields of the store's own formats, big-endian.

use crate::extent::LogId;

/// Bytes of a log's name.
pub(crate) const LOG_ID_BYTES: usize = 20;

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub(crate) fn id(&mut self) -> Option<LogId> {
        let topic = self.take()?;
        Some(LogId { topic, partition: i32::from_be_bytes(self.take()?) })
    }
}

pub(crate) fn write_id(out: &mut Vec<u8>, id: LogId) {
    out.extend_from_slice(&id.topic);
    out.extend_from_slice(&id.partition.to_be_bytes());
}
