//! How fast a mirror moves, and when it will have caught up.

use farlog_link::status::{LinkStatus, PartitionState, PartitionStatus};
use serde::Serialize;

/// A lag that is mirrored in this time is records on their way, not a backlog.
const KEEPING_UP_SECONDS: f64 = 1.0;
/// Samples nearer to each other than this say nothing about a rate.
const INTERVAL_MS_MIN: i64 = 500;

/// The counters of some partitions at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Records mirrored since the instance started.
    pub records_total: u64,
    /// Bytes mirrored since the instance started.
    pub bytes_total: u64,
    /// Partitions that can move: not stopped, and with a source that was heard of.
    pub moving: usize,
    /// Records that those still have to mirror.
    pub lag_records: i64,
    /// Whether nothing was left to copy in them when the sources last answered.
    pub caught_up: bool,
}

/// Rates between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// Records mirrored per second.
    pub records_per_second: f64,
    /// Bytes mirrored per second.
    pub bytes_per_second: f64,
    /// When the lag will be gone.
    #[serde(flatten)]
    pub eta: Eta,
}

/// When the lag will be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "eta", rename_all = "kebab-case")]
pub enum Eta {
    /// There is none, or no more than is mirrored in a second: it keeps up.
    CaughtUp,
    /// If it goes on like this.
    In {
        /// Milliseconds from the later sample.
        eta_ms: i64,
    },
    /// The source grows as fast as the mirror, or faster.
    FallingBehind,
    /// Nothing can move: every partition is stopped, or its source was never heard of.
    Unknown,
}

// === impl Sample ===

impl Sample {
    /// Of some partitions. Lag that waits for an operator is no work that time will do.
    pub fn of<'a>(at_ms: i64, partitions: impl IntoIterator<Item = &'a PartitionStatus>) -> Self {
        let mut sample = Self {
            at_ms,
            records_total: 0,
            bytes_total: 0,
            moving: 0,
            lag_records: 0,
            caught_up: true,
        };
        for partition in partitions {
            sample.records_total += partition.records_total;
            sample.bytes_total += partition.bytes_total;
            if partition.state.needs_operator() || partition.source_seen_ms == 0 {
                continue;
            }
            sample.moving += 1;
            sample.lag_records = sample.lag_records.saturating_add(partition.lag_records());
            sample.caught_up &= partition.state == PartitionState::CaughtUp;
        }
        sample
    }

    /// Of all partitions of a link.
    pub fn link(link: &LinkStatus) -> Self {
        Self::of(link.at_ms, &link.partitions)
    }
}

// === impl Pace ===

impl Pace {
    /// Between an earlier and a later sample of the same instance. `None` if they are too near to
    /// each other, or if the counters went back, as after a restart.
    pub fn between(earlier: &Sample, later: &Sample) -> Option<Self> {
        let passed_ms = later.at_ms - earlier.at_ms;
        if passed_ms < INTERVAL_MS_MIN {
            return None;
        }
        let records = later.records_total.checked_sub(earlier.records_total)?;
        let bytes = later.bytes_total.checked_sub(earlier.bytes_total)?;
        let passed_seconds = passed_ms as f64 / 1_000.0;
        let records_per_second = records as f64 / passed_seconds;
        Some(Self {
            records_per_second,
            bytes_per_second: bytes as f64 / passed_seconds,
            eta: Eta::between(earlier, later, records_per_second),
        })
    }
}

// === impl Eta ===

impl Eta {
    /// What counts is how fast the lag shrinks: the source may be growing all the while.
    fn between(earlier: &Sample, later: &Sample, records_per_second: f64) -> Self {
        if later.moving == 0 {
            return Self::Unknown;
        }
        let lag = later.lag_records as f64;
        if later.caught_up || lag <= records_per_second * KEEPING_UP_SECONDS {
            return Self::CaughtUp;
        }
        let shrunk = earlier.lag_records - later.lag_records;
        if shrunk <= 0 {
            return Self::FallingBehind;
        }
        let passed_ms = (later.at_ms - earlier.at_ms) as f64;
        let eta_ms = lag * passed_ms / shrunk as f64;
        Self::In { eta_ms: eta_ms as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: i64, records_total: u64, lag_records: i64) -> Sample {
        let bytes_total = records_total * 100;
        Sample { at_ms, records_total, bytes_total, moving: 1, lag_records, caught_up: false }
    }

    #[test]
    fn the_eta_counts_what_the_source_adds() {
        // 2,000 mirrored in 2 s, but the lag went down by 1,000 only.
        let pace = Pace::between(&sample(0, 0, 6_000), &sample(2_000, 2_000, 5_000)).unwrap();
        assert_eq!(pace.records_per_second, 1_000.0);
        assert_eq!(pace.bytes_per_second, 100_000.0);
        assert_eq!(pace.eta, Eta::In { eta_ms: 10_000 });
    }

    #[test]
    fn records_on_their_way_are_no_backlog() {
        let pace = Pace::between(&sample(0, 0, 100), &sample(2_000, 2_000, 1_000)).unwrap();
        assert_eq!(pace.eta, Eta::CaughtUp);
    }

    #[test]
    fn a_growing_lag_has_no_end() {
        let pace = Pace::between(&sample(0, 0, 5_000), &sample(2_000, 2_000, 5_000)).unwrap();
        assert_eq!(pace.eta, Eta::FallingBehind);
    }

    #[test]
    fn stopped_partitions_have_no_eta_and_do_not_spoil_that_of_others() {
        use crate::app::statuses::samples;
        use farlog_link::status::LinkState;
        let mut later = samples::link("payments", LinkState::Active);
        let mut earlier = later.clone();
        earlier.at_ms -= 10_000;
        earlier.partitions[1].source_offset -= 150_000;
        let eta = |earlier: &LinkStatus, later: &LinkStatus| {
            Pace::between(&Sample::link(earlier), &Sample::link(later)).unwrap().eta
        };
        assert_eq!(eta(&earlier, &later), Eta::In { eta_ms: 20_000 });
        later.partitions.drain(..2);
        earlier.partitions.drain(..2);
        assert_eq!(eta(&earlier, &later), Eta::Unknown);
    }

    #[test]
    fn restarts_and_near_samples_have_no_pace() {
        assert_eq!(Pace::between(&sample(0, 5_000, 0), &sample(2_000, 10, 0)), None);
        assert_eq!(Pace::between(&sample(0, 0, 0), &sample(499, 10, 0)), None);
    }
}
