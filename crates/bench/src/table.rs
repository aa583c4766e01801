//! The report as tables for a terminal; they are Markdown, so they can be pasted into a page.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use crate::report::{CatchUp, CatchUpRun, Latency, RelayRun, Report};
use crate::statistics::Spread;

/// The whole report.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    writeln!(
        text,
        "{} bench on {} CPUs ({}), {:.0} GB, {}; Kafka and MirrorMaker {}; medians (min–max)\n",
        report.mode,
        machine.cpus,
        machine.cpu_model,
        machine.memory_gb,
        machine.kernel,
        report.kafka_version,
    )
    .expect("writing to a String cannot fail");
    let tables = [
        (!report.catch_up.is_empty() || !report.relay.is_empty()).then(|| catch_up(report)),
        (!report.latency.is_empty()).then(|| latency(report)),
        (!report.failover.is_empty()).then(|| failover(report)),
        report.verdicts.iter().any(|row| row.measured.is_some()).then(|| verdicts(report)),
    ];
    for table in tables.into_iter().flatten() {
        writeln!(text, "{table}\n").expect("writing to a String cannot fail");
    }
    text
}

pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn catch_up(report: &Report) -> Table {
    let mut table = table([
        "catch-up",
        "tool",
        "runs",
        "GB",
        "MB/s copying",
        "MB/s from start",
        "logical MB/s",
        "tool CPU-s/GB",
        "with start-up",
        "source",
        "target",
        "peak RSS MB",
        "first record s",
    ]);
    for row in &report.catch_up {
        table.add_row(catch_up_row(row));
    }
    if let Some(row) = relay_row(&report.relay) {
        table.add_row(row);
    }
    table
}

fn catch_up_row(row: &CatchUp) -> Vec<String> {
    let cell = |digits, figure: fn(&CatchUpRun) -> f64| cell(row.spread(figure), digits);
    vec![
        row.dataset.name().to_owned(),
        row.tool.name().to_owned(),
        row.runs.len().to_string(),
        row.runs.first().map_or_else(String::new, |run| format!("{:.2}", run.bytes as f64 / 1e9)),
        cell(0, |run| run.mb_per_second),
        cell(0, |run| run.mb_per_second_from_start),
        cell(0, |run| run.logical_mb_per_second),
        cell(2, |run| run.copying_cpu.tool),
        cell(2, |run| run.from_start_cpu.tool),
        cell(2, |run| run.copying_cpu.source_broker),
        cell(2, |run| run.copying_cpu.target_broker),
        cell(0, |run| run.peak_memory_mb),
        cell(2, |run| run.first_record_seconds),
    ]
}

fn relay_row(runs: &[RelayRun]) -> Option<Vec<String>> {
    let spread = |figure: fn(&RelayRun) -> f64| Spread::of(runs.iter().map(figure));
    let mut row = vec![
        "plain bytes".to_owned(),
        "TCP relay".to_owned(),
        runs.len().to_string(),
        format!("{:.2}", runs.first()?.bytes as f64 / 1e9),
        cell(spread(|run| run.mb_per_second), 0),
        String::new(),
        String::new(),
        cell(spread(|run| run.cpu_seconds_per_gb), 2),
    ];
    row.resize(13, String::new());
    Some(row)
}

fn latency(report: &Report) -> Table {
    let mut table = table([
        "latency at 2,000 records/s",
        "runs",
        "records",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "source ack p99 ms",
        "tool CPUs",
        "peak RSS MB",
    ]);
    for row in &report.latency {
        table.add_row(latency_row(row));
    }
    table
}

fn latency_row(row: &Latency) -> Vec<String> {
    let of_runs = |figure: fn(&crate::report::LatencyRun) -> f64, digits| {
        cell(Spread::of(row.runs.iter().map(figure)), digits)
    };
    vec![
        row.tool.name().to_owned(),
        row.runs.len().to_string(),
        row.runs.iter().map(|run| run.records).sum::<u64>().to_string(),
        cell(row.spread(|percentiles| percentiles.p50_ms), 2),
        cell(row.spread(|percentiles| percentiles.p99_ms), 2),
        cell(row.spread(|percentiles| percentiles.p999_ms), 2),
        cell(row.spread(|percentiles| percentiles.max_ms), 1),
        of_runs(|run| run.acknowledged.p99_ms, 2),
        of_runs(|run| run.tool_cpus, 2),
        of_runs(|run| run.peak_memory_mb, 0),
    ]
}

fn failover(report: &Report) -> Table {
    let mut table = table([
        "source killed under load",
        "records/s",
        "group behind by",
        "consumed",
        "read again",
        "of it older than 200 ms",
        "skipped",
        "partitions without offset",
    ]);
    for row in &report.failover {
        for run in &row.runs {
            for group in &run.groups {
                table.add_row([
                    row.tool.name().to_owned(),
                    run.rate.to_string(),
                    group.lag.to_string(),
                    group.committed.to_string(),
                    group.reread.to_string(),
                    group.reread_older.to_string(),
                    group.skipped.to_string(),
                    group.partitions_without_offset.to_string(),
                ]);
            }
        }
    }
    table
}

fn verdicts(report: &Report) -> Table {
    let mut table = table(["limit", "asked", "measured", ""]);
    for verdict in report.verdicts.iter().filter(|verdict| verdict.measured.is_some()) {
        table.add_row([
            verdict.what.clone(),
            verdict.limit.clone(),
            verdict.measured.map_or_else(|| "—".to_owned(), |value| format!("{value:.2}")),
            verdict.outcome.word().to_owned(),
        ]);
    }
    table
}

/// `median (min–max)`, or the one value when there is but one.
pub(crate) fn cell(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        None => "—".to_owned(),
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { median, min, max }) => {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        }
    }
}

#[cfg(test)]
mod tests;
