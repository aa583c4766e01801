//! Which instances are shown, and what of them.

use super::*;
use crate::app::statuses::samples;

const NOW_MS: i64 = samples::NOW_MS;

fn publish(published: &mut Published, instance: &str, state: LinkState, age_ms: i64) {
    let mut status = samples::link("payments", state);
    status.instance = instance.to_owned();
    status.at_ms -= age_ms;
    let json = serde_json::to_vec(&status).unwrap();
    published.take(&format!("payments|{instance}"), Some(&json));
}

fn shown(published: &Published) -> Vec<(String, &'static str)> {
    let views = published.views("payments", "us-east", "eu-west", NOW_MS);
    views.into_iter().map(|view| (view.instance, view.state)).collect()
}

#[test]
fn all_that_run_are_shown_and_what_is_gone_only_if_nobody_runs() {
    let mut published = Published::default();
    assert_eq!(shown(&published), [(String::new(), "not-running")]);
    publish(&mut published, "old", LinkState::Active, 3_600_000);
    publish(&mut published, "older", LinkState::Active, 7_200_000);
    assert_eq!(shown(&published), [("old".to_owned(), "not-running")]);
    publish(&mut published, "drained", LinkState::Stopped, 60_000);
    assert_eq!(shown(&published), [("drained".to_owned(), "stopped")]);
    publish(&mut published, "a-standby", LinkState::Standby, 1_000);
    publish(&mut published, "b-active", LinkState::Active, 1_000);
    assert_eq!(
        shown(&published),
        [("b-active".to_owned(), "active"), ("a-standby".to_owned(), "standby")]
    );
}

#[test]
fn a_link_whose_name_begins_alike_is_another_link() {
    let mut published = Published::default();
    publish(&mut published, "x", LinkState::Active, 0);
    let views = published.views("pay", "us-east", "eu-west", NOW_MS);
    assert_eq!(views[0].state, "not-running");
}

#[test]
fn the_pace_comes_from_earlier_samples_of_the_same_instance() {
    let mut published = Published::default();
    for age_seconds in (0..40_u32).step_by(2).rev() {
        let mut status = samples::link("payments", LinkState::Active);
        status.at_ms -= i64::from(age_seconds) * 1_000;
        status.partitions.truncate(2);
        status.partitions[1].records_total -= u64::from(age_seconds) * 100;
        let json = serde_json::to_vec(&status).unwrap();
        published.take("payments|box-1", Some(&json));
    }
    let views = published.views("payments", "us-east", "eu-west", NOW_MS);
    let rate = |pace: Option<crate::render::pace::Pace>| pace.unwrap().records_per_second;
    assert_eq!(rate(views[0].pace), 100.0);
    assert_eq!(rate(views[0].partitions[1].pace), 100.0);
    assert_eq!(rate(views[0].partitions[0].pace), 0.0);
}

#[test]
fn a_forgotten_instance_and_an_unreadable_one_are_not_shown() {
    let mut published = Published::default();
    publish(&mut published, "x", LinkState::Active, 0);
    published.take("payments|x", None);
    published.take("payments|y", Some(b"{\"from\": \"the future\"}"));
    assert_eq!(shown(&published), [(String::new(), "not-running")]);
}
