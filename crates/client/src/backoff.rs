//! Capped exponential back-off with jitter that comes in from outside.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A source of numbers in `0.0..1.0`. Injected, so that tests and simulations are repeatable.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

/// How long to wait between attempts, and how long to go on.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// Wait before the second attempt.
    pub backoff_initial: Duration,
    /// Longest wait between two attempts.
    pub backoff_max: Duration,
    /// An operation gives up when this has passed since its first attempt.
    pub give_up_after: Duration,
}

/// The waits of one operation, one after the other.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
    jitter: Jitter,
}

// === impl RetryOptions ===

impl Default for RetryOptions {
    fn default() -> Self {
        RetryOptions {
            backoff_initial: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            give_up_after: Duration::from_secs(30),
        }
    }
}

// === impl Jitter ===

impl Jitter {
    /// Jitter from any function that returns numbers in `0.0..1.0`.
    pub fn new(source: impl Fn() -> f64 + Send + Sync + 'static) -> Jitter {
        Jitter(Arc::new(source))
    }

    /// Jitter from the operating system's random numbers.
    pub fn system() -> Jitter {
        Jitter::new(|| {
            let mut bytes = [0; 4];
            // Without randomness the middle is as good as any: this spreads load, it hides nothing.
            match aws_lc_rs::rand::fill(&mut bytes) {
                Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
                Err(aws_lc_rs::error::Unspecified) => 0.5,
            }
        })
    }

    /// The next number in `0.0..1.0`.
    pub fn next(&self) -> f64 {
        (self.0)()
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

// === impl Backoff ===

impl Backoff {
    /// A fresh row of waits.
    pub fn new(options: &RetryOptions, jitter: Jitter) -> Backoff {
        Backoff { next: options.backoff_initial, max: options.backoff_max, jitter }
    }

    /// The next wait: doubles each time up to the maximum, then ±20 % jitter (as Kafka's clients),
    /// never above the maximum.
    pub fn next_wait(&mut self) -> Duration {
        let base = self.next.min(self.max);
        self.next = base.saturating_mul(2).min(self.max);
        base.mul_f64(0.8 + 0.4 * self.jitter.next()).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let options = RetryOptions {
            backoff_initial: Duration::from_millis(100),
            backoff_max: Duration::from_millis(350),
            ..RetryOptions::default()
        };
        let mut backoff = Backoff::new(&options, Jitter::new(|| 0.5));
        let waits: Vec<u128> = (0..4).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        let mut low = Backoff::new(&options, Jitter::new(|| 0.0));
        assert_eq!(low.next_wait().as_millis(), 80);
    }

    #[test]
    fn system_jitter_stays_in_range() {
        let jitter = Jitter::system();
        assert!((0..100).all(|_| (0.0..1.0).contains(&jitter.next())));
    }
}
