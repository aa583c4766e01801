//! What is shown of the groups that follow a link.

use farlog_link::status::{ForeignOffset, GroupTrouble, GroupsStatus};
use serde::Serialize;

/// The groups of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupsView {
    /// `starting`, `following`, or `asking` where what groups commit may not be read.
    pub mode: &'static str,
    /// Why, in a sentence; empty while all is well.
    pub why: String,
    /// Groups that follow.
    pub groups: usize,
    /// Their offsets.
    pub offsets: usize,
    /// Offsets that are left out, because there are too many.
    pub offsets_left_out: usize,
    /// Groups with an offset that the mirror has not reached.
    pub groups_waiting: usize,
    /// Offsets committed at the target by this instance.
    pub offsets_committed_total: u64,
    /// Groups that do not follow now.
    pub groups_not_following: usize,
    /// Some of them.
    pub not_following: Vec<GroupTroubleView>,
    /// Offsets at the target that somebody else has committed, and that are left as they are.
    pub offsets_foreign: usize,
    /// Some of them.
    pub foreign: Vec<ForeignOffsetView>,
}

/// A group that does not follow now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupTroubleView {
    /// The group.
    pub group: String,
    /// It has members in both clusters.
    pub lives_in_both: bool,
    /// Why it does not follow.
    pub why: String,
}

/// An offset at the target that Farlog did not commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignOffsetView {
    /// The group.
    pub group: String,
    /// The partition, by its name at the source.
    pub source_partition: String,
    /// What is committed at the target.
    pub offset: i64,
}

// === impl GroupsView ===

impl GroupsView {
    pub(super) fn of(status: &GroupsStatus) -> Self {
        let trouble = |one: &GroupTrouble| GroupTroubleView {
            group: one.group.clone(),
            lives_in_both: one.lives_in_both,
            why: one.why.clone(),
        };
        let foreign = |one: &ForeignOffset| ForeignOffsetView {
            group: one.group.clone(),
            source_partition: one.source_partition.clone(),
            offset: one.offset,
        };
        Self {
            mode: status.mode.name(),
            why: status.why.clone(),
            groups: status.groups,
            offsets: status.offsets,
            offsets_left_out: status.offsets_left_out,
            groups_waiting: status.groups_waiting,
            offsets_committed_total: status.written_total,
            groups_not_following: status.trouble_total,
            not_following: status.trouble.iter().map(trouble).collect(),
            offsets_foreign: status.foreign_total,
            foreign: status.foreign.iter().map(foreign).collect(),
        }
    }

    /// What somebody should know, a sentence each.
    pub fn news(&self) -> Vec<String> {
        let mut news = Vec::new();
        if !self.why.is_empty() {
            news.push(format!("groups: {}: {}", self.mode, self.why));
        }
        for one in &self.not_following {
            let both = if one.lives_in_both { "RUNS IN BOTH CLUSTERS; " } else { "" };
            news.push(format!("group {}: {both}{}", one.group, one.why));
        }
        for ForeignOffsetView { group, source_partition, offset } in &self.foreign {
            news.push(format!(
                "group {group}: somebody else committed offset {offset} of the mirror of \
                 {source_partition} at the target, which is left as it is; delete it there to \
                 have the group follow again (kafka-consumer-groups --delete-offsets)"
            ));
        }
        if self.offsets_left_out > 0 {
            let left_out = self.offsets_left_out;
            news.push(format!("groups: {left_out} offsets do not follow: there are too many"));
        }
        news
    }
}
