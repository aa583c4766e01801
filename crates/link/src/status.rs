//! What a link tells of itself: named states, each with since when and why, and lag.
//!
//! Plain values, serializable, published on the target's status topic and read by metrics, the
//! HTTP API and the command line.

use serde::{Deserialize, Serialize};

/// What a partition is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionState {
    /// The position is being read from the target.
    Recovering,
    /// Mirroring, with records still to copy.
    CatchingUp,
    /// Mirroring, and nothing was left to copy when the source last answered.
    CaughtUp,
    /// The source partition has no leader, or it cannot be reached.
    SourceUnavailable,
    /// The mirror partition has no leader, or it cannot be reached.
    TargetUnavailable,
    /// Another producer wrote into the mirror partition.
    StoppedForeignWrite,
    /// The source lost records that were mirrored, and went on differently.
    StoppedDiverged,
    /// The source topic was deleted; the mirror is kept.
    HeldSourceDeleted,
    /// The source topic was deleted and created again under its name; the mirror is kept.
    HeldSourceRecreated,
    /// Retention deleted source records before they were mirrored, and the link is to stop then.
    StoppedDataLost,
    /// A batch is larger than the target accepts.
    StoppedTooLarge,
    /// A cluster denies what the link must do.
    StoppedDenied,
    /// The mirror holds records of this link, but the state topic does not say from where.
    StoppedStateLost,
    /// Fetched bytes failed their checks again and again.
    StoppedCorrupt,
    /// The source's records were written by a link from this link's target.
    StoppedLoop,
    /// The target refused a batch for a reason that waiting does not cure.
    StoppedRefused,
    /// Offsets are to be preserved, and cannot be.
    StoppedOffsets,
}

impl PartitionState {
    /// Every state, for metrics and documentation.
    pub const ALL: [Self; 17] = [
        Self::Recovering,
        Self::CatchingUp,
        Self::CaughtUp,
        Self::SourceUnavailable,
        Self::TargetUnavailable,
        Self::StoppedForeignWrite,
        Self::StoppedDiverged,
        Self::HeldSourceDeleted,
        Self::HeldSourceRecreated,
        Self::StoppedDataLost,
        Self::StoppedTooLarge,
        Self::StoppedDenied,
        Self::StoppedStateLost,
        Self::StoppedCorrupt,
        Self::StoppedLoop,
        Self::StoppedRefused,
        Self::StoppedOffsets,
    ];

    /// The name in output and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recovering => "recovering",
            Self::CatchingUp => "catching-up",
            Self::CaughtUp => "caught-up",
            Self::SourceUnavailable => "source-unavailable",
            Self::TargetUnavailable => "target-unavailable",
            Self::StoppedForeignWrite => "stopped-foreign-write",
            Self::StoppedDiverged => "stopped-diverged",
            Self::HeldSourceDeleted => "held-source-deleted",
            Self::HeldSourceRecreated => "held-source-recreated",
            Self::StoppedDataLost => "stopped-data-lost",
            Self::StoppedTooLarge => "stopped-too-large",
            Self::StoppedDenied => "stopped-denied",
            Self::StoppedStateLost => "stopped-state-lost",
            Self::StoppedCorrupt => "stopped-corrupt",
            Self::StoppedLoop => "stopped-loop",
            Self::StoppedRefused => "stopped-refused",
            Self::StoppedOffsets => "stopped-offsets",
        }
    }

    /// Whether an operator has to act.
    pub fn needs_operator(self) -> bool {
        !matches!(
            self,
            Self::Recovering
                | Self::CatchingUp
                | Self::CaughtUp
                | Self::SourceUnavailable
                | Self::TargetUnavailable
        )
    }
}

/// Whether this instance mirrors the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Not yet connected to both clusters.
    Connecting,
    /// Another instance mirrors it; this one waits to take over.
    Standby,
    /// The link is this instance's, and nothing is mirrored yet: it reads what it needs from the
    /// target and looks at the topics.
    Starting,
    /// This instance mirrors it.
    Active,
    /// Stopping: what was sent is being acknowledged.
    Draining,
    /// Ended.
    Stopped,
}

/// How it is known what groups commit at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupsMode {
    /// `__consumer_offsets` is being read to its end.
    Starting,
    /// What is committed is read within milliseconds.
    Following,
    /// It may not be read: groups are asked every two seconds.
    Asking,
}

impl GroupsMode {
    /// The name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Following => "following",
            Self::Asking => "asking",
        }
    }
}

/// How the groups of a link follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsStatus {
    /// How it is known what they commit.
    pub mode: GroupsMode,
    /// Why it is not known better, or nothing is written; empty while all is well.
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
    pub written_total: u64,
    /// Groups that have members at the target, or could not be written.
    pub trouble_total: usize,
    /// Some of them.
    pub trouble: Vec<GroupTrouble>,
    /// Offsets at the target that somebody else has committed: they are left as they are.
    pub foreign_total: usize,
    /// Some of them.
    pub foreign: Vec<ForeignOffset>,
}

/// A group that does not follow now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTrouble {
    /// The group.
    pub group: String,
    /// It has members in both clusters.
    pub lives_in_both: bool,
    /// Why it does not follow.
    pub why: String,
}

/// An offset at the target that Farlog did not commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignOffset {
    /// The group.
    pub group: String,
    /// The partition, by its name at the source.
    pub source_partition: String,
    /// What is committed at the target.
    pub offset: i64,
}

/// One partition of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Topic at the source.
    pub source_topic: String,
    /// Topic at the target.
    pub target_topic: String,
    /// Partition on both sides.
    pub partition: i32,
    /// What it is doing.
    pub state: PartitionState,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Why, in a sentence with the way out; empty while all is well.
    pub why: String,
    /// Source offset of the next record to mirror.
    pub source_offset: i64,
    /// Offset of the next record in the mirror.
    pub target_offset: i64,
    /// The source's last stable offset when it last answered: mirroring cannot go beyond it.
    pub source_end_offset: i64,
    /// The source's log start when it last answered.
    pub source_start_offset: i64,
    /// When the source last answered, in milliseconds since the epoch; 0 if never.
    pub source_seen_ms: i64,
    /// Timestamp of the oldest record not yet mirrored; `None` if all were.
    pub oldest_unmirrored_ms: Option<i64>,
    /// Records mirrored by this instance.
    pub records_total: u64,
    /// Bytes of batches acknowledged by the target.
    pub bytes_total: u64,
    /// Batches acknowledged by the target.
    pub batches_total: u64,
    /// Source records that retention deleted before they were mirrored.
    pub records_lost_total: u64,
    /// Records of aborted transactions left out.
    pub records_aborted_total: u64,
    /// How often the position had to be read again.
    pub recoveries_total: u64,
    /// Bytes per record, from what was mirrored lately, for the estimate of lag in bytes.
    pub record_bytes_average: f64,
    /// Time to the deletion of the oldest unmirrored record by the source's `retention.ms`.
    pub retention_left_ms: Option<i64>,
}

impl PartitionStatus {
    /// Source offsets not yet mirrored (markers and aborted records included).
    pub fn lag_records(&self) -> i64 {
        (self.source_end_offset - self.source_offset).max(0)
    }

    /// Bytes not yet mirrored, estimated from the size of records mirrored lately.
    pub fn lag_bytes(&self) -> i64 {
        (self.lag_records() as f64 * self.record_bytes_average) as i64
    }

    /// Age of the oldest record not yet mirrored; 0 if all were.
    pub fn lag_ms(&self, now_ms: i64) -> i64 {
        self.oldest_unmirrored_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0))
    }
}

/// A link as one instance sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link's name.
    pub link: String,
    /// Alias of the source cluster.
    pub source: String,
    /// Alias of the target cluster.
    pub target: String,
    /// The instance that says so.
    pub instance: String,
    /// Whether it mirrors.
    pub state: LinkState,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Why, in a sentence; empty while all is well.
    pub why: String,
    /// When this was written, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The partitions, ordered by topic and number; empty on standby.
    pub partitions: Vec<PartitionStatus>,
    /// How groups follow; `None` if none do, or on standby.
    #[serde(default)]
    pub groups: Option<GroupsStatus>,
}
