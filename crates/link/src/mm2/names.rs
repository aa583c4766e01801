//! What MirrorMaker 2 calls the things that belong to one pair of clusters.

use crate::topics::NamingPolicy;
use crate::topics::naming::HEARTBEATS_TOPIC;

/// In which cluster the offset syncs of a pair are (`offset-syncs.topic.location`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetSyncsLocation {
    /// The cluster mirrored from.
    #[default]
    Source,
    /// The cluster mirrored to.
    Target,
}

/// Names of one pair of clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Aliases and separators.
    pub naming: NamingPolicy,
    /// Where the offset syncs are.
    pub location: OffsetSyncsLocation,
}

impl Pair {
    /// The topic of the offset syncs; it bears the alias of the cluster that it is not in.
    pub fn offset_syncs_topic(&self) -> String {
        let other = match self.location {
            OffsetSyncsLocation::Source => &self.naming.target_alias,
            OffsetSyncsLocation::Target => &self.naming.source_alias,
        };
        self.naming.offset_syncs_topic(other)
    }

    /// The topic of the checkpoints, in the target.
    pub fn checkpoints_topic(&self) -> String {
        self.naming.checkpoints_topic(&self.naming.source_alias)
    }

    /// The topic of the heartbeats, in the target.
    pub fn heartbeats_topic(&self) -> &'static str {
        HEARTBEATS_TOPIC
    }

    /// The topic in the target where Connect stores how far records are mirrored, unless its worker
    /// is told otherwise. No separator is asked.
    pub fn source_offsets_topic(&self) -> String {
        format!("mm2-offsets.{}.internal", self.naming.source_alias)
    }

    /// The group of Connect's workers in the target, unless they are told otherwise.
    pub fn connect_group(&self) -> String {
        format!("{}-mm2", self.naming.source_alias)
    }

    /// The topic that a checkpoint of a position in `topic` speaks of: a mirror of one of the
    /// target's own topics means that topic itself, whatever lies between.
    pub fn checkpoint_topic(&self, topic: &str) -> String {
        match self.naming.topic_source(topic) {
            Some(source) if source == self.naming.target_alias => {
                self.naming.original_topic(topic).to_owned()
            }
            _ => self.naming.remote_topic(topic).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Naming;

    fn pair(separator: &str, internal: &str, location: OffsetSyncsLocation) -> Pair {
        let naming = NamingPolicy {
            separator: separator.to_owned(),
            internal_separator: internal.to_owned(),
            ..NamingPolicy::new(Naming::Prefixed, "us", "eu")
        };
        Pair { naming, location }
    }

    #[test]
    fn names_follow_the_separators_and_the_location() {
        let plain = pair(".", ".", OffsetSyncsLocation::Source);
        assert_eq!(plain.offset_syncs_topic(), "mm2-offset-syncs.eu.internal");
        assert_eq!(plain.checkpoints_topic(), "us.checkpoints.internal");
        assert_eq!(plain.heartbeats_topic(), "heartbeats");
        let target = pair("_", "_", OffsetSyncsLocation::Target);
        assert_eq!(target.offset_syncs_topic(), "mm2-offset-syncs_us_internal");
        assert_eq!(target.checkpoints_topic(), "us_checkpoints_internal");
        assert_eq!(target.checkpoint_topic("orders"), "us_orders");
        let kept = pair("_", ".", OffsetSyncsLocation::Source);
        assert_eq!(kept.offset_syncs_topic(), "mm2-offset-syncs.eu.internal");
        assert_eq!(kept.checkpoints_topic(), "us.checkpoints.internal");
        assert_eq!(kept.checkpoint_topic("orders"), "us_orders");
        // Connect's own names know no separator.
        assert_eq!(target.source_offsets_topic(), "mm2-offsets.us.internal");
        assert_eq!(target.connect_group(), "us-mm2");
    }

    #[test]
    fn a_position_on_a_mirror_is_one_on_its_origin() {
        let pair = pair(".", ".", OffsetSyncsLocation::Source);
        assert_eq!(pair.checkpoint_topic("orders"), "us.orders");
        assert_eq!(pair.checkpoint_topic("eu.orders"), "orders");
        assert_eq!(pair.checkpoint_topic("eu.ap.orders"), "orders", "all prefixes go");
        assert_eq!(pair.checkpoint_topic("ap.orders"), "us.ap.orders");
    }
}
