//! What the tables look like, as data.

use farlog_link::status::{LinkState, LinkStatus, PartitionState};

use super::view::{LinkView, StatusView};
use super::*;
use crate::app::statuses::samples;

const NOW_MS: i64 = samples::NOW_MS;

/// Four links in four situations, the first with an earlier status to know its pace.
fn view() -> StatusView {
    let busy = samples::link("payments", LinkState::Active);
    let mut earlier = busy.clone();
    earlier.at_ms -= 10_000;
    for partition in &mut earlier.partitions {
        if partition.state == PartitionState::CatchingUp {
            partition.records_total -= 50_000;
            partition.bytes_total -= 51_200_000;
            partition.source_offset -= 50_000;
            partition.source_end_offset -= 20_000;
        }
    }
    let standby = LinkStatus { partitions: vec![], ..samples::link("orders", LinkState::Standby) };
    let mut silent = samples::link("audit", LinkState::Active);
    silent.at_ms -= 3_600_000;
    StatusView {
        at_ms: NOW_MS,
        links: vec![
            LinkView::of(&busy, Some(&earlier), NOW_MS),
            LinkView::of(&standby, None, NOW_MS),
            LinkView::of(&silent, None, NOW_MS),
            LinkView::never_ran("forgotten", "us-east", "eu-west"),
        ],
    }
}

#[test]
fn status_as_a_table() {
    insta::assert_snapshot!(status(&view(), OutputFormat::Table));
}

#[test]
fn status_wide() {
    insta::assert_snapshot!(status(&view(), OutputFormat::Wide));
}

#[test]
fn lag_as_a_table() {
    insta::assert_snapshot!(lag(&view(), OutputFormat::Table));
}

#[test]
fn lag_wide() {
    insta::assert_snapshot!(lag(&view(), OutputFormat::Wide));
}

#[test]
fn json_of_one_partition() {
    let mut view = view();
    view.links.truncate(1);
    view.links[0].partitions.truncate(1);
    insta::assert_snapshot!(status(&view, OutputFormat::Json));
}
