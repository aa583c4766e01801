//! What several runs of one measurement come to.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart from longer ones.
const LATENCY_US_MAX: u64 = 120_000_000;

/// Decimal digits that a latency keeps.
const LATENCY_DIGITS: u8 = 3;

/// The middle and the ends of some values, all of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` when there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Some(Spread { median: (lower + upper) / 2.0, min, max })
    }
}

/// Latencies of one run.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// The percentiles that are reported, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        let histogram = Histogram::new_with_max(LATENCY_US_MAX, LATENCY_DIGITS)
            .expect("the bounds are constants that the histogram takes");
        Latencies(histogram)
    }

    /// Adds one; longer than two minutes counts as two minutes.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        Percentiles {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: self.0.max() as f64 / 1_000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0]), Some(Spread { median: 3.0, min: 3.0, max: 3.0 }));
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0 }));
        let even = Spread::of([9.0, 1.0, 2.0, 4.0]);
        assert_eq!(even, Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=10_000 {
            latencies.add(Duration::from_micros(microseconds));
        }
        assert_eq!(latencies.count(), 10_000);
        let close = |measured: f64, exact: f64| (measured - exact).abs() <= exact / 500.0;
        let percentiles = latencies.percentiles();
        assert!(close(percentiles.p50_ms, 5.0), "{percentiles:?}");
        assert!(close(percentiles.p99_ms, 9.9), "{percentiles:?}");
        assert!(close(percentiles.p999_ms, 9.99), "{percentiles:?}");
        assert!(close(percentiles.max_ms, 10.0), "{percentiles:?}");
    }
}
