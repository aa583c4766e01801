//! The figures that the bench must reach, each beside what was measured.

use serde::Serialize;

use crate::dataset::DatasetKind;
use crate::report::{CatchUp, CatchUpRun, Latency, Report, Tool};

/// Farlog copies at least so many times as fast as MirrorMaker 2.
const SPEED_RATIO_MIN: f64 = 15.0;

/// MirrorMaker 2 takes at least so many times the CPU time for the same bytes.
const CPU_RATIO_MIN: f64 = 30.0;

const CPU_SECONDS_PER_GB_MAX: f64 = 1.0;
const PEAK_MEMORY_MB_MAX: f64 = 64.0;
const ZSTD_MB_PER_SECOND_MIN: f64 = 300.0;
const LATENCY_P99_MS_MAX: f64 = 5.0;
const FIRST_RECORD_SECONDS_MAX: f64 = 1.0;

/// One figure, its limit, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) limit: String,
    /// `None` when this bench did not measure it.
    pub(crate) measured: Option<f64>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Pass,
    Missed,
    NotMeasured,
}

impl Outcome {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "PASS",
            Outcome::Missed => "MISSED",
            Outcome::NotMeasured => "not measured",
        }
    }
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Holds the medians of a report against the limits.
pub(crate) fn verdicts(report: &Report) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for dataset in [DatasetKind::Large, DatasetKind::Small] {
        verdicts.extend(uncompressed(report, dataset));
    }
    let zstd = catch_up(report, DatasetKind::LargeZstd, Tool::Farlog);
    verdicts.push(verdict(
        "127kb-zstd: compressed MB/s",
        Bound::AtLeast(ZSTD_MB_PER_SECOND_MIN),
        median(zstd, |run| run.mb_per_second),
    ));
    let latency = report.latency.iter().find(|latency| latency.tool == Tool::Farlog);
    verdicts.push(verdict(
        "latency p99 at 2,000 records/s, ms",
        Bound::AtMost(LATENCY_P99_MS_MAX),
        latency.and_then(p99),
    ));
    verdicts.push(verdict(
        "start to first mirrored record, s (worst dataset)",
        Bound::AtMost(FIRST_RECORD_SECONDS_MAX),
        worst(report, |run| run.first_record_seconds),
    ));
    let too_many = worst(report, |run| run.records_too_many as f64);
    verdicts.push(verdict("records mirrored twice", Bound::AtMost(0.0), too_many));
    verdicts
}

fn uncompressed(report: &Report, dataset: DatasetKind) -> Vec<Verdict> {
    let name = dataset.name();
    let ours = catch_up(report, dataset, Tool::Farlog);
    let mut verdicts = Vec::new();
    for theirs in [Tool::MirrorMaker2Defaults, Tool::MirrorMaker2] {
        verdicts.extend(beside(report, dataset, theirs));
    }
    verdicts.push(verdict(
        &format!("{name}: CPU-s/GB, start-up included"),
        Bound::AtMost(CPU_SECONDS_PER_GB_MAX),
        median(ours, |run| run.from_start_cpu.tool),
    ));
    verdicts.push(verdict(
        &format!("{name}: peak RSS, MB (highest run)"),
        Bound::AtMost(PEAK_MEMORY_MB_MAX),
        ours.and_then(|ours| ours.spread(|run| run.peak_memory_mb)).map(|spread| spread.max),
    ));
    verdicts
}

/// Speed and cost as multiples of a tool's.
fn beside(report: &Report, dataset: DatasetKind, tool: Tool) -> Vec<Verdict> {
    let (ours, theirs) = (catch_up(report, dataset, Tool::Farlog), catch_up(report, dataset, tool));
    let faster = |speed: fn(&CatchUpRun) -> f64| ratio(median(ours, speed), median(theirs, speed));
    let cheaper = |cpu: fn(&CatchUpRun) -> f64| ratio(median(theirs, cpu), median(ours, cpu));
    let (name, other) = (dataset.name(), tool.name());
    vec![
        verdict(
            &format!("{name}: times as fast as {other}, from start"),
            Bound::AtLeast(SPEED_RATIO_MIN),
            faster(|run| run.mb_per_second_from_start),
        ),
        verdict(
            &format!("{name}: times as fast as {other}, copying"),
            Bound::AtLeast(SPEED_RATIO_MIN),
            faster(|run| run.mb_per_second),
        ),
        verdict(
            &format!("{name}: times less CPU per GB than {other}, from start"),
            Bound::AtLeast(CPU_RATIO_MIN),
            cheaper(|run| run.from_start_cpu.tool),
        ),
        verdict(
            &format!("{name}: times less CPU per GB than {other}, copying"),
            Bound::AtLeast(CPU_RATIO_MIN),
            cheaper(|run| run.copying_cpu.tool),
        ),
    ]
}

fn catch_up(report: &Report, dataset: DatasetKind, tool: Tool) -> Option<&CatchUp> {
    report.catch_up.iter().find(|row| row.dataset == dataset && row.tool == tool)
}

fn median(row: Option<&CatchUp>, figure: impl Fn(&CatchUpRun) -> f64) -> Option<f64> {
    row?.spread(figure).map(|spread| spread.median)
}

fn p99(latency: &Latency) -> Option<f64> {
    latency.spread(|percentiles| percentiles.p99_ms).map(|spread| spread.median)
}

/// The highest median of Farlog over all datasets.
fn worst(report: &Report, figure: impl Fn(&CatchUpRun) -> f64) -> Option<f64> {
    let ours = report.catch_up.iter().filter(|row| row.tool == Tool::Farlog);
    ours.filter_map(|row| Some(row.spread(&figure)?.median)).max_by(f64::total_cmp)
}

fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(above? / below?).filter(|ratio| ratio.is_finite())
}

fn verdict(what: &str, bound: Bound, measured: Option<f64>) -> Verdict {
    let kept = measured.map(|measured| match bound {
        Bound::AtLeast(limit) => measured >= limit,
        Bound::AtMost(limit) => measured <= limit,
    });
    Verdict {
        what: what.to_owned(),
        limit: match bound {
            Bound::AtLeast(limit) => format!("≥ {limit}"),
            Bound::AtMost(limit) => format!("≤ {limit}"),
        },
        measured,
        outcome: match kept {
            Some(true) => Outcome::Pass,
            Some(false) => Outcome::Missed,
            None => Outcome::NotMeasured,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_missed_or_not_measured() {
        let outcome = |bound, measured| verdict("x", bound, measured).outcome;
        assert_eq!(outcome(Bound::AtLeast(15.0), Some(15.0)), Outcome::Pass);
        assert_eq!(outcome(Bound::AtLeast(15.0), Some(14.9)), Outcome::Missed);
        assert_eq!(outcome(Bound::AtMost(5.0), Some(5.1)), Outcome::Missed);
        assert_eq!(outcome(Bound::AtMost(0.0), Some(0.0)), Outcome::Pass);
        assert_eq!(outcome(Bound::AtMost(5.0), None), Outcome::NotMeasured);
        assert_eq!(outcome(Bound::AtMost(5.0), Some(f64::NAN)), Outcome::Missed);
    }

    #[test]
    fn a_ratio_needs_both_sides() {
        assert_eq!(ratio(Some(30.0), Some(2.0)), Some(15.0));
        assert_eq!(ratio(Some(30.0), None), None);
        assert_eq!(ratio(Some(30.0), Some(0.0)), None);
    }
}
