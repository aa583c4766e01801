//! The newest offset of every key in a stretch of a log, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Bytes of memory that a key takes: 24 of its hash and offset, in a table that is half empty when
/// it has just grown, beside the one it grew out of.
const BYTES_PER_KEY: usize = 72;

/// Keys and their newest offsets. Keys are told apart by 128 bits of keyed hashes, which nobody
/// outside can aim at; Kafka tells them apart by as many of MD5.
#[derive(Debug)]
pub(super) struct KeyOffsets {
    newest: HashMap<[u64; 2], i64>,
    hashers: [RandomState; 2],
    keys_max: usize,
    /// What is before this has been looked at.
    end_offset: i64,
}

impl KeyOffsets {
    /// An empty one that takes at most so much memory.
    pub(super) fn new(bytes_max: usize, start_offset: i64) -> Self {
        let keys_max = (bytes_max / BYTES_PER_KEY).max(1);
        let hashers = [RandomState::new(), RandomState::new()];
        Self { newest: HashMap::new(), hashers, keys_max, end_offset: start_offset }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// Takes note of a key; `false` if there is no room for another.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        if let Some(newest) = self.newest.get_mut(&hash) {
            *newest = offset.max(*newest);
            return true;
        }
        if self.newest.len() == self.keys_max {
            return false;
        }
        self.newest.insert(hash, offset);
        true
    }

    /// The newest offset of a key, if it was seen.
    pub(super) fn newest(&self, key: &[u8]) -> Option<i64> {
        self.newest.get(&self.hash(key)).copied()
    }

    /// All before this offset has been looked at now.
    pub(super) fn looked_at(&mut self, end_offset: i64) {
        self.end_offset = self.end_offset.max(end_offset);
    }

    /// What lies from here on was not looked at.
    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset
    }
}
