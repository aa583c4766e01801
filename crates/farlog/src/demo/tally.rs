//! What has been produced and what has arrived.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::DemoError;
use super::billing::GROUP;

/// Ages that are told apart; anything older counts as the oldest.
const AGE_MS_MAX: usize = 60_000;

/// Shared by the load, the consumers and the screen.
#[derive(Clone, Debug)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    produced: u64,
    mirrored: u64,
    mirrored_at_last_line: u64,
    last_line: Duration,
    latest: Option<Sample>,
    /// How many records arrived at which age.
    ages: Vec<u64>,
    failure: Option<String>,
}

/// A record that arrived.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Topic, partition and offset.
    pub(super) place: String,
    /// From its timestamp to its arrival.
    pub(super) age_ms: i64,
    pub(super) value: String,
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally(Arc::new(Mutex::new(Counts {
            produced: 0,
            mirrored: 0,
            mirrored_at_last_line: 0,
            last_line: Duration::ZERO,
            latest: None,
            ages: vec![0; AGE_MS_MAX + 1],
            failure: None,
        })))
    }

    /// The source has acknowledged so many records more.
    pub(super) fn produced(&self, records: u64) {
        self.lock().produced += records;
    }

    /// The mirror has delivered one record more.
    pub(super) fn mirrored(&self, sample: Sample) {
        let mut counts = self.lock();
        counts.mirrored += 1;
        let age = usize::try_from(sample.age_ms).unwrap_or(0).min(AGE_MS_MAX);
        counts.ages[age] += 1;
        counts.latest = Some(sample);
    }

    /// A consumer found something wrong; the first finding counts.
    pub(super) fn failed(&self, failure: &DemoError) {
        self.lock().failure.get_or_insert_with(|| failure.to_string());
    }

    /// What a consumer found wrong.
    pub(super) fn failure(&self) -> Option<DemoError> {
        self.lock().failure.clone().map(DemoError::new)
    }

    /// Whether all that was produced has arrived, and the group has `committed` all of it.
    pub(super) fn is_level(&self, committed: u64) -> bool {
        let counts = self.lock();
        counts.mirrored == counts.produced && committed == counts.produced
    }

    /// The line for a moment of the demo, at which the group has `committed` so many records.
    pub(super) fn line(&self, elapsed: Duration, committed: u64) -> String {
        let mut counts = self.lock();
        let seconds = (elapsed.saturating_sub(counts.last_line)).as_secs_f64();
        let rate = (counts.mirrored - counts.mirrored_at_last_line) as f64 / seconds.max(0.001);
        counts.mirrored_at_last_line = counts.mirrored;
        counts.last_line = elapsed;
        let (produced, mirrored) = (counts.produced, counts.mirrored);
        // A record may be consumed before its producer hears of it.
        let lag = produced.saturating_sub(mirrored);
        let behind = produced.saturating_sub(committed);
        let latest = match &counts.latest {
            Some(Sample { place, age_ms, value }) => format!("{place} after {age_ms} ms: {value}"),
            None => "nothing has arrived yet".to_owned(),
        };
        format!(
            "{:4} s  produced {produced:7}  mirrored {mirrored:7}  {rate:5.0}/s  \
             lag {lag:5}  {GROUP} at {committed:7}  lag {behind:5}  {latest}",
            elapsed.as_secs(),
        )
    }

    /// What it all came to, of which the group has `committed` so many.
    pub(super) fn summary(&self, committed: u64) -> String {
        let counts = self.lock();
        let (produced, mirrored) = (counts.produced, counts.mirrored);
        match (counts.percentile(0.5), counts.percentile(0.99)) {
            _ if counts.failure.is_some() || produced != mirrored || produced != committed => {
                format!(
                    "{produced} records produced, {mirrored} mirrored, {committed} committed by \
                     {GROUP}"
                )
            }
            (Some(half), Some(most)) => format!(
                "{produced} records produced, {mirrored} mirrored: none lost, none twice, none out \
                 of order; half of them within {half} ms, 99 % within {most} ms; {GROUP} has \
                 committed them all"
            ),
            _ => "no records were produced".to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts are never left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The age that this share of the records did not exceed.
    fn percentile(&self, share: f64) -> Option<usize> {
        let wanted = (self.mirrored as f64 * share).ceil() as u64;
        let mut records = 0;
        self.ages.iter().position(|count| {
            records += count;
            records >= wanted && records > 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(age_ms: i64) -> Sample {
        Sample { place: "orders-0@7".to_owned(), age_ms, value: "{}".to_owned() }
    }

    #[test]
    fn a_line_tells_rate_lag_and_the_latest_record() {
        let tally = Tally::new();
        assert!(tally.line(Duration::ZERO, 0).ends_with("nothing has arrived yet"));
        tally.produced(300);
        for _ in 0..200 {
            tally.mirrored(sample(3));
        }
        let line = tally.line(Duration::from_secs(2), 250);
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words,
            "2 s produced 300 mirrored 200 100/s lag 100 billing at 250 lag 50 orders-0@7 after 3 \
             ms: {}"
                .split(' ')
                .collect::<Vec<_>>()
        );
        assert!(!tally.is_level(300));
        let summary = tally.summary(250);
        assert_eq!(summary, "300 records produced, 200 mirrored, 250 committed by billing");
    }

    #[test]
    fn the_summary_promises_only_what_was_seen() {
        let tally = Tally::new();
        assert_eq!(tally.summary(0), "no records were produced");
        tally.produced(100);
        for age_ms in 1..=100 {
            tally.mirrored(sample(age_ms));
        }
        assert!(tally.is_level(100) && !tally.is_level(99));
        let summary = tally.summary(100);
        let end = "half of them within 50 ms, 99 % within 99 ms; billing has committed them all";
        assert!(summary.ends_with(end), "{summary}");
        let behind = "100 records produced, 100 mirrored, 99 committed by billing";
        assert_eq!(tally.summary(99), behind);
        tally.failed(&DemoError::new("record 3 where 2 belongs"));
        assert!(tally.summary(100).starts_with("100 records produced, 100 mirrored, 100"));
    }
}
