//! Which topics of the source cluster a link mirrors.

use super::java_pattern::{JavaPattern, PatternMatchError};
use super::naming::NamingPolicy;

/// One way of naming topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRule {
    /// The topic of this name.
    Literal(String),
    /// Every topic whose name starts so.
    Prefix(String),
    /// Every topic whose whole name matches.
    Pattern(JavaPattern),
}

impl TopicRule {
    /// Whether the rule speaks of `topic`.
    ///
    /// # Errors
    /// If a pattern gave up on the name.
    pub fn matches(&self, topic: &str) -> Result<bool, PatternMatchError> {
        match self {
            TopicRule::Literal(name) => Ok(name == topic),
            TopicRule::Prefix(prefix) => Ok(topic.starts_with(prefix.as_str())),
            TopicRule::Pattern(pattern) => pattern.matches(topic),
        }
    }
}

/// What is included and what is not; exclusion wins. An empty `include` includes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicFilter {
    /// A topic must match one of these,
    pub include: Vec<TopicRule>,
    /// and none of these.
    pub exclude: Vec<TopicRule>,
}

impl TopicFilter {
    /// Whether `topic` passes.
    ///
    /// # Errors
    /// If a pattern gave up on the name.
    pub fn matches(&self, topic: &str) -> Result<bool, PatternMatchError> {
        Ok(any(&self.include, topic)? && !any(&self.exclude, topic)?)
    }
}

fn any(rules: &[TopicRule], topic: &str) -> Result<bool, PatternMatchError> {
    for rule in rules {
        if rule.matches(topic)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The whole decision: filter, heartbeats, internal topics and cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSelection {
    /// What was asked for.
    pub filter: TopicFilter,
    /// Mirror MirrorMaker 2's heartbeats topics whatever the filter says
    /// (`heartbeats.replication.enabled`).
    pub heartbeats: bool,
    /// The link's names.
    pub naming: NamingPolicy,
}

/// Why a topic is mirrored or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// It is mirrored.
    Yes,
    /// The filter does not let it through.
    NotAskedFor,
    /// Nobody's data: Kafka's, MirrorMaker 2's or Farlog's own topic.
    Internal,
    /// Its name says that it already passed through the target.
    Cycle,
}

impl TopicSelection {
    /// Whether the source topic `topic` is mirrored, and if not, why not.
    ///
    /// # Errors
    /// If a pattern gave up on the name; the topic is then neither in nor out.
    pub fn select(&self, topic: &str) -> Result<Selected, PatternMatchError> {
        let heartbeats = self.heartbeats && self.naming.is_heartbeats(topic);
        if !heartbeats && !self.filter.matches(topic)? {
            return Ok(Selected::NotAskedFor);
        }
        if self.naming.is_internal(topic) {
            return Ok(Selected::Internal);
        }
        if self.naming.is_cycle(topic) {
            return Ok(Selected::Cycle);
        }
        Ok(Selected::Yes)
    }
}

#[cfg(test)]
mod tests;
