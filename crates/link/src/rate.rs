//! A byte rate shared by the lanes of a link.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Spreads bytes over time: who spends more than the rate allows waits before the next fetch.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    bytes_per_second: u64,
    paid_until: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// A limiter of `bytes_per_second`, at least 1.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid_until: Mutex::new(None) }
    }

    /// Waits until `bytes` that were just moved are paid for.
    pub(crate) async fn spend(&self, bytes: u64) {
        let until = self.charge(bytes, Instant::now());
        sleep_until(until).await;
    }

    fn charge(&self, bytes: u64, now: Instant) -> Instant {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut paid_until = self.paid_until.lock().expect("no holder of this lock panics");
        let until = paid_until.map_or(now, |until| until.max(now)) + cost;
        *paid_until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_adds_up_and_idle_time_is_not_saved() {
        let limiter = RateLimiter::new(1000);
        let start = Instant::now();
        assert_eq!(limiter.charge(500, start), start + Duration::from_millis(500));
        assert_eq!(limiter.charge(500, start), start + Duration::from_secs(1));
        let later = start + Duration::from_secs(60);
        assert_eq!(limiter.charge(1000, later), later + Duration::from_secs(1));
    }
}
