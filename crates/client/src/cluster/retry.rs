//! The attempts of one operation: how often it has been tried, how long it may go on.

use tokio::time::{Instant, sleep};

use crate::backoff::{Backoff, Jitter, RetryOptions};

/// Attempts of one operation.
#[derive(Debug)]
pub(crate) struct Retry {
    backoff: Backoff,
    give_up_at: Instant,
}

// === impl Retry ===

impl Retry {
    pub(crate) fn new(options: &RetryOptions, jitter: Jitter) -> Retry {
        Retry {
            backoff: Backoff::new(options, jitter),
            give_up_at: Instant::now() + options.give_up_after,
        }
    }

    /// Waits for the next attempt; false when there is to be none.
    pub(crate) async fn wait(&mut self) -> bool {
        let wait = self.backoff.next_wait();
        if Instant::now() + wait >= self.give_up_at {
            return false;
        }
        sleep(wait).await;
        true
    }
}
