//! What a source topic is called on the target, and where a topic came from: the arithmetic of
//! MirrorMaker 2's replication policies (KIP-382, `DefaultReplicationPolicy` and
//! `IdentityReplicationPolicy` of Kafka 4.x) and Farlog's own "same name".

use std::borrow::Cow;

/// How the mirror of a topic is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Naming {
    /// The mirror has the name of its source topic, without any exception.
    Same,
    /// MirrorMaker 2's `DefaultReplicationPolicy`: `<source alias><separator><topic>`.
    Prefixed,
    /// MirrorMaker 2's `IdentityReplicationPolicy`: the same name, but every topic whose name ends
    /// in `heartbeats` is named as [`Naming::Prefixed`] does.
    Mm2Identity,
}

/// The naming rules of one link.
///
/// All functions are pure arithmetic on names; none looks at a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamingPolicy {
    /// Which of the rules is in use.
    pub naming: Naming,
    /// Alias of the link's source cluster: the prefix of the mirrors.
    pub source_alias: String,
    /// Alias of the link's target cluster: a topic that already passed through it is a cycle.
    pub target_alias: String,
    /// Text between alias and topic. Never empty.
    pub separator: String,
    /// Text between the pieces of MirrorMaker 2's internal topic names: [`Self::separator`], or
    /// `.` where `replication.policy.internal.topic.separator.enabled=false`. Never empty.
    pub internal_separator: String,
}

/// MirrorMaker 2's heartbeats topic; the name does not depend on the separator.
pub const HEARTBEATS_TOPIC: &str = "heartbeats";

/// MirrorMaker 2's default of `replication.policy.separator`.
pub const DEFAULT_SEPARATOR: &str = ".";

impl NamingPolicy {
    /// The policy of a link between two aliases with the default separator.
    pub fn new(naming: Naming, source_alias: &str, target_alias: &str) -> NamingPolicy {
        NamingPolicy {
            naming,
            source_alias: source_alias.to_owned(),
            target_alias: target_alias.to_owned(),
            separator: DEFAULT_SEPARATOR.to_owned(),
            internal_separator: DEFAULT_SEPARATOR.to_owned(),
        }
    }

    /// The name of `topic`'s mirror on the target.
    pub fn remote_topic<'t>(&self, topic: &'t str) -> Cow<'t, str> {
        if self.keeps_name(topic) {
            Cow::Borrowed(topic)
        } else {
            Cow::Owned(format!("{}{}{topic}", self.source_alias, self.separator))
        }
    }

    /// The alias that `topic` names as its source, `None` for a topic that is no mirror.
    ///
    /// Every name with a separator in it looks like a mirror to the prefixed policy: a local
    /// `team.orders` has the source `team`. That is MirrorMaker 2's rule too.
    pub fn topic_source<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match self.naming {
            Naming::Same => None,
            Naming::Mm2Identity if self.keeps_name(topic) => Some(&self.source_alias),
            Naming::Prefixed | Naming::Mm2Identity => self.prefix_of(topic),
        }
    }

    /// The name of `topic` on the cluster that [`Self::topic_source`] names, `None` for a topic
    /// that is no mirror.
    pub fn upstream_topic<'t>(&self, topic: &'t str) -> Option<&'t str> {
        match self.naming {
            Naming::Same => None,
            Naming::Mm2Identity if self.keeps_name(topic) => Some(topic),
            Naming::Prefixed | Naming::Mm2Identity => {
                let alias = self.prefix_of(topic)?;
                Some(&topic[alias.len() + self.separator.len()..])
            }
        }
    }

    /// The name of `topic` on the cluster where its chain of mirrors began.
    pub fn original_topic<'t>(&self, topic: &'t str) -> &'t str {
        let mut name = topic;
        while let Some(upstream) = self.upstream_topic(name).filter(|upstream| *upstream != name) {
            name = upstream;
        }
        name
    }

    /// Whether mirroring `topic` would bring records back to the link's target: some cluster that
    /// its name says it passed through is the target.
    ///
    /// Names kept as they are cannot tell, so this is always false for [`Naming::Same`].
    pub fn is_cycle(&self, topic: &str) -> bool {
        let mut name = topic;
        loop {
            match self.topic_source(name) {
                None => return false,
                Some(source) if source == self.target_alias => return true,
                Some(_) => {}
            }
            match self.upstream_topic(name) {
                Some(upstream) if upstream != name => name = upstream,
                _ => return false,
            }
        }
    }

    /// Whether `topic` is MirrorMaker 2's heartbeats topic or a mirror of it.
    pub fn is_heartbeats(&self, topic: &str) -> bool {
        self.original_topic(topic) == HEARTBEATS_TOPIC
    }

    /// Whether `topic` is a checkpoints topic of MirrorMaker 2.
    pub fn is_checkpoints(&self, topic: &str) -> bool {
        let separator = &self.internal_separator;
        topic
            .strip_suffix("internal")
            .and_then(|rest| rest.strip_suffix(separator.as_str()))
            .and_then(|rest| rest.strip_suffix("checkpoints"))
            .is_some_and(|rest| rest.ends_with(separator.as_str()))
    }

    /// Whether `topic` is one of MirrorMaker 2's own topics (4.x rule, KAFKA-17200).
    pub fn is_mm2_internal(&self, topic: &str) -> bool {
        let ends_internal = topic
            .strip_suffix("internal")
            .is_some_and(|rest| rest.ends_with(self.internal_separator.as_str()));
        (topic.starts_with("mm2") && ends_internal) || self.is_checkpoints(topic)
    }

    /// Whether `topic` is nobody's data: MirrorMaker 2's own topics, and every name that starts
    /// with `__` (Kafka's, Farlog's) or with `.`.
    pub fn is_internal(&self, topic: &str) -> bool {
        topic.starts_with("__") || topic.starts_with('.') || self.is_mm2_internal(topic)
    }

    /// `mm2-offset-syncs.<alias>.internal`, where `alias` is the *other* cluster.
    pub fn offset_syncs_topic(&self, alias: &str) -> String {
        let separator = &self.internal_separator;
        format!("mm2-offset-syncs{separator}{alias}{separator}internal")
    }

    /// `<alias>.checkpoints.internal`, where `alias` is the cluster whose groups it speaks of.
    pub fn checkpoints_topic(&self, alias: &str) -> String {
        let separator = &self.internal_separator;
        format!("{alias}{separator}checkpoints{separator}internal")
    }

    fn keeps_name(&self, topic: &str) -> bool {
        match self.naming {
            Naming::Same => true,
            Naming::Prefixed => false,
            Naming::Mm2Identity => !topic.ends_with(HEARTBEATS_TOPIC),
        }
    }

    /// The first piece of the name if there are at least two. Trailing empty pieces do not count:
    /// Java's `String.split` drops them, so `A.` is no mirror while `.t` is one of "".
    fn prefix_of<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let (first, rest) = topic.split_once(self.separator.as_str())?;
        let all_empty = rest.split(self.separator.as_str()).all(str::is_empty);
        (!all_empty).then_some(first)
    }
}

#[cfg(test)]
mod tests;
