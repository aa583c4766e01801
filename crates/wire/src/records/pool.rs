//! Payload buffers that come back when the last user of a batch lets go.
//!
//! A fresh megabyte costs a page fault for every 4 KiB of it; one that was used before costs none.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept by the pool of a builder that was given none.
const BUFFERS_MAX_DEFAULT: usize = 4;

/// A buffer larger than this is freed when it comes back, in bytes: Kafka's default for the
/// largest batch (`max.message.bytes`) and what growing by halves may leave unused.
const BUFFER_BYTES_MAX_DEFAULT: usize = 2 * 1024 * 1024;

/// Buffers for the payloads of batches; a cheap handle that many builders may share.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    spare: Mutex<Vec<Vec<u8>>>,
    buffers_max: usize,
    buffer_bytes_max: usize,
}

impl BufferPool {
    /// A pool that keeps at most `buffers_max` unused buffers, none larger than
    /// `buffer_bytes_max`. What is in use is not bounded here.
    pub fn new(buffers_max: usize, buffer_bytes_max: usize) -> Self {
        let spare = Mutex::new(Vec::new());
        Self { shared: Arc::new(Shared { spare, buffers_max, buffer_bytes_max }) }
    }

    /// Unused buffers that are kept now.
    pub fn spare_count(&self) -> usize {
        self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// An empty buffer, the one that came back last if there is one.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    /// The bytes of `buffer`, which comes back to the pool when the last of their users has let
    /// go.
    pub(super) fn share(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, shared: Arc::clone(&self.shared) })
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(BUFFERS_MAX_DEFAULT, BUFFER_BYTES_MAX_DEFAULT)
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BufferPool")
            .field("spare_count", &self.spare_count())
            .field("buffers_max", &self.shared.buffers_max)
            .field("buffer_bytes_max", &self.shared.buffer_bytes_max)
            .finish()
    }
}

impl Shared {
    fn give_back(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > self.buffer_bytes_max {
            return;
        }
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.buffers_max {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// A buffer that is part of a batch.
struct Lent {
    buffer: Vec<u8>,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.give_back(std::mem::take(&mut self.buffer));
    }
}
