//! How far the links are, while one waits: a live line each on a terminal, a log line now and then
//! anywhere else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::statuses::{Snapshot, Statuses};
use crate::render::pace::{Eta, Pace, Sample};
use crate::render::view::LinkView;
use crate::render::{eta_text, lag_text, quantity};

/// How often live lines are drawn.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);
/// How often a log line is written.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Rates are over this many samples: 10 s on a terminal, two log lines elsewhere.
const LIVE_SAMPLES_MAX: usize = 21;
const LOG_SAMPLES_MAX: usize = 2;

/// Shows the progress of all links.
#[derive(Debug)]
pub struct Progress {
    statuses: Statuses,
    live: Option<MultiProgress>,
}

/// The latest samples of one link.
#[derive(Debug)]
struct Meter {
    samples: VecDeque<Sample>,
    samples_max: usize,
}

/// The latest samples of all links.
#[derive(Debug)]
struct Meters {
    by_link: BTreeMap<String, Meter>,
    samples_max: usize,
}

// === impl Progress ===

impl Progress {
    /// On live lines if there is a place to draw them, as log lines otherwise.
    pub fn new(statuses: Statuses, live: Option<MultiProgress>) -> Self {
        Self { statuses, live }
    }

    /// Shows progress until `shutdown` turns true.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let (period, samples_max) = match self.live {
            Some(_) => (LIVE_INTERVAL, LIVE_SAMPLES_MAX),
            None => (LOG_INTERVAL, LOG_SAMPLES_MAX),
        };
        let mut meters = Meters { by_link: BTreeMap::new(), samples_max };
        let mut lines = self.live.map(Lines::new);
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to tell yet.
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = shutdown.wait_for(|stop| *stop) => break,
            }
            let views = meters.measure(&self.statuses.now());
            match &mut lines {
                Some(lines) => lines.draw(&views),
                None => views.iter().for_each(log),
            }
        }
        if let Some(lines) = lines {
            lines.clear();
        }
    }
}

// === impl Meters ===

impl Meters {
    /// Takes a sample of each link and answers with views that know their pace.
    fn measure(&mut self, snapshot: &Snapshot) -> Vec<LinkView> {
        let mut views = Vec::with_capacity(snapshot.links.len());
        for link in &snapshot.links {
            let samples_max = self.samples_max;
            let new = || Meter { samples: VecDeque::new(), samples_max };
            let meter = self.by_link.entry(link.link.clone()).or_insert_with(new);
            meter.push(Sample::link(link));
            let pace = meter.pace();
            views.push(LinkView { pace, ..LinkView::of(link, None, snapshot.at_ms) });
        }
        views
    }
}

// === impl Meter ===

impl Meter {
    fn push(&mut self, sample: Sample) {
        // After a restart of the link its counters begin again.
        if self.samples.back().is_some_and(|last| last.records_total > sample.records_total) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() > self.samples_max {
            self.samples.pop_front();
        }
    }

    fn pace(&self) -> Option<Pace> {
        Pace::between(self.samples.front()?, self.samples.back()?)
    }
}

/// One live line per link.
#[derive(Debug)]
struct Lines {
    bars: MultiProgress,
    by_link: BTreeMap<String, ProgressBar>,
}

// === impl Lines ===

impl Lines {
    fn new(bars: MultiProgress) -> Self {
        Self { bars, by_link: BTreeMap::new() }
    }

    fn draw(&mut self, views: &[LinkView]) {
        for view in views {
            if !self.by_link.contains_key(&view.link) {
                let style = ProgressStyle::with_template("{wide_msg}")
                    .expect("the template is a constant that indicatif understands");
                let bar = self.bars.add(ProgressBar::no_length().with_style(style));
                self.by_link.insert(view.link.clone(), bar);
            }
            if let Some(bar) = self.by_link.get(&view.link) {
                bar.set_message(line(view));
                bar.tick();
            }
        }
    }

    fn clear(self) {
        for bar in self.by_link.into_values() {
            bar.finish_and_clear();
        }
    }
}

/// A link in a line: `payments  active  5,000/s  5.12 MB/s  300,000 behind (1 min 35 s)  ETA 60 s`.
fn line(view: &LinkView) -> String {
    let mut parts = vec![view.link.clone(), view.state.to_owned()];
    if view.partitions.is_empty() {
        if !view.why.is_empty() {
            parts.push(view.why.clone());
        }
        return parts.join("  ");
    }
    if let Some(pace) = &view.pace {
        parts.push(quantity::records_per_second(pace.records_per_second));
        parts.push(format!("{}/s", quantity::bytes(pace.bytes_per_second)));
    }
    parts.push(lag_text(&view.lag));
    match view.pace.map(|pace| pace.eta) {
        Some(Eta::In { .. } | Eta::FallingBehind) => {
            parts.push(format!("ETA {}", eta_text(view.pace.as_ref())));
        }
        Some(Eta::CaughtUp | Eta::Unknown) | None => {}
    }
    if view.partitions_needing_operator > 0 {
        parts.push(format!("{} stopped: see `farlog status`", view.partitions_needing_operator));
    }
    parts.join("  ")
}

fn log(view: &LinkView) {
    let (records, bytes) =
        view.pace.map_or((0.0, 0.0), |pace| (pace.records_per_second, pace.bytes_per_second));
    let eta = eta_text(view.pace.as_ref());
    tracing::info!(
        link = view.link,
        state = view.state,
        records_per_second = records.round() as u64,
        bytes_per_second = bytes.round() as u64,
        lag_records = view.lag.records,
        lag_ms = view.lag.ms,
        lag_is_known = view.lag.known,
        eta,
        needing_operator = view.partitions_needing_operator,
        "progress"
    );
}

#[cfg(test)]
mod tests {
    use farlog_link::status::{LinkState, PartitionState};

    use super::*;
    use crate::app::statuses::samples;

    #[test]
    fn a_line_tells_rate_lag_and_eta() {
        let mut meters = Meters { by_link: BTreeMap::new(), samples_max: 2 };
        let mut link = samples::link("payments", LinkState::Active);
        link.partitions.retain(|each| each.state == PartitionState::CatchingUp);
        let mut measure = |link: &_, at_ms| {
            let views = meters.measure(&Snapshot { at_ms, links: vec![Clone::clone(link)] });
            line(&views[0])
        };
        assert_eq!(
            measure(&link, samples::NOW_MS),
            "payments  active  300,000 records behind (1 min 35 s)"
        );
        link.at_ms += 10_000;
        link.partitions[0].source_seen_ms = link.at_ms;
        link.partitions[0].records_total += 50_000;
        link.partitions[0].bytes_total += 51_200_000;
        link.partitions[0].source_offset += 50_000;
        assert_eq!(
            measure(&link, link.at_ms),
            "payments  active  5,000/s  5.12 MB/s  250,000 records behind (1 min 45 s)  ETA 50.0 s"
        );
        link.partitions.clear();
        link.state = LinkState::Standby;
        link.why = "another instance mirrors this link".to_owned();
        assert_eq!(
            measure(&link, link.at_ms),
            "payments  standby  another instance mirrors this link"
        );
    }
}
