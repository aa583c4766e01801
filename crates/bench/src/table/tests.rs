//! A small report, as a person sees it.

use std::time::Duration;

use super::*;
use crate::dataset::DatasetKind;
use crate::limits;
use crate::report::{
    CatchUpReadings, CpuOfAll, Failover, FailoverGroup, FailoverRun, LatencyRun, Machine, Settings,
    Tool,
};
use crate::statistics::Percentiles;

fn row(tool: Tool, copying_seconds: &[f64], cpu_seconds: f64) -> CatchUp {
    let cpu = |tool| CpuOfAll {
        tool: Duration::from_secs_f64(tool),
        source_broker: Duration::from_millis(500),
        target_broker: Duration::from_secs(2),
    };
    let run = |seconds: &f64| {
        CatchUpReadings {
            records: 2_000_000,
            bytes: 2_000_000_000,
            logical_bytes: 2_000_000_000,
            first_record_seconds: 0.25,
            empty_seconds: 0.2,
            from_start_seconds: 0.2 + seconds,
            copying_cpu: cpu(cpu_seconds),
            from_start_cpu: cpu(cpu_seconds + 0.1),
            peak_memory_bytes: 40_000_000,
            records_too_many: 0,
        }
        .run()
    };
    CatchUp { dataset: DatasetKind::Large, tool, runs: copying_seconds.iter().map(run).collect() }
}

fn report() -> Report {
    let percentiles = Percentiles { p50_ms: 1.0, p99_ms: 6.0, p999_ms: 9.0, max_ms: 12.0 };
    let latency = LatencyRun {
        records: 40_000,
        seconds: 20.0,
        end_to_end: percentiles,
        acknowledged: percentiles,
        tool_cpus: 0.1,
        peak_memory_mb: 30.0,
    };
    let group = FailoverGroup {
        lag: 100,
        committed: 9_000,
        reread: 717,
        reread_older: 640,
        skipped: 0,
        partitions_without_offset: 1,
    };
    let failover = FailoverRun { rate: 20_000, records: 10_000, groups: vec![group] };
    let mut report = Report {
        mode: "quick",
        started_at: 0,
        machine: Machine {
            cpus: 2,
            cpu_model: "a CPU".to_owned(),
            memory_gb: 24.0,
            kernel: "Linux 6".to_owned(),
        },
        kafka_version: "4.3.1".to_owned(),
        settings: Settings::default(),
        relay: vec![RelayRun::new(2_000_000_000, 1.0, Duration::from_secs(1))],
        catch_up: vec![
            row(Tool::Farlog, &[2.0, 2.5, 4.0], 1.0),
            row(Tool::MirrorMaker2, &[50.0], 20.0),
        ],
        latency: vec![Latency { tool: Tool::Farlog, runs: vec![latency] }],
        failover: vec![Failover { tool: Tool::MirrorMaker2, runs: vec![failover] }],
        verdicts: Vec::new(),
    };
    report.verdicts = limits::verdicts(&report);
    report
}

#[test]
fn every_row_is_there_with_its_figures() {
    let text = render(&report());
    let cells = |first: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.contains(first)).unwrap();
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    assert_eq!(
        cells("Farlog        | 3")[..8],
        [
            "127kb",
            "Farlog",
            "3",
            "2.00",
            "800 (500–1000)",
            "741 (476–909)",
            "800 (500–1000)",
            "0.50"
        ]
    );
    assert_eq!(cells("TCP relay")[4], "2000");
    assert_eq!(
        cells("Farlog                     | 1")[..5],
        ["Farlog", "1", "40000", "1.00", "6.00"]
    );
    assert_eq!(cells("20000"), ["MirrorMaker 2", "20000", "100", "9000", "717", "640", "0", "1"]);
}

#[test]
fn limits_are_kept_missed_or_not_measured() {
    let report = report();
    let outcome = |what: &str| {
        let verdict = report.verdicts.iter().find(|verdict| verdict.what.starts_with(what));
        verdict.unwrap().outcome.word()
    };
    assert_eq!(outcome("127kb: times as fast as MirrorMaker 2, from start"), "PASS");
    assert_eq!(outcome("127kb: times as fast as MirrorMaker 2, copying"), "PASS");
    assert_eq!(outcome("127kb: times less CPU per GB than MirrorMaker 2, copying"), "MISSED");
    assert_eq!(outcome("127kb: CPU-s/GB"), "PASS");
    assert_eq!(outcome("127kb: peak RSS"), "PASS");
    assert_eq!(outcome("2kb: times as fast"), "not measured");
    assert_eq!(outcome("latency p99"), "MISSED");
    assert_eq!(outcome("start to first"), "PASS");
    assert_eq!(outcome("records mirrored twice"), "PASS");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["catch_up"][0]["dataset"], "127kb");
    assert_eq!(json["catch_up"][0]["tool"], "farlog");
    // Nobody ran MirrorMaker 2 with defaults in this report, and its rows come first.
    assert_eq!(json["verdicts"][0]["outcome"], "not-measured");
    assert_eq!(json["verdicts"][4]["outcome"], "pass");
}
