//! Memory for reads of files, used again and again: what is fresh would have to be cleared first,
//! which takes as long as the reading.

use std::fmt;
use std::ops::{Deref, DerefMut, RangeTo};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::limits::{BUFFER_STEP_BYTES, KEPT_BUFFER_BYTES_MAX, KEPT_BUFFERS_BYTES_MAX};

/// Buffers that nobody uses at the moment; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Bytes of anything, until somebody has written there; given back at its end.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Buffers>,
}

impl Buffers {
    /// A buffer of at least so many bytes; nothing is known of what is in them.
    pub(crate) fn take(&self, bytes: usize) -> Buffer {
        if bytes < BUFFER_STEP_BYTES {
            return Buffer { bytes: vec![0; bytes], home: None };
        }
        let home = Some(self.clone());
        let mut free = self.lock();
        // Not one that is much too large: others may need it.
        let fits = |buffer: &Vec<u8>| (bytes..=2 * bytes).contains(&buffer.len());
        if let Some(at) = free.iter().position(fits) {
            return Buffer { bytes: free.swap_remove(at), home };
        }
        drop(free);
        Buffer { bytes: vec![0; bytes.next_multiple_of(BUFFER_STEP_BYTES)], home }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut free = self.lock();
        let kept: usize = free.iter().map(Vec::len).sum();
        if bytes.len() <= KEPT_BUFFER_BYTES_MAX && kept + bytes.len() <= KEPT_BUFFERS_BYTES_MAX {
            free.push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// What was written at its front. A copy if that is little: the buffer would be held with it.
    pub(crate) fn freeze(self, written: RangeTo<usize>) -> Bytes {
        if written.end * 2 < self.bytes.len() {
            return Bytes::copy_from_slice(&self.bytes[written]);
        }
        Bytes::from_owner(self).slice(written)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Buffer({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(buffers: &Buffers) -> usize {
        buffers.lock().iter().map(Vec::len).sum()
    }

    #[test]
    fn buffers_are_used_again_once_nobody_reads_them() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(1_000_000);
        buffer[..900_000].fill(7);
        let read = buffer.freeze(..900_000);
        let part = read.slice(10..20);
        drop(read);
        assert_eq!((kept(&buffers), &part[..]), (0, &[7; 10][..]));
        drop(part);
        assert_eq!(kept(&buffers), 1_048_576);
        assert_eq!(buffers.take(800_000).len(), 1_048_576);
        let other = buffers.take(300_000);
        assert_eq!((other.len(), kept(&buffers)), (524_288, 1_048_576));
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let buffers = Buffers::default();
        let many: Vec<Buffer> = (0..20).map(|_| buffers.take(KEPT_BUFFER_BYTES_MAX)).collect();
        drop(many);
        drop(buffers.take(KEPT_BUFFER_BYTES_MAX + 1));
        assert_eq!(kept(&buffers), KEPT_BUFFERS_BYTES_MAX);
    }

    #[test]
    fn little_does_not_hold_a_buffer() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(1_000_000);
        buffer[..10].fill(1);
        let read = buffer.freeze(..10);
        assert_eq!((kept(&buffers), &read[..]), (1_048_576, &[1; 10][..]));
        assert_eq!(&buffers.take(10).freeze(..10)[..], &[0; 10], "small ones are their own");
    }
}
