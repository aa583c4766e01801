//! The exposition, as Prometheus reads it.

use farlog_link::status::LinkState;

use super::*;
use crate::app::statuses::samples;

fn rendered() -> String {
    let statuses = Statuses::from_fn(|| Snapshot {
        at_ms: samples::NOW_MS,
        links: vec![samples::link("payments", LinkState::Active)],
    });
    Metrics::new(statuses, samples::NOW_MS - 60_000).render().unwrap()
}

#[test]
fn every_metric_is_written_under_its_stored_name() {
    let text = rendered();
    for name in names() {
        let line = |line: &str| line.starts_with(&format!("{name}{{"));
        assert!(text.lines().any(line), "{name} is missing");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn names_carry_their_unit() {
    for name in names() {
        assert!(name.starts_with("farlog_"), "{name}");
    }
    for family in PARTITION_FAMILIES.iter().filter(|family| family.counter) {
        let units = ["records", "bytes", "batches", "recoveries"];
        assert!(units.iter().any(|unit| family.name.ends_with(unit)), "{}", family.name);
    }
}

#[test]
fn one_partition_in_full() {
    let text = rendered();
    let state = format!("{PARTITION_STATE}{{");
    // The one-hot states are as many as the link crate has; one of them is enough here.
    let of_one = text
        .lines()
        .filter(|line| line.contains("partition=\"1\""))
        .filter(|line| !line.starts_with(&state) || line.ends_with(" 1"));
    insta::assert_snapshot!(of_one.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_not_known_has_no_series() {
    let text = rendered();
    let series = |name: &str, topic: &str| {
        text.lines().any(|line| line.starts_with(name) && line.contains(topic))
    };
    assert!(series("farlog_partition_state{", "topic=\"refunds\""));
    assert!(!series("farlog_partition_lag_records{", "topic=\"refunds\""));
    assert!(!series("farlog_partition_lag_seconds{", "topic=\"refunds\""));
}
