//! The difference of two described topics, case by case.

use proptest::prelude::*;

use super::*;

const FLOOR: MirrorFloor = MirrorFloor {
    timestamp_bounds: TimestampBounds::BeforeAfter,
    gives_offsets: false,
    largest_batch_bytes: None,
};

fn entry(name: &str, value: &str, source: ConfigSource) -> ConfigEntry {
    ConfigEntry {
        name: name.into(),
        value: Some(value.into()),
        source,
        is_read_only: false,
        is_sensitive: false,
    }
}

fn topic(name: &str, value: &str) -> ConfigEntry {
    entry(name, value, ConfigSource::Topic)
}

fn default(name: &str, value: &str) -> ConfigEntry {
    entry(name, value, ConfigSource::Default)
}

fn set(name: &str, value: &str) -> ConfigOp {
    ConfigOp::Set { name: name.into(), value: value.into() }
}

fn delete(name: &str) -> ConfigOp {
    ConfigOp::Delete { name: name.into() }
}

fn policy() -> ConfigSyncPolicy {
    ConfigSyncPolicy::with_default_excludes(&[]).unwrap()
}

/// A mirror that already has the floor, and `more`.
fn mirror(more: &[ConfigEntry]) -> Vec<ConfigEntry> {
    let mut entries: Vec<ConfigEntry> =
        FLOOR.forced().into_iter().map(|(name, value)| topic(name, value)).collect();
    entries.push(default("max.message.bytes", "1048588"));
    entries.extend_from_slice(more);
    entries
}

fn ops(source: &[ConfigEntry], target: &[ConfigEntry]) -> Vec<ConfigOp> {
    plan(source, target, Some(&policy()), &FLOOR).unwrap().ops
}

#[test]
fn explicit_values_are_copied_and_removed_overrides_are_removed() {
    let source = [topic("retention.ms", "1000"), default("segment.ms", "604800000")];
    let target =
        mirror(&[default("retention.ms", "604800000"), topic("segment.ms", "1"), topic("x", "y")]);
    assert_eq!(ops(&source, &target), [set("retention.ms", "1000"), delete("segment.ms")]);
}

#[test]
fn a_mirror_that_is_right_is_left_alone() {
    let source = [topic("cleanup.policy", "compact"), default("segment.ms", "604800000")];
    let target = mirror(&[topic("cleanup.policy", "compact"), default("segment.ms", "1")]);
    assert_eq!(ops(&source, &target), []);
}

#[test]
fn an_equal_default_is_still_made_explicit() {
    let source = [topic("cleanup.policy", "delete")];
    let target = mirror(&[default("cleanup.policy", "delete")]);
    assert_eq!(ops(&source, &target), [set("cleanup.policy", "delete")]);
}

#[test]
fn the_excluded_never_cross() {
    let source = [
        topic("min.insync.replicas", "2"),
        topic("unclean.leader.election.enable", "true"),
        topic("leader.replication.throttled.replicas", "*"),
        topic("follower.replication.throttled.replicas", "*"),
        entry("segment.bytes", "1", ConfigSource::StaticBroker),
        ConfigEntry { is_read_only: true, ..topic("retention.ms", "1") },
        ConfigEntry { is_sensitive: true, value: None, ..topic("secret", "") },
    ];
    let target = mirror(&source.clone().map(|entry| default(&entry.name, "0")));
    assert_eq!(ops(&source, &target), []);
    let created = create_configs(&source, &policy(), &FLOOR).unwrap();
    assert_eq!(created.len(), 4, "only the floor: {created:?}");
}

#[test]
fn our_own_configs_never_cross() {
    let source = [topic("farlog.offsets", "given")];
    assert_eq!(ops(&source, &mirror(&[topic("farlog.offsets", "assigned")])), []);
    assert!(!create_configs(&source, &policy(), &FLOOR).unwrap().contains_key("farlog.offsets"));
}

#[test]
fn a_dynamic_broker_setting_becomes_an_explicit_topic_setting() {
    let source = [entry("retention.ms", "5", ConfigSource::DynamicBroker)];
    assert_eq!(ops(&source, &mirror(&[default("retention.ms", "9")])), [set("retention.ms", "5")]);
}

#[test]
fn the_source_s_defaults_are_copied_on_request() {
    let source = [default("segment.ms", "7")];
    let policy = ConfigSyncPolicy { defaults_from: DefaultsFrom::Source, ..policy() };
    let target = mirror(&[default("segment.ms", "9")]);
    let plan = plan(&source, &target, Some(&policy), &FLOOR).unwrap();
    assert_eq!(plan.ops, [set("segment.ms", "7")]);
}

#[test]
fn the_floor_wins_over_the_source() {
    let source = [
        topic("compression.type", "zstd"),
        topic("message.timestamp.type", "LogAppendTime"),
        topic("message.timestamp.before.max.ms", "1"),
        topic("max.message.bytes", "5000000"),
    ];
    let expected = [
        ("compression.type", "producer"),
        ("max.message.bytes", "5000000"),
        ("message.timestamp.after.max.ms", LONG_MAX),
        ("message.timestamp.before.max.ms", LONG_MAX),
        ("message.timestamp.type", "CreateTime"),
    ];
    let created = create_configs(&source, &policy(), &FLOOR).unwrap();
    let pairs: Vec<(&str, &str)> =
        created.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, expected);
    let bare = [
        default("compression.type", "producer"),
        default("message.timestamp.type", "CreateTime"),
        default("message.timestamp.before.max.ms", LONG_MAX),
        default("message.timestamp.after.max.ms", "3600000"),
        default("max.message.bytes", "1048588"),
    ];
    let plan = plan(&source, &bare, None, &FLOOR).unwrap();
    assert_eq!(plan.ops, expected.map(|(name, value)| set(name, value)), "with sync off too");
}

#[test]
fn batches_of_the_source_always_fit() {
    let source = [default("max.message.bytes", "1048588")];
    let mut target = mirror(&[]);
    target.retain(|entry| entry.name != "max.message.bytes");
    target.push(default("max.message.bytes", "1000"));
    assert_eq!(ops(&source, &target), [set("max.message.bytes", "1048588")]);
    target.push(default("other", "1"));
    let floor = MirrorFloor { largest_batch_bytes: Some(9_000_000), ..FLOOR };
    let plan = plan(&source, &target, Some(&policy()), &floor).unwrap();
    assert_eq!(plan.ops, [set("max.message.bytes", "9000000")]);
    let generous = mirror(&[]);
    assert_eq!(ops(&[topic("max.message.bytes", "1000")], &generous), [], "never downwards");
}

#[test]
fn brokers_before_3_6_have_one_timestamp_bound() {
    let floor = MirrorFloor { timestamp_bounds: TimestampBounds::Difference, ..FLOOR };
    let created = floor_configs(&[], &floor);
    assert_eq!(created.get("message.timestamp.difference.max.ms").unwrap(), LONG_MAX);
    assert!(!created.contains_key("message.timestamp.before.max.ms"));
}

#[test]
fn what_the_target_does_not_know_is_named_not_sent() {
    let source = [topic("remote.log.copy.disable", "true"), topic("retention.ms", "1")];
    let target = mirror(&[default("retention.ms", "2")]);
    let plan = plan(&source, &target, Some(&policy()), &FLOOR).unwrap();
    assert_eq!(plan.ops, [set("retention.ms", "1")]);
    assert_eq!(plan.unknown_to_target, ["remote.log.copy.disable"]);
}

#[test]
fn more_exclusions_are_full_matches() {
    let policy = ConfigSyncPolicy::with_default_excludes(&["retention\\..*".into()]).unwrap();
    let source = [topic("retention.ms", "1"), topic("local.retention.ms", "2")];
    let created = create_configs(&source, &policy, &FLOOR).unwrap();
    assert!(!created.contains_key("retention.ms"));
    assert!(created.contains_key("local.retention.ms"));
}

const NAMES: [&str; 6] = [
    "retention.ms",
    "segment.ms",
    "min.insync.replicas",
    "compression.type",
    "max.message.bytes",
    "message.timestamp.type",
];

fn described() -> impl Strategy<Value = Vec<ConfigEntry>> {
    let source = prop_oneof![
        Just(ConfigSource::Topic),
        Just(ConfigSource::DynamicBroker),
        Just(ConfigSource::StaticBroker),
        Just(ConfigSource::Default),
    ];
    proptest::collection::vec((0u32..4, source), NAMES.len()).prop_map(|cells| {
        let named = NAMES.iter().zip(cells);
        named.map(|(name, (value, source))| entry(name, &value.to_string(), source)).collect()
    })
}

proptest! {
    /// Applying a plan leaves nothing to do: the sync loop ends.
    #[test]
    fn a_plan_applied_leaves_nothing(source in described(), target in described()) {
        let first = plan(&source, &target, Some(&policy()), &FLOOR).unwrap();
        let mut after = target;
        for op in &first.ops {
            match op {
                ConfigOp::Set { name, value } => {
                    after.retain(|entry| entry.name != *name);
                    after.push(topic(name, value));
                }
                ConfigOp::Delete { name } => {
                    after.retain(|entry| entry.name != *name);
                    after.push(default(name, "0"));
                }
            }
        }
        let second = plan(&source, &after, Some(&policy()), &FLOOR).unwrap();
        prop_assert_eq!(second.ops, vec![]);
        let keeps_out = first.ops.iter().all(|op| match op {
            ConfigOp::Set { name, .. } | ConfigOp::Delete { name } => {
                name != "min.insync.replicas"
            }
        });
        prop_assert!(keeps_out);
    }
}
