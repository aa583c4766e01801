//! What a link would create or change on the target: a pure difference of two observations.
//!
//! The same plan is printed by `farlog plan` and applied, every few seconds, by a running link.

use std::collections::BTreeMap;

use farlog_wire::primitives::Uuid;

use crate::topics::config_sync::{
    self, ConfigEntry, ConfigOp, ConfigSyncPolicy, MirrorFloor, create_configs, floor_configs,
};
use crate::topics::filter::{Selected, TopicSelection};
use crate::topics::java_pattern::PatternMatchError;

/// A topic as one cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedTopic {
    /// Its name.
    pub name: String,
    /// Its id; zero on a cluster that has none (before Kafka 2.8 or its metadata format).
    pub topic_id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
    /// Its configs, defaults included; `None` if they could not be read.
    pub configs: Option<Vec<ConfigEntry>>,
}

/// What the plan of one link is made from.
#[derive(Clone, Copy, Debug)]
pub struct PlanRules<'a> {
    /// Which topics, and under which names.
    pub selection: &'a TopicSelection,
    /// Which configs are kept in step; `None` for none but the floor.
    pub config_sync: Option<&'a ConfigSyncPolicy>,
    /// Configs that every mirror must have.
    pub floor: &'a MirrorFloor,
    /// Replication factor of new mirror topics; -1 is the target's default.
    pub replication_factor: i16,
}

/// A mirror topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateMirror {
    /// Topic at the source.
    pub source_topic: String,
    /// Topic to create at the target.
    pub target_topic: String,
    /// Number of partitions, as at the source.
    pub partitions: i32,
    /// Replication factor; -1 is the target's default.
    pub replication_factor: i16,
    /// Configs to create it with.
    pub configs: BTreeMap<String, String>,
}

/// Partitions to add to a mirror topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandMirror {
    /// Topic at the target.
    pub target_topic: String,
    /// What it has.
    pub partitions_now: i32,
    /// What the source has.
    pub partitions: i32,
}

/// Configs of a mirror topic to alter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeConfigs {
    /// Topic at the target.
    pub target_topic: String,
    /// Operations, by name.
    pub ops: Vec<ConfigOp>,
}

/// A pair of topics that the link mirrors, both present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorTopic {
    /// Topic at the source.
    pub source_topic: String,
    /// Its id.
    pub source_topic_id: Uuid,
    /// Topic at the target.
    pub target_topic: String,
    /// Its id.
    pub target_topic_id: Uuid,
    /// Partitions that exist on both sides.
    pub partitions: i32,
    /// `retention.ms` of the source topic, if it is known and not unlimited.
    pub source_retention_ms: Option<i64>,
    /// The same of the mirror.
    pub target_retention_ms: Option<i64>,
}

/// A topic that the filter names and the link does not mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedTopic {
    /// Topic at the source.
    pub topic: String,
    /// Why, as a sentence's end: "its name says that it came from the target".
    pub why: String,
}

/// What a link would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    /// Mirrors to create.
    pub creates: Vec<CreateMirror>,
    /// Mirrors to give more partitions.
    pub expands: Vec<ExpandMirror>,
    /// Mirrors whose configs differ.
    pub config_changes: Vec<ChangeConfigs>,
    /// Mirrors that exist.
    pub mirrors: Vec<MirrorTopic>,
    /// Topics that are left out though the filter names them.
    pub skipped: Vec<SkippedTopic>,
    /// What an operator should know, each a sentence.
    pub warnings: Vec<String>,
}

impl LinkPlan {
    /// Whether the target is as it should be.
    pub fn is_settled(&self) -> bool {
        self.creates.is_empty() && self.expands.is_empty() && self.config_changes.is_empty()
    }
}

/// Plans a link.
///
/// # Errors
/// If a pattern gave up on a name.
pub fn plan(
    rules: PlanRules<'_>,
    source: &[ObservedTopic],
    target: &BTreeMap<String, ObservedTopic>,
) -> Result<LinkPlan, PatternMatchError> {
    let mut plan = LinkPlan::default();
    for topic in source {
        match rules.selection.select(&topic.name)? {
            Selected::Yes => plan_topic(rules, topic, target, &mut plan)?,
            Selected::NotAskedFor | Selected::Internal => {}
            Selected::Cycle => plan.skipped.push(SkippedTopic {
                topic: topic.name.clone(),
                why: "its name says that it already came through the target".to_owned(),
            }),
        }
    }
    Ok(plan)
}

fn plan_topic(
    rules: PlanRules<'_>,
    topic: &ObservedTopic,
    target: &BTreeMap<String, ObservedTopic>,
    plan: &mut LinkPlan,
) -> Result<(), PatternMatchError> {
    let target_topic = rules.selection.naming.remote_topic(&topic.name).into_owned();
    let source_configs = topic.configs.as_deref().unwrap_or_default();
    if topic.configs.is_none() {
        plan.warnings.push(format!(
            "configs of source topic {} cannot be read (DESCRIBE_CONFIGS is needed); its mirror \
             keeps the target's defaults",
            topic.name
        ));
    }
    let Some(mirror) = target.get(&target_topic) else {
        let configs = match rules.config_sync {
            Some(policy) => create_configs(source_configs, policy, rules.floor)?,
            None => floor_configs(source_configs, rules.floor),
        };
        plan.creates.push(CreateMirror {
            source_topic: topic.name.clone(),
            target_topic,
            partitions: topic.partitions,
            replication_factor: rules.replication_factor,
            configs,
        });
        return Ok(());
    };
    if mirror.partitions < topic.partitions {
        plan.expands.push(ExpandMirror {
            target_topic: target_topic.clone(),
            partitions_now: mirror.partitions,
            partitions: topic.partitions,
        });
    }
    plan_configs(rules, topic, mirror, plan)?;
    let source_retention_ms = retention_ms(source_configs);
    let target_retention_ms = retention_ms(mirror.configs.as_deref().unwrap_or_default());
    plan.mirrors.push(MirrorTopic {
        source_topic: topic.name.clone(),
        source_topic_id: topic.topic_id,
        target_topic,
        target_topic_id: mirror.topic_id,
        partitions: topic.partitions.min(mirror.partitions),
        source_retention_ms,
        target_retention_ms,
    });
    Ok(())
}

fn plan_configs(
    rules: PlanRules<'_>,
    topic: &ObservedTopic,
    mirror: &ObservedTopic,
    plan: &mut LinkPlan,
) -> Result<(), PatternMatchError> {
    let (Some(source), Some(target)) = (&topic.configs, &mirror.configs) else {
        return Ok(());
    };
    let changes = config_sync::plan(source, target, rules.config_sync, rules.floor)?;
    if !changes.ops.is_empty() {
        let target_topic = mirror.name.clone();
        plan.config_changes.push(ChangeConfigs { target_topic, ops: changes.ops });
    }
    if !changes.unknown_to_target.is_empty() {
        plan.warnings.push(format!(
            "target topic {}: the target's brokers do not know {}; not copied",
            mirror.name,
            changes.unknown_to_target.join(", "),
        ));
    }
    if let Some(short) = shorter_retention(source, target, rules.config_sync.is_some()) {
        plan.warnings.push(format!(
            "target topic {}: retention.ms {short} is shorter than the source's; older records \
             are deleted from the mirror soon after they arrive",
            mirror.name,
        ));
    }
    Ok(())
}

/// The mirror's retention, if it is shorter than the source's and no sync will lift it.
fn shorter_retention(source: &[ConfigEntry], target: &[ConfigEntry], synced: bool) -> Option<i64> {
    if synced {
        return None;
    }
    let target_ms = retention_ms(target)?;
    let longer = retention_ms(source).is_none_or(|source_ms| source_ms > target_ms);
    longer.then_some(target_ms)
}

/// `retention.ms` where it limits anything: records are kept for ever at -1.
fn retention_ms(configs: &[ConfigEntry]) -> Option<i64> {
    let value = |name: &str| {
        configs.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref())
    };
    if !value("cleanup.policy").unwrap_or("delete").contains("delete") {
        return None;
    }
    value("retention.ms")?.trim().parse().ok().filter(|&retention_ms: &i64| retention_ms >= 0)
}
