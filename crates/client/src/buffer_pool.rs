//! Buffers for response frames, used again instead of being given back to the allocator.
//!
//! A fetch response of some megabytes is otherwise a fresh `mmap` each time, and every page of it
//! a page fault: 15–25 % of a forwarder's CPU.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::limits::{POOL_BUFFER_BYTES_MIN, POOL_RETAINED_BUFFERS_MAX};

/// A shared store of buffers; cheap to clone.
#[derive(Clone, Debug)]
pub struct BufferPool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    retained_bytes_max: usize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    retained_bytes: usize,
}

/// A buffer on loan; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    bytes: Vec<u8>,
    pool: Arc<Shared>,
}

// === impl BufferPool ===

impl BufferPool {
    /// A pool that keeps at most `retained_bytes_max` of unused buffers.
    pub fn new(retained_bytes_max: usize) -> BufferPool {
        BufferPool(Arc::new(Shared { retained_bytes_max, free: Mutex::default() }))
    }

    /// An empty buffer with room for `capacity` bytes.
    pub(crate) fn take(&self, capacity: usize) -> PooledBuffer {
        let reused = self.0.lock().take(capacity);
        // Powers of two, so that frames of about the same size find each other's buffers; only
        // address space is reserved here, pages come with the bytes.
        let bytes = reused.unwrap_or_else(|| {
            let rounded = capacity.max(POOL_BUFFER_BYTES_MIN).checked_next_power_of_two();
            Vec::with_capacity(rounded.unwrap_or(capacity))
        });
        PooledBuffer { bytes, pool: self.0.clone() }
    }

    /// Bytes of the buffers that wait for use.
    pub fn retained_bytes(&self) -> usize {
        self.0.lock().retained_bytes
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing panics while it is held, and a list of free buffers cannot be half-written.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Free ===

impl Free {
    /// The smallest buffer that fits, unless it would be mostly wasted.
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let (index, _) = self
            .buffers
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.capacity() >= capacity)
            .filter(|(_, buffer)| buffer.capacity() / 8 <= capacity.max(POOL_BUFFER_BYTES_MIN))
            .min_by_key(|(_, buffer)| buffer.capacity())?;
        let buffer = self.buffers.swap_remove(index);
        self.retained_bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give_back(&mut self, buffer: Vec<u8>, retained_bytes_max: usize) {
        let bytes = buffer.capacity();
        if self.buffers.len() < POOL_RETAINED_BUFFERS_MAX
            && self.retained_bytes + bytes <= retained_bytes_max
        {
            self.retained_bytes += bytes;
            self.buffers.push(buffer);
        }
    }
}

// === impl PooledBuffer ===

impl PooledBuffer {
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Freezes it; the buffer goes back when the last slice of it is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.bytes);
        buffer.clear();
        if buffer.capacity() > 0 {
            self.pool.lock().give_back(buffer, self.pool.retained_bytes_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_with_its_last_slice() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take(100_000);
        buffer.bytes_mut().extend_from_slice(&[7; 100_000]);
        let address = buffer.as_ref().as_ptr();
        let frame = buffer.freeze();
        let slice = frame.slice(50_000..50_010);
        drop(frame);
        assert_eq!(pool.retained_bytes(), 0);
        assert_eq!(&slice[..], &[7; 10]);
        drop(slice);
        assert_eq!(pool.retained_bytes(), 131_072);
        assert_eq!(pool.take(120_000).as_ref().as_ptr(), address);
    }

    #[test]
    fn a_pool_keeps_no_more_than_it_may() {
        let pool = BufferPool::new(300_000);
        let buffers: Vec<_> = (0..5).map(|_| pool.take(100_000)).collect();
        drop(buffers);
        assert_eq!(pool.retained_bytes(), 2 * 131_072);
        // A tiny frame does not pin a huge buffer.
        let roomy = BufferPool::new(1 << 30);
        drop(roomy.take(64 << 20));
        let _small = roomy.take(20_000);
        assert_eq!(roomy.retained_bytes(), 64 << 20);
    }
}
