//! Looking at the topics of both clusters for a link's plan.

use std::collections::{BTreeMap, HashMap};

use farlog_client::admin::{ConfigEntry as Described, ConfigResource, ConfigSource as Origin};
use farlog_client::{Cluster, RequestError, TopicSelection as Asked};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::records::Holes;
use tokio::time::Instant;

use crate::options::{LinkOptions, Offsets};
use crate::plan::{LinkPlan, ObservedTopic, PlanRules, plan};
use crate::session::{STATE_TOPIC, check_preservable};
use crate::topics::config_sync::GIVEN_OFFSETS;
use crate::topics::{
    ConfigEntry, ConfigSource, MirrorFloor, PatternMatchError, Selected, TimestampBounds,
};

/// Topics asked about in one DescribeConfigs request.
const TOPICS_PER_REQUEST_MAX: usize = 500;

/// The topics of a cluster by name, without their configs.
async fn topics(cluster: &Cluster) -> Result<BTreeMap<String, ObservedTopic>, RequestError> {
    let metadata = cluster.metadata(&Asked::All).await?;
    let topics = metadata.topics.into_iter().filter(|(_, topic)| topic.error == ErrorCode::NONE);
    Ok(topics
        .map(|(name, topic)| {
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let topic_id = topic.topic_id.unwrap_or_default();
            (name.clone(), ObservedTopic { name, topic_id, partitions, configs: None })
        })
        .collect())
}

/// The configs of some topics; those that may not be read are left out.
async fn configs(
    cluster: &Cluster,
    topics: &[String],
) -> Result<HashMap<String, Vec<ConfigEntry>>, RequestError> {
    let mut found = HashMap::new();
    for some in topics.chunks(TOPICS_PER_REQUEST_MAX) {
        let resources: Vec<ConfigResource> = some.iter().map(ConfigResource::topic).collect();
        let described = cluster.describe_configs(&resources).await?;
        for (resource, entries) in described {
            match entries {
                Ok(entries) => {
                    let entries = entries.into_iter().map(config_entry).collect();
                    found.insert(resource.name, entries);
                }
                Err(error) => {
                    tracing::debug!(topic = resource.name, %error, "configs cannot be read");
                }
            }
        }
    }
    Ok(found)
}

fn config_entry((name, entry): (String, Described)) -> ConfigEntry {
    let source = match entry.source {
        Origin::Topic => ConfigSource::Topic,
        Origin::DynamicBroker | Origin::DynamicDefaultBroker => ConfigSource::DynamicBroker,
        Origin::StaticBroker => ConfigSource::StaticBroker,
        Origin::Default => ConfigSource::Default,
        _ => ConfigSource::Other,
    };
    ConfigEntry {
        name,
        is_sensitive: entry.is_sensitive,
        is_read_only: entry.read_only,
        value: entry.value,
        source,
    }
}

/// Why a link could not be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A cluster could not be asked.
    #[error("{cluster} cluster {alias}: {source}")]
    Request {
        /// "source" or "target".
        cluster: &'static str,
        /// Its alias.
        alias: String,
        /// What went wrong.
        #[source]
        source: Box<RequestError>,
    },
    /// The cluster gives its topics no ids.
    #[error(
        "{cluster} cluster {alias} gives topic {topic} no topic id, so that a topic created again \
         under its name could not be told from the one before; topic ids need brokers of Kafka 2.8 \
         or newer, with inter.broker.protocol.version 2.8 or newer"
    )]
    NoTopicId {
        /// "source" or "target".
        cluster: &'static str,
        /// Its alias.
        alias: String,
        /// The first such topic.
        topic: String,
    },
    /// The target does not allow what the link is to do about offsets.
    #[error("target cluster {alias}: {source}")]
    Offsets {
        /// Its alias.
        alias: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pattern gave up on a name.
    #[error(transparent)]
    Pattern(#[from] PatternMatchError),
}

/// A plan with what it was made from.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: LinkPlan,
    pub(crate) source: BTreeMap<String, ObservedTopic>,
    pub(crate) target: BTreeMap<String, ObservedTopic>,
}

type Configs = HashMap<String, Vec<ConfigEntry>>;

/// Plans again and again; remembers configs between looks.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    source_configs: Configs,
    target_configs: Configs,
    configs_at: Option<Instant>,
}

/// What a link would create or change now. Nothing is written.
pub async fn plan_link(
    options: &LinkOptions,
    source: &Cluster,
    target: &Cluster,
) -> Result<LinkPlan, PlanError> {
    let mut plan = Planner::default().plan(options, source, target).await?.plan;
    if options.offsets == Offsets::Preserve {
        plan.warnings.push(preserved(options, target).await?);
    }
    Ok(plan)
}

impl Planner {
    pub(crate) async fn plan(
        &mut self,
        options: &LinkOptions,
        source_cluster: &Cluster,
        target_cluster: &Cluster,
    ) -> Result<Planned, PlanError> {
        let at_source = |error| request("source", &options.source_alias, error);
        let at_target = |error| request("target", &options.target_alias, error);
        let mut source = topics(source_cluster).await.map_err(at_source)?;
        let mut target = topics(target_cluster).await.map_err(at_target)?;
        check_topic_ids("source", &options.source_alias, &source)?;
        check_topic_ids("target", &options.target_alias, &target)?;
        let (ask_source, ask_target) = self.undescribed(options, &source, &target);
        self.source_configs.extend(configs(source_cluster, &ask_source).await.map_err(at_source)?);
        self.target_configs.extend(configs(target_cluster, &ask_target).await.map_err(at_target)?);
        add_configs(&mut source, &self.source_configs);
        add_configs(&mut target, &self.target_configs);
        let rules = PlanRules {
            selection: &options.topics,
            config_sync: options.config_sync.as_ref(),
            floor: &floor(options, &target),
            replication_factor: options.replication_factor,
        };
        let observed: Vec<ObservedTopic> = source.values().cloned().collect();
        let mut plan = plan(rules, &observed, &target)?;
        let creates = !plan.creates.is_empty() || !target.contains_key(STATE_TOPIC);
        if creates {
            let brokers = target_cluster.cached_metadata().brokers.len();
            plan.warnings.extend(too_few_brokers(options, brokers));
        }
        if !plan.is_settled() {
            // What was planned is about to change the target.
            self.configs_at = None;
        }
        Ok(Planned { plan, source, target })
    }

    /// Topics whose configs are to be read: of new ones at once, of all every so often.
    fn undescribed(
        &mut self,
        options: &LinkOptions,
        source: &BTreeMap<String, ObservedTopic>,
        target: &BTreeMap<String, ObservedTopic>,
    ) -> (Vec<String>, Vec<String>) {
        if self.configs_at.is_none_or(|at| at.elapsed() >= options.config_interval) {
            self.configs_at = Some(Instant::now());
            self.source_configs.clear();
            self.target_configs.clear();
        }
        let selection = &options.topics;
        let mut ask_source = Vec::new();
        let mut ask_target = Vec::new();
        // A pattern that gives up is told by the plan itself.
        let is_selected = |name: &&String| matches!(selection.select(name), Ok(Selected::Yes));
        for name in source.keys().filter(is_selected) {
            if !self.source_configs.contains_key(name) {
                ask_source.push(name.clone());
            }
            let remote = selection.naming.remote_topic(name).into_owned();
            if target.contains_key(&remote) && !self.target_configs.contains_key(&remote) {
                ask_target.push(remote);
            }
        }
        // Every broker describes this one: it tells which settings the target knows.
        let state = STATE_TOPIC.to_owned();
        if target.contains_key(&state) && !self.target_configs.contains_key(&state) {
            ask_target.push(state);
        }
        (ask_source, ask_target)
    }
}

/// Says it if the target cannot hold the replicas that topics are to be created with.
fn too_few_brokers(options: &LinkOptions, brokers: usize) -> Option<String> {
    let factor = options.replication_factor;
    let wanted = usize::try_from(factor).ok()?;
    (wanted > brokers).then(|| {
        let target = &options.target_alias;
        let have = if brokers == 1 { "1 broker".to_owned() } else { format!("{brokers} brokers") };
        format!(
            "replication factor {factor}, but target {target} has {have} just now: it will refuse \
             to create topics; lower the link's replication factor, or bring up more brokers"
        )
    })
}

/// What a link remembers of a mirror goes by topic ids: without them all topics would be one.
fn check_topic_ids(
    cluster: &'static str,
    alias: &str,
    topics: &BTreeMap<String, ObservedTopic>,
) -> Result<(), PlanError> {
    match topics.values().find(|topic| topic.topic_id.is_zero()) {
        None => Ok(()),
        Some(topic) => {
            let (alias, topic) = (alias.to_owned(), topic.name.clone());
            Err(PlanError::NoTopicId { cluster, alias, topic })
        }
    }
}

fn request(cluster: &'static str, alias: &str, error: RequestError) -> PlanError {
    PlanError::Request { cluster, alias: alias.to_owned(), source: Box::new(error) }
}

fn add_configs(topics: &mut BTreeMap<String, ObservedTopic>, configs: &Configs) {
    for (name, topic) in topics {
        topic.configs = configs.get(name).cloned();
    }
}

/// The configs that mirrors need, as the target's brokers know them.
fn floor(options: &LinkOptions, target: &BTreeMap<String, ObservedTopic>) -> MirrorFloor {
    // Any described topic tells what the brokers know.
    let described = target.values().find_map(|topic| topic.configs.as_ref());
    let knows = |name| described.map(|configs| configs.iter().any(|entry| entry.name == name));
    // KIP-937 renamed the bound.
    let timestamp_bounds = match knows("message.timestamp.after.max.ms") {
        Some(false) => TimestampBounds::Difference,
        _ => TimestampBounds::BeforeAfter,
    };
    let gives_offsets = options.offsets == Offsets::Preserve && knows(GIVEN_OFFSETS) == Some(true);
    MirrorFloor { timestamp_bounds, gives_offsets, largest_batch_bytes: None }
}

/// What the target allows where offsets are preserved, as a sentence.
async fn preserved(options: &LinkOptions, target: &Cluster) -> Result<String, PlanError> {
    let alias = &options.target_alias;
    let holes = check_preservable(target)
        .await
        .map_err(|error| PlanError::Offsets { alias: alias.clone(), source: error.into() })?;
    Ok(match holes {
        Holes::Phantoms => format!(
            "offsets are preserved: target {alias} takes phantom records, as Apache Kafka does; \
             mirrors are filled up to the source's first offset (which needs DELETE on them) and \
             what has no record at the source is a phantom, which kafka-python hands to its \
             application"
        ),
        Holes::Kept => format!(
            "offsets are preserved: target {alias} is an embedded cluster, which takes them as \
             they are given"
        ),
    })
}

#[cfg(test)]
mod tests {
    use farlog_wire::primitives::Uuid;

    use super::*;
    use crate::topics::{Naming, NamingPolicy, TopicFilter, TopicSelection};

    #[test]
    fn a_cluster_without_topic_ids_is_refused_by_name() {
        let topic = |name: &str, topic_id| ObservedTopic {
            name: name.to_owned(),
            topic_id,
            partitions: 1,
            configs: None,
        };
        let of = |id| BTreeMap::from([("orders".to_owned(), topic("orders", id))]);
        assert!(check_topic_ids("source", "us", &of(Uuid([7; 16]))).is_ok());
        let told = check_topic_ids("source", "us", &of(Uuid::default())).unwrap_err().to_string();
        assert!(told.starts_with("source cluster us gives topic orders no topic id"), "{told}");
        assert!(told.contains("inter.broker.protocol.version 2.8"), "{told}");
    }

    #[test]
    fn more_replicas_than_brokers_are_told() {
        let naming = NamingPolicy::new(Naming::Same, "us", "eu");
        let topics = TopicSelection { filter: TopicFilter::default(), heartbeats: false, naming };
        let mut options = LinkOptions::new("link", "us", "eu", topics);
        assert_eq!(too_few_brokers(&options, 1), None, "the target decides");
        options.replication_factor = 3;
        assert_eq!(too_few_brokers(&options, 3), None);
        let told = too_few_brokers(&options, 1).unwrap();
        assert!(told.contains("replication factor 3, but target eu has 1 broker "), "{told}");
        assert!(too_few_brokers(&options, 2).unwrap().contains("has 2 brokers "));
    }
}
