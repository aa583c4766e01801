//! The lag that is shown is the truth, or says that it is not known.

use farlog_link::status::{LinkState, PartitionState};

use super::*;
use crate::app::statuses::samples;

#[test]
fn a_silent_instance_is_not_running_and_its_lag_is_a_lower_bound() {
    let status = samples::link("payments", LinkState::Active);
    let later_ms = status.at_ms + STALE_AFTER_MS + 1;
    let view = LinkView::of(&status, None, later_ms);
    assert_eq!((view.state, view.since_ms), ("not-running", status.at_ms));
    assert!(view.lag.at_least);
    assert_eq!(view.pace, None);
    let fresh = LinkView::of(&status, None, status.at_ms);
    // The age of the oldest record grows, and the retention shrinks, whether anybody runs or not.
    assert_eq!(view.lag.ms - fresh.lag.ms, STALE_AFTER_MS + 1);
    let left = |view: &LinkView| view.lag.retention_left_ms.unwrap();
    assert_eq!(left(&fresh) - left(&view), STALE_AFTER_MS + 1);
}

#[test]
fn a_link_that_was_stopped_stays_stopped() {
    let status = samples::link("payments", LinkState::Stopped);
    assert_eq!(LinkView::of(&status, None, status.at_ms + 3_600_000).state, "stopped");
}

#[test]
fn an_unheard_source_makes_the_lag_unknown_and_a_silent_one_a_lower_bound() {
    let mut status = samples::link("payments", LinkState::Active);
    status.partitions.truncate(2);
    status.partitions[0].source_seen_ms = 0;
    let view = LinkView::of(&status, None, status.at_ms);
    assert!(!view.partitions[0].lag.known);
    assert!(view.lag.known && view.lag.at_least);
    status.partitions[0].source_seen_ms = status.at_ms - SOURCE_SILENT_AFTER_MS - 1;
    let view = LinkView::of(&status, None, status.at_ms);
    assert!(view.partitions[0].lag.known && view.partitions[0].lag.at_least);
    assert!(!view.partitions[1].lag.at_least);
}

#[test]
fn well_means_run_by_somebody_and_nothing_stopped() {
    let now_ms = samples::NOW_MS;
    let mut active = samples::link("payments", LinkState::Active);
    active.partitions.retain(|partition| partition.state == PartitionState::CaughtUp);
    let standby =
        LinkStatus { partitions: vec![], ..samples::link("payments", LinkState::Standby) };
    let well = |links: &[LinkStatus]| StatusView::of(links, now_ms).is_well();
    assert!(well(&[active.clone(), standby.clone()]));
    assert!(!well(&[standby]));
    active.partitions[0].state = PartitionState::StoppedDiverged;
    assert!(!well(&[active]));
}
