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

#[test]
fn yaml_of_one_partition() {
    let mut view = view();
    view.links.truncate(1);
    view.links[0].partitions.truncate(1);
    insta::assert_snapshot!(status(&view, OutputFormat::Yaml));
}

#[test]
fn plan_as_yaml() {
    insta::assert_snapshot!(plan(&planned(), OutputFormat::Yaml));
}

#[test]
fn yaml_and_json_say_the_same() {
    let both = |json: &str, yaml: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(read, json, "{yaml}");
    };
    let mut view = view();
    // What a broker says may look like anything.
    for why in ["yes", "null", "0x1F", "a: b #c", "- x", "'", "two\nlines\n", " ", "é\u{7}"] {
        why.clone_into(&mut view.links[0].why);
        both(&status(&view, OutputFormat::Json), &status(&view, OutputFormat::Yaml));
    }
    view.links[0].why = "a long sentence. ".repeat(40);
    both(&lag(&view, OutputFormat::Json), &lag(&view, OutputFormat::Yaml));
    both(&plan(&planned(), OutputFormat::Json), &plan(&planned(), OutputFormat::Yaml));
    let nothing = PlanView { links: Vec::new() };
    both(&plan(&nothing, OutputFormat::Json), &plan(&nothing, OutputFormat::Yaml));
}

fn planned() -> PlanView {
    let create = |topic: &str, replication_factor| plan::CreateView {
        topic: topic.to_owned(),
        mirror_topic: format!("us-east.{topic}"),
        partitions: 12,
        replication_factor,
        configs: [("compression.type".to_owned(), "producer".to_owned())].into(),
    };
    let new = |name: &str| {
        let compiled = format!("{name}: us-east -> eu-west, orders…, as us-east.TOPIC");
        plan::LinkPlanView::new(name, "us-east", "eu-west", compiled)
    };
    let mut busy = new("payments");
    busy.creates = vec![create("orders", Some(3)), create("refunds", None)];
    busy.expands = vec![plan::ExpandView {
        mirror_topic: "us-east.users".to_owned(),
        partitions_now: 6,
        partitions: 12,
    }];
    busy.alters = vec![plan::AlterView {
        mirror_topic: "us-east.stock".to_owned(),
        configs: [
            ("cleanup.policy".to_owned(), None),
            ("retention.ms".to_owned(), Some("604800000".to_owned())),
        ]
        .into(),
    }];
    busy.mirrors = vec!["users".to_owned(), "stock".to_owned()];
    busy.skipped = vec![plan::SkippedView {
        topic: "eu-west.orders".to_owned(),
        why: "its name says that it already came through the target".to_owned(),
    }];
    busy.warnings = vec!["target topic us-east.stock: retention.ms 60000 is short".to_owned()];
    let mut dead = new("audit");
    dead.error = "cluster us-east: no server of the cluster can be used".to_owned();
    PlanView { links: vec![busy, dead] }
}

#[test]
fn plan_as_text() {
    insta::assert_snapshot!(plan(&planned(), OutputFormat::Table));
}

#[test]
fn plan_wide_shows_configs() {
    let text = plan(&planned(), OutputFormat::Wide);
    assert!(text.contains("compression.type = producer"), "{text}");
}

#[test]
fn a_settled_plan_says_so() {
    let mut settled = planned();
    settled.links.truncate(1);
    let link = &mut settled.links[0];
    (link.creates, link.expands, link.alters) = (vec![], vec![], vec![]);
    let text = plan(&settled, OutputFormat::Table);
    assert!(text.ends_with("every mirror topic is as it should be\n"), "{text}");
    assert!(text.contains("keep    2 mirror topics"), "{text}");
}
