//! How many bytes the requests of all connections may have together (`queued.max.request.bytes`).
//!
//! A request takes its place, for the whole of its frame, before any of the frame is read, and who
//! finds none waits for its turn, first come, first served. Nobody waits for another request while
//! it has a place: what may do so (a fetch, a join) gives its place back first, so there is always
//! somebody who goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    /// A permit for each byte; `None` for any number of bytes.
    bytes: Option<Arc<Semaphore>>,
    bytes_max: u32,
    /// Requests that wait.
    waiting: Arc<AtomicUsize>,
}

/// A request's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestPlace {
    _bytes: Option<OwnedSemaphorePermit>,
}

/// Somebody who waits.
struct Waits(Arc<AtomicUsize>);

impl RequestMemory {
    /// So many bytes; any number if that is none.
    pub(crate) fn new(bytes_max: i64) -> Self {
        let bytes_max = u32::try_from(bytes_max.max(0)).unwrap_or(u32::MAX);
        let bytes = (bytes_max > 0).then(|| {
            let permits = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
        });
        Self { bytes, bytes_max, waiting: Arc::default() }
    }

    /// A place for a frame, when there is one. A frame larger than all of it has it to itself.
    pub(crate) fn place(&self, frame_bytes: usize) -> BoxFuture<'static, RequestPlace> {
        let Some(bytes) = &self.bytes else {
            return std::future::ready(RequestPlace { _bytes: None }).boxed();
        };
        let wanted = u32::try_from(frame_bytes).unwrap_or(u32::MAX).min(self.bytes_max);
        if let Ok(permit) = Arc::clone(bytes).try_acquire_many_owned(wanted) {
            return std::future::ready(RequestPlace { _bytes: Some(permit) }).boxed();
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Waits(Arc::clone(&self.waiting));
        let permit = Arc::clone(bytes).acquire_many_owned(wanted);
        async move {
            // It is never closed.
            let place = RequestPlace { _bytes: permit.await.ok() };
            drop(waits);
            place
        }
        .boxed()
    }

    /// Whether somebody waits for a place.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_order_and_taken_back() {
        let memory = RequestMemory::new(100);
        let (first, second) = (memory.place(60).now_or_never(), memory.place(40).now_or_never());
        assert!(first.is_some() && second.is_some() && !memory.is_wanted());
        let mut large = memory.place(1_000_000);
        let mut small = memory.place(1);
        assert!((&mut large).now_or_never().is_none() && memory.is_wanted());
        drop(first);
        // The large one came first.
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none());
        drop(second);
        let place = (&mut large).now_or_never().expect("all of it");
        assert!((&mut small).now_or_never().is_none());
        drop(place);
        assert!((&mut small).now_or_never().is_some() && !memory.is_wanted());
        // Who gives up waiting is in nobody's way.
        let all = memory.place(100).now_or_never().expect("all of it");
        drop((memory.place(100), memory.place(100)));
        assert!(!memory.is_wanted());
        drop(all);
        assert!(memory.place(100).now_or_never().is_some());
        assert!(RequestMemory::new(-1).place(usize::MAX).now_or_never().is_some());
    }
}
