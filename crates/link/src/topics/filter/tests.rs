//! Which topics pass.

use super::super::naming::{Naming, NamingPolicy};
use super::*;

fn pattern(text: &str) -> TopicRule {
    TopicRule::Pattern(JavaPattern::new(text).unwrap())
}

fn selection(include: Vec<TopicRule>, exclude: Vec<TopicRule>) -> TopicSelection {
    TopicSelection {
        filter: TopicFilter { include, exclude },
        heartbeats: true,
        naming: NamingPolicy::new(Naming::Prefixed, "A", "B"),
    }
}

#[test]
fn literals_prefixes_and_patterns_include_and_exclusion_wins() {
    let filter = TopicFilter {
        include: vec![
            TopicRule::Literal("orders".into()),
            TopicRule::Prefix("payments.".into()),
            pattern("audit-\\d+"),
        ],
        exclude: vec![TopicRule::Prefix("payments.test".into()), pattern(".*-9")],
    };
    for topic in ["orders", "payments.", "payments.eu", "audit-1"] {
        assert!(filter.matches(topic).unwrap(), "{topic}");
    }
    for topic in ["orders2", "payments", "payments.test.1", "audit-9", "audit-x"] {
        assert!(!filter.matches(topic).unwrap(), "{topic}");
    }
    assert!(!TopicFilter::default().matches("orders").unwrap(), "nothing asked for, nothing given");
}

#[test]
fn everything_means_everything_but_internal_topics_and_cycles() {
    let selection =
        selection(vec![pattern(".*")], vec![pattern(r"mm2.*\.internal"), pattern("__.*")]);
    let cases = [
        ("orders", Selected::Yes),
        ("C.orders", Selected::Yes),
        ("x.internal", Selected::Yes),
        ("B", Selected::Yes),
        ("heartbeats", Selected::Yes),
        ("C.heartbeats", Selected::Yes),
        ("B.orders", Selected::Cycle),
        ("C.B.orders", Selected::Cycle),
        ("B.heartbeats", Selected::Cycle),
        ("__consumer_offsets", Selected::NotAskedFor),
        ("mm2-offset-syncs.B.internal", Selected::NotAskedFor),
        ("A.checkpoints.internal", Selected::Internal),
        (".hidden", Selected::Internal),
    ];
    for (topic, expected) in cases {
        assert_eq!(selection.select(topic).unwrap(), expected, "{topic}");
    }
}

#[test]
fn heartbeats_pass_without_being_asked_for() {
    let mut selection =
        selection(vec![TopicRule::Literal("orders".into())], vec![pattern(".*beats")]);
    assert_eq!(selection.select("heartbeats").unwrap(), Selected::Yes, "even past an exclusion");
    assert_eq!(selection.select("C.heartbeats").unwrap(), Selected::Yes);
    assert_eq!(selection.select("my-heartbeats").unwrap(), Selected::NotAskedFor);
    selection.heartbeats = false;
    assert_eq!(selection.select("heartbeats").unwrap(), Selected::NotAskedFor);
}
