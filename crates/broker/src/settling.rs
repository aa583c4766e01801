//! Waits that are brought to their end, whoever still waits for them.
//!
//! Readers see a batch when somebody has seen that it is durable. If its producer leaves before, or
//! is told that it takes too long, somebody must still do that.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// A future that goes on in the background when it is dropped before its end.
pub(crate) struct Settling<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> fmt::Debug for Settling<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settling").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Settling<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(future.boxed()))
    }
}

impl<T: Send + 'static> Future for Settling<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Like any other future it is not polled after its end.
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Settling<T> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and nobody reads any more.
        if let Some(future) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(future.map(drop));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_all_the_same() {
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let settling = Settling::new(async move {
            let _ = begun.await;
            end.send(7).unwrap();
        });
        drop(settling);
        begin.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }
}
