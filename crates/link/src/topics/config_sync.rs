//! Which configs a mirror topic takes over from its source topic: MirrorMaker 2's rules (KIP-382,
//! `MirrorSourceConnector.syncTopicConfigs` of Kafka 4.x) plus the floor that exactly-once
//! mirroring needs, as a pure difference of two described topics.

use std::collections::BTreeMap;

use super::java_pattern::{JavaPattern, PatternError, PatternMatchError};

/// Where a described config value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic itself.
    Topic,
    /// Set at run time on one broker or as a cluster-wide default.
    DynamicBroker,
    /// From the broker's properties file.
    StaticBroker,
    /// Kafka's built-in default.
    Default,
    /// Anything else, or not said.
    Other,
}

impl ConfigSource {
    /// From the byte in a DescribeConfigs response (v1 and above).
    pub fn from_code(code: i8) -> ConfigSource {
        match code {
            1 => ConfigSource::Topic,
            2 | 3 => ConfigSource::DynamicBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            _ => ConfigSource::Other,
        }
    }
}

/// One config of a topic as DescribeConfigs tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// `retention.ms`
    pub name: String,
    /// `None` where the broker keeps it secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Cannot be altered.
    pub is_read_only: bool,
    /// Its value is kept secret.
    pub is_sensitive: bool,
}

/// One operation for IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigOp {
    /// Set on the topic.
    Set {
        /// Config name.
        name: String,
        /// New value.
        value: String,
    },
    /// Remove from the topic, so that the target cluster's default counts again.
    Delete {
        /// Config name.
        name: String,
    },
}

/// What is to be done on the target for one mirror topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigPlan {
    /// Operations in order of config name; empty if the mirror is as it should be.
    pub ops: Vec<ConfigOp>,
    /// Configs of the source topic that the target's brokers do not know (an older release): they
    /// cannot be copied, and one of them would make the broker refuse all others.
    pub unknown_to_target: Vec<String>,
}

/// Whose default applies where the source topic sets nothing (`use.defaults.from`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultsFrom {
    /// The target cluster's own.
    #[default]
    Target,
    /// The source's default values are copied.
    Source,
}

/// MirrorMaker 2's default `config.properties.exclude` (Kafka 4.1), without the Java escapes.
pub const DEFAULT_EXCLUDES: [&str; 6] = [
    r"follower\.replication\.throttled\.replicas",
    r"leader\.replication\.throttled\.replicas",
    r"message\.timestamp\.difference\.max\.ms",
    r"message\.timestamp\.type",
    r"unclean\.leader\.election\.enable",
    r"min\.insync\.replicas",
];

/// What of a topic's configs is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSyncPolicy {
    /// Config names that are not copied, as one pattern; `None` excludes nothing.
    pub exclude: Option<JavaPattern>,
    /// Whose defaults apply.
    pub defaults_from: DefaultsFrom,
}

impl ConfigSyncPolicy {
    /// The policy with MirrorMaker 2's default exclusions and `more` of the same kind.
    ///
    /// # Errors
    /// If one of `more` is no pattern.
    pub fn with_default_excludes(more: &[String]) -> Result<ConfigSyncPolicy, PatternError> {
        let list: Vec<&str> =
            DEFAULT_EXCLUDES.into_iter().chain(more.iter().map(String::as_str)).collect();
        let exclude = JavaPattern::joined(&list)?;
        Ok(ConfigSyncPolicy { exclude, defaults_from: DefaultsFrom::Target })
    }

    fn excludes(&self, name: &str) -> Result<bool, PatternMatchError> {
        self.exclude.as_ref().map_or(Ok(false), |pattern| pattern.matches(name))
    }
}

/// Which timestamp bounds the target's brokers know (KIP-937, Kafka 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampBounds {
    /// `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`.
    BeforeAfter,
    /// `message.timestamp.difference.max.ms`.
    Difference,
}

/// What a mirror topic must have whatever its source has, so that batches arrive as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorFloor {
    /// Which bounds to lift.
    pub timestamp_bounds: TimestampBounds,
    /// Whether the mirror is to take offsets as they are given, which only embedded clusters know.
    pub gives_offsets: bool,
    /// Largest batch seen in the source topic, in bytes, where known: it may be older than the
    /// source's present `max.message.bytes`.
    pub largest_batch_bytes: Option<u64>,
}

/// The config of topics on embedded clusters that says who gives offsets to batches.
pub const GIVEN_OFFSETS: &str = "farlog.offsets";

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const LONG_MAX: &str = "9223372036854775807";

impl MirrorFloor {
    /// Values that hold always: brokers must not recompress, restamp or refuse by age.
    fn forced(&self) -> Vec<(&'static str, &'static str)> {
        let mut forced =
            vec![("compression.type", "producer"), ("message.timestamp.type", "CreateTime")];
        if self.gives_offsets {
            forced.push((GIVEN_OFFSETS, "given"));
        }
        match self.timestamp_bounds {
            TimestampBounds::BeforeAfter => forced.extend([
                ("message.timestamp.before.max.ms", LONG_MAX),
                ("message.timestamp.after.max.ms", LONG_MAX),
            ]),
            TimestampBounds::Difference => {
                forced.push(("message.timestamp.difference.max.ms", LONG_MAX));
            }
        }
        forced
    }

    /// Whether the config is Farlog's to decide.
    fn owns(&self, name: &str) -> bool {
        name == MAX_MESSAGE_BYTES
            || name.starts_with("message.timestamp.")
            || name == "compression.type"
            // How an embedded source takes its own batches says nothing about the mirror.
            || name.starts_with("farlog.")
    }

    /// Bytes that the mirror must accept in one batch.
    fn max_message_bytes(&self, source: &[ConfigEntry]) -> Option<u64> {
        byte_value(source, MAX_MESSAGE_BYTES).max(self.largest_batch_bytes)
    }
}

fn byte_value(entries: &[ConfigEntry], name: &str) -> Option<u64> {
    let entry = entries.iter().find(|entry| entry.name == name)?;
    entry.value.as_ref()?.trim().parse().ok()
}

/// The configs to create a mirror topic with, in order of name.
///
/// # Errors
/// If the exclusion pattern gave up on a name.
pub fn create_configs(
    source: &[ConfigEntry],
    policy: &ConfigSyncPolicy,
    floor: &MirrorFloor,
) -> Result<BTreeMap<String, String>, PatternMatchError> {
    let mut configs = BTreeMap::new();
    for (name, wanted) in copied(source, policy, floor)? {
        if let Some(value) = wanted {
            configs.insert(name, value);
        }
    }
    configs.extend(floor_configs(source, floor));
    Ok(configs)
}

/// The floor alone: what a mirror topic is created with where configs are not synchronised.
pub fn floor_configs(source: &[ConfigEntry], floor: &MirrorFloor) -> BTreeMap<String, String> {
    let mut configs: BTreeMap<String, String> = floor
        .forced()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if let Some(bytes) = floor.max_message_bytes(source) {
        configs.insert(MAX_MESSAGE_BYTES.to_owned(), bytes.to_string());
    }
    configs
}

/// What to alter on the target so that the mirror's configs are as they should be.
///
/// `sync` is `None` where configs are not synchronised: the floor is still kept. `source` and
/// `target` are the described configs of both topics, defaults included.
///
/// # Errors
/// If the exclusion pattern gave up on a name.
pub fn plan(
    source: &[ConfigEntry],
    target: &[ConfigEntry],
    sync: Option<&ConfigSyncPolicy>,
    floor: &MirrorFloor,
) -> Result<ConfigPlan, PatternMatchError> {
    let mut plan = ConfigPlan::default();
    let wanted = sync.map_or(Ok(BTreeMap::new()), |policy| copied(source, policy, floor))?;
    for (name, value) in wanted {
        let present = target.iter().find(|entry| entry.name == name);
        match (value, present) {
            (Some(value), Some(present)) => {
                if !is_set_to(present, &value) {
                    plan.ops.push(ConfigOp::Set { name, value });
                }
            }
            (Some(_), None) => plan.unknown_to_target.push(name),
            (None, Some(present)) if present.source == ConfigSource::Topic => {
                plan.ops.push(ConfigOp::Delete { name });
            }
            (None, _) => {}
        }
    }
    for (name, value) in floor.forced() {
        let present = target.iter().find(|entry| entry.name == name);
        if !present.is_some_and(|present| is_set_to(present, value)) {
            plan.ops.push(ConfigOp::Set { name: name.to_owned(), value: value.to_owned() });
        }
    }
    let given = target.iter().find(|entry| entry.name == GIVEN_OFFSETS);
    if !floor.gives_offsets && given.is_some_and(|present| is_set_to(present, "given")) {
        // Offsets need not be preserved any more.
        plan.ops.push(ConfigOp::Delete { name: GIVEN_OFFSETS.to_owned() });
    }
    if let Some(needed) = floor.max_message_bytes(source)
        && byte_value(target, MAX_MESSAGE_BYTES).is_none_or(|present| present < needed)
    {
        // Only ever upwards: what is already accepted stays acceptable.
        let name = MAX_MESSAGE_BYTES.to_owned();
        plan.ops.push(ConfigOp::Set { name, value: needed.to_string() });
    }
    plan.ops.sort();
    Ok(plan)
}

/// What the source topic asks for: `Some(value)` to set, `None` to leave to the target's default.
fn copied(
    source: &[ConfigEntry],
    policy: &ConfigSyncPolicy,
    floor: &MirrorFloor,
) -> Result<BTreeMap<String, Option<String>>, PatternMatchError> {
    let mut wanted = BTreeMap::new();
    for entry in source {
        let out_of_reach = entry.is_read_only
            || entry.is_sensitive
            || matches!(entry.source, ConfigSource::StaticBroker | ConfigSource::Other);
        if out_of_reach || floor.owns(&entry.name) || policy.excludes(&entry.name)? {
            continue;
        }
        let default = entry.source == ConfigSource::Default;
        let value = match &entry.value {
            Some(value) if !default || policy.defaults_from == DefaultsFrom::Source => {
                Some(value.clone())
            }
            _ => None,
        };
        wanted.insert(entry.name.clone(), value);
    }
    Ok(wanted)
}

fn is_set_to(present: &ConfigEntry, value: &str) -> bool {
    present.source == ConfigSource::Topic && present.value.as_deref() == Some(value)
}

#[cfg(test)]
mod tests;
