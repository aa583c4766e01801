//! What is shown of links, whoever shows it: the shape of `--output json`, of `--output yaml` and
//! of `/status`.
//!
//! The link crate's own status is a record between instances and may change; this shape is for
//! people's scripts and only grows.

mod groups;

use farlog_link::status::{LinkState, LinkStatus, PartitionStatus};
use serde::Serialize;

use super::pace::{Pace, Sample};
pub use groups::{ForeignOffsetView, GroupTroubleView, GroupsView};

/// A published status older than this says that the instance is gone.
pub const STALE_AFTER_MS: i64 = 15_000;
/// A source that was last heard of longer ago may have grown: the lag is a lower bound.
pub const SOURCE_SILENT_AFTER_MS: i64 = 15_000;

/// Every state of a link.
pub const LINK_STATES: [LinkState; 6] = [
    LinkState::Connecting,
    LinkState::Standby,
    LinkState::Starting,
    LinkState::Active,
    LinkState::Draining,
    LinkState::Stopped,
];

/// The name of a link's state in output and metrics.
pub fn link_state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Connecting => "connecting",
        LinkState::Standby => "standby",
        LinkState::Starting => "starting",
        LinkState::Active => "active",
        LinkState::Draining => "draining",
        LinkState::Stopped => "stopped",
    }
}

/// All links.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusView {
    /// When it was put together, in milliseconds since the epoch.
    pub at_ms: i64,
    /// One for each link and instance.
    pub links: Vec<LinkView>,
}

/// One link as one instance tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkView {
    /// Its name.
    pub link: String,
    /// Alias of the source cluster.
    pub source: String,
    /// Alias of the target cluster.
    pub target: String,
    /// Who says so; empty if nobody ever did.
    pub instance: String,
    /// `active`, `starting`, `standby`, `connecting`, `draining`, `stopped`, or `not-running` if
    /// the instance has fallen silent.
    pub state: &'static str,
    /// Since when, in milliseconds since the epoch; 0 if that is not known.
    pub since_ms: i64,
    /// Why, in a sentence; empty while all is well.
    pub why: String,
    /// When the instance said so, in milliseconds since the epoch; 0 if it never did.
    pub at_ms: i64,
    /// Of all partitions together.
    pub lag: LagView,
    /// Of all partitions together; `null` if it is not known yet.
    pub pace: Option<Pace>,
    /// Partitions stopped or held until somebody acts.
    pub partitions_needing_operator: usize,
    /// How groups follow; `null` if none do.
    pub groups: Option<GroupsView>,
    /// In order of topic and number.
    pub partitions: Vec<PartitionView>,
}

/// One partition of a link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionView {
    /// Topic at the source.
    pub topic: String,
    /// Topic at the target.
    pub mirror_topic: String,
    /// Partition on both sides.
    pub partition: i32,
    /// What it is doing.
    pub state: &'static str,
    /// Whether somebody has to act.
    pub needs_operator: bool,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Why, in a sentence with the way out; empty while all is well.
    pub why: String,
    /// How far behind it is.
    pub lag: LagView,
    /// How fast it is; `null` if that is not known yet.
    pub pace: Option<Pace>,
    /// Source offset of the next record to mirror.
    pub source_offset: i64,
    /// The source's log start when it last answered.
    pub source_start_offset: i64,
    /// The source's last stable offset when it last answered.
    pub source_end_offset: i64,
    /// When it last answered, in milliseconds since the epoch; 0 if never.
    pub source_seen_ms: i64,
    /// Offset of the next record in the mirror.
    pub mirror_offset: i64,
    /// Records mirrored by this instance.
    pub records_total: u64,
    /// Bytes mirrored by this instance.
    pub bytes_total: u64,
    /// Batches mirrored by this instance.
    pub batches_total: u64,
    /// Source records that retention deleted before they were mirrored.
    pub records_lost_total: u64,
    /// Records of aborted transactions left out.
    pub records_aborted_total: u64,
    /// How often the position had to be read again.
    pub recoveries_total: u64,
}

/// How far a mirror is behind its source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LagView {
    /// Whether the source has ever told its end; if not, nothing else here means anything.
    pub known: bool,
    /// Whether the source, or the instance, has been silent so long that it may be more by now.
    pub at_least: bool,
    /// Source offsets not yet mirrored.
    pub records: i64,
    /// Bytes not yet mirrored, estimated.
    pub bytes: i64,
    /// Age of the oldest record not yet mirrored; 0 if all were.
    pub ms: i64,
    /// Its timestamp, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// Time until the source's retention deletes it.
    pub retention_left_ms: Option<i64>,
}

// === impl StatusView ===

impl StatusView {
    /// Of links in this process.
    pub fn of(links: &[LinkStatus], now_ms: i64) -> Self {
        let links = links.iter().map(|link| LinkView::of(link, None, now_ms)).collect();
        Self { at_ms: now_ms, links }
    }

    /// Whether every link is run by somebody and no partition waits for an operator.
    pub fn is_well(&self) -> bool {
        self.links.iter().all(|link| {
            let running_elsewhere = || {
                self.links.iter().any(|other| other.link == link.link && other.state == "active")
            };
            (link.state == "active" || running_elsewhere()) && link.partitions_needing_operator == 0
        })
    }
}

// === impl LinkView ===

impl LinkView {
    /// Of a status and, to know the pace, an earlier one of the same instance.
    pub fn of(status: &LinkStatus, earlier: Option<&LinkStatus>, now_ms: i64) -> Self {
        let silent = now_ms - status.at_ms > STALE_AFTER_MS;
        // What ended by itself said so; only the unexpected silence is news.
        let gone = silent && status.state != LinkState::Stopped;
        let earlier = earlier.filter(|earlier| earlier.instance == status.instance);
        let partitions: Vec<PartitionView> = status
            .partitions
            .iter()
            .map(|partition| {
                let sample = |link: &LinkStatus, of: &PartitionStatus| Sample::of(link.at_ms, [of]);
                let before = earlier.and_then(|link| Some(sample(link, find(link, partition)?)));
                let pace = before
                    .filter(|_| !gone)
                    .and_then(|before| Pace::between(&before, &sample(status, partition)));
                PartitionView::of(partition, pace, status.at_ms, gone, now_ms)
            })
            .collect();
        let pace = earlier
            .filter(|_| !gone)
            .and_then(|earlier| Pace::between(&Sample::link(earlier), &Sample::link(status)));
        Self {
            link: status.link.clone(),
            source: status.source.clone(),
            target: status.target.clone(),
            instance: status.instance.clone(),
            state: if gone { "not-running" } else { link_state_name(status.state) },
            since_ms: if gone { status.at_ms } else { status.since_ms },
            why: status.why.clone(),
            at_ms: status.at_ms,
            lag: LagView::sum(partitions.iter().map(|partition| &partition.lag)),
            pace,
            groups: status.groups.as_ref().map(GroupsView::of),
            partitions_needing_operator: partitions.iter().filter(|p| p.needs_operator).count(),
            partitions,
        }
    }

    /// Of a link of the settings file that nobody ever ran.
    pub fn never_ran(link: &str, source: &str, target: &str) -> Self {
        Self {
            link: link.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            instance: String::new(),
            state: "not-running",
            since_ms: 0,
            why: "no instance has published a status for it: start it with `farlog run`".to_owned(),
            at_ms: 0,
            lag: LagView::default(),
            pace: None,
            partitions_needing_operator: 0,
            groups: None,
            partitions: Vec::new(),
        }
    }
}

fn find<'l>(link: &'l LinkStatus, like: &PartitionStatus) -> Option<&'l PartitionStatus> {
    link.partitions
        .iter()
        .find(|each| each.partition == like.partition && each.target_topic == like.target_topic)
}

// === impl PartitionView ===

impl PartitionView {
    fn of(
        status: &PartitionStatus,
        pace: Option<Pace>,
        at_ms: i64,
        gone: bool,
        now_ms: i64,
    ) -> Self {
        Self {
            topic: status.source_topic.clone(),
            mirror_topic: status.target_topic.clone(),
            partition: status.partition,
            state: status.state.name(),
            needs_operator: status.state.needs_operator(),
            since_ms: status.since_ms,
            why: status.why.clone(),
            lag: LagView::of(status, at_ms, gone, now_ms),
            pace,
            source_offset: status.source_offset,
            source_start_offset: status.source_start_offset,
            source_end_offset: status.source_end_offset,
            source_seen_ms: status.source_seen_ms,
            mirror_offset: status.target_offset,
            records_total: status.records_total,
            bytes_total: status.bytes_total,
            batches_total: status.batches_total,
            records_lost_total: status.records_lost_total,
            records_aborted_total: status.records_aborted_total,
            recoveries_total: status.recoveries_total,
        }
    }
}

// === impl LagView ===

impl LagView {
    fn of(status: &PartitionStatus, at_ms: i64, gone: bool, now_ms: i64) -> Self {
        let known = status.source_seen_ms > 0;
        // Time that passed since the status was written has come off the retention as well.
        let passed_ms = (now_ms - at_ms).max(0);
        Self {
            known,
            at_least: known && (gone || now_ms - status.source_seen_ms > SOURCE_SILENT_AFTER_MS),
            records: status.lag_records(),
            bytes: status.lag_bytes(),
            ms: status.lag_ms(now_ms),
            oldest_ms: status.oldest_unmirrored_ms,
            retention_left_ms: status.retention_left_ms.map(|left_ms| left_ms - passed_ms),
        }
    }

    /// Of many together: sums, and the worst of what cannot be summed.
    fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for each in all {
            sum.at_least |= each.at_least || !each.known;
            sum.known |= each.known;
            sum.records = sum.records.saturating_add(each.records);
            sum.bytes = sum.bytes.saturating_add(each.bytes);
            sum.ms = sum.ms.max(each.ms);
            sum.oldest_ms = sum.oldest_ms.into_iter().chain(each.oldest_ms).min();
            sum.retention_left_ms =
                sum.retention_left_ms.into_iter().chain(each.retention_left_ms).min();
        }
        sum.at_least &= sum.known;
        sum
    }
}

#[cfg(test)]
mod tests;
