//! Every example of MirrorMaker 2's policies that was read from or run against its 4.1.0 classes.

use proptest::prelude::*;

use super::*;

fn prefixed() -> NamingPolicy {
    NamingPolicy::new(Naming::Prefixed, "A", "B")
}

fn identity() -> NamingPolicy {
    NamingPolicy::new(Naming::Mm2Identity, "A", "B")
}

fn separated(by: &str) -> NamingPolicy {
    NamingPolicy { separator: by.into(), internal_separator: by.into(), ..prefixed() }
}

#[test]
fn prefixed_names_carry_their_source() {
    let policy = prefixed();
    assert_eq!(policy.remote_topic("orders"), "A.orders");
    assert_eq!(policy.topic_source("A.orders"), Some("A"));
    assert_eq!(policy.upstream_topic("A.orders"), Some("orders"));
    assert_eq!(policy.original_topic("C.B.A.orders"), "orders");
    assert_eq!(separated("__").remote_topic("orders"), "A__orders");
    assert_eq!(separated("__").topic_source("A__orders"), Some("A"));
}

#[test]
fn pieces_are_counted_as_java_split_counts_them() {
    let policy = prefixed();
    assert_eq!(policy.topic_source("orders"), None);
    assert_eq!(policy.topic_source("A."), None, "trailing empty pieces are dropped");
    assert_eq!(policy.topic_source("A.."), None);
    assert_eq!(policy.topic_source("."), None);
    assert_eq!(policy.topic_source(".t"), Some(""));
    assert_eq!(policy.topic_source("a..b"), Some("a"));
    assert_eq!(policy.upstream_topic("a..b"), Some(".b"));
    assert_eq!(policy.upstream_topic("orders"), None);
    assert_eq!(policy.topic_source("team.orders"), Some("team"), "a dotted local topic");
}

#[test]
fn cycles_are_found_anywhere_in_the_chain() {
    let policy = prefixed();
    for topic in ["B.t", "C.B.t", "B.anything", "A.C.B.t"] {
        assert!(policy.is_cycle(topic), "{topic}");
    }
    for topic in ["B", "t", "C.t", "BB.t", "B.", "b.t"] {
        assert!(!policy.is_cycle(topic), "{topic}");
    }
    assert!(!identity().is_cycle("B.t"), "identity naming cannot see cycles");
    assert!(identity().is_cycle("B.heartbeats"), "but for heartbeats");
    assert!(!NamingPolicy::new(Naming::Same, "A", "B").is_cycle("B.heartbeats"));
}

#[test]
fn identity_keeps_names_but_for_what_ends_in_heartbeats() {
    let policy = identity();
    assert_eq!(policy.remote_topic("orders"), "orders");
    assert_eq!(policy.topic_source("orders"), Some("A"));
    assert_eq!(policy.upstream_topic("orders"), Some("orders"));
    assert_eq!(policy.original_topic("orders"), "orders");
    assert_eq!(policy.remote_topic("heartbeats"), "A.heartbeats");
    assert_eq!(policy.remote_topic("my-heartbeats"), "A.my-heartbeats", "seen with MM2 4.1.0");
    assert_eq!(policy.topic_source("heartbeats"), None);
    assert_eq!(policy.upstream_topic("A.heartbeats"), Some("heartbeats"));
}

#[test]
fn farlogs_same_name_has_no_exception() {
    let policy = NamingPolicy::new(Naming::Same, "A", "B");
    assert_eq!(policy.remote_topic("heartbeats"), "heartbeats");
    assert_eq!(policy.remote_topic("A.orders"), "A.orders");
    assert_eq!(policy.topic_source("A.orders"), None);
    assert_eq!(policy.original_topic("A.orders"), "A.orders");
}

#[test]
fn heartbeats_are_known_through_any_number_of_hops() {
    for policy in [prefixed(), identity()] {
        assert!(policy.is_heartbeats("heartbeats"));
        assert!(policy.is_heartbeats("A.heartbeats"));
        assert!(policy.is_heartbeats("C.A.heartbeats"));
        assert!(!policy.is_heartbeats("my-heartbeats"));
        assert!(!policy.is_heartbeats("orders"));
    }
}

#[test]
fn internal_topics_follow_the_rule_of_kafka_4() {
    let policy = prefixed();
    for topic in [
        "mm2-offset-syncs.B.internal",
        "mm2-offsets.A.internal",
        "mm2x.internal",
        "A.checkpoints.internal",
        "__consumer_offsets",
        "__farlog_state",
        ".hidden",
        ".t",
    ] {
        assert!(policy.is_internal(topic), "{topic}");
    }
    for topic in ["x.internal", "x-internal", "internal", "checkpoints.internal", "_schemas"] {
        assert!(!policy.is_internal(topic), "{topic}");
    }
    assert!(!separated("__").is_internal("A.checkpoints.internal"));
    assert!(separated("__").is_internal("A__checkpoints__internal"));
    let dotted = NamingPolicy { internal_separator: ".".into(), ..separated("__") };
    assert!(dotted.is_internal("A.checkpoints.internal"));
}

#[test]
fn internal_names_are_spelled_as_mm2_spells_them() {
    assert_eq!(prefixed().offset_syncs_topic("B"), "mm2-offset-syncs.B.internal");
    assert_eq!(prefixed().checkpoints_topic("A"), "A.checkpoints.internal");
    assert_eq!(separated("__").offset_syncs_topic("B"), "mm2-offset-syncs__B__internal");
}

proptest! {
    #[test]
    fn a_mirror_leads_back_to_its_topic(topic in "[a-zA-Z0-9_-]([a-zA-Z0-9._-]{0,30}[a-z])?") {
        let policy = prefixed();
        let remote = policy.remote_topic(&topic);
        prop_assert_eq!(policy.topic_source(&remote), Some("A"));
        prop_assert_eq!(policy.upstream_topic(&remote), Some(topic.as_str()));
        prop_assert_eq!(policy.original_topic(&remote), policy.original_topic(&topic));
        let back = NamingPolicy::new(Naming::Prefixed, "B", "A");
        prop_assert!(back.is_cycle(&remote));
    }

    #[test]
    fn any_name_is_answered(topic in ".{0,40}", separator in "[._-]{1,3}") {
        let policy = separated(&separator);
        let _ = (policy.original_topic(&topic), policy.is_cycle(&topic));
        let _ = policy.is_internal(&topic);
    }
}
