//! What a running link writes for MirrorMaker 2's readers: heartbeats, offset syncs, checkpoints.
//!
//! It is talk beside the mirroring: nothing of the link waits for it, and what cannot be written is
//! said once. Offset syncs are taken from the offset maps, so they are of records that are
//! acknowledged, and true.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::checkpoints::Checkpoints;
use super::internal_topic::{InternalTopic, KeyValue};
use super::spacing::Spacing;
use super::{Heartbeat, OffsetSync, OffsetSyncsLocation, Pair};
use crate::limits::{
    OFFSET_SYNC_INTERVAL, OFFSET_SYNC_TICKS_MAX, OFFSET_SYNCS_AT_ONCE_MAX, OFFSET_SYNCS_WAITING_MAX,
};
use crate::offsets::{Certainty, LiveMaps};
use crate::partition::LinkContext;
use crate::plan::MirrorTopic;
use crate::state::MirrorId;
use crate::topics::{JavaPattern, PatternMatchError};

/// How long the last offset syncs of a session may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// What a link writes for MirrorMaker 2's readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorMakerTopics {
    /// Names, and where offset syncs go.
    pub pair: Pair,
    /// Heartbeats to write, each every [`Self::heartbeat_interval`].
    pub heartbeats: Vec<HeartbeatPair>,
    /// How often.
    pub heartbeat_interval: Duration,
    /// Of the topic `heartbeats`; -1 is the cluster's default.
    pub heartbeats_replication_factor: i16,
    /// `offset.lag.max`; `None` writes no offset syncs.
    pub offset_lag_max: Option<i64>,
    /// Of the topic of the offset syncs; -1 is the cluster's default.
    pub offset_syncs_replication_factor: i16,
    /// How often groups are asked for what they have committed, and checkpoints are written;
    /// `None` writes none.
    pub checkpoint_interval: Option<Duration>,
    /// Of the topic of the checkpoints; -1 is the cluster's default.
    pub checkpoints_replication_factor: i16,
    /// The groups that get checkpoints; `None` matches none.
    pub groups: Option<JavaPattern>,
    /// Those among them that get none.
    pub groups_exclude: Option<JavaPattern>,
}

impl MirrorMakerTopics {
    /// Whether a group gets checkpoints.
    ///
    /// # Errors
    /// If a pattern gave up on its name.
    pub fn selects_group(&self, group: &str) -> Result<bool, PatternMatchError> {
        let matches = |pattern: &Option<JavaPattern>| {
            pattern.as_ref().map_or(Ok(false), |pattern| pattern.matches(group))
        };
        Ok(matches(&self.groups)? && !matches(&self.groups_exclude)?)
    }
}

/// A pair of clusters whose heartbeats a link writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatPair {
    /// Alias of the cluster mirrored from.
    pub source_alias: String,
    /// Alias of the cluster mirrored to, which is where they are written: the link's target or its
    /// source.
    pub target_alias: String,
}

/// The tasks that write; they end with it.
#[derive(Debug)]
pub(crate) struct Emission {
    mirrors: watch::Sender<Vec<MirrorTopic>>,
    stop: watch::Sender<bool>,
    /// Heartbeats and checkpoints: nobody waits for their last one.
    others: Vec<JoinHandle<()>>,
    offset_syncs: Option<JoinHandle<()>>,
}

impl Emission {
    /// Begins to write what the link's options ask for.
    pub(crate) fn start(context: &Arc<LinkContext>) -> Self {
        let (mirrors, mirrored) = watch::channel(Vec::new());
        let (stop, stopping) = watch::channel(false);
        let mut others = Vec::new();
        let mut offset_syncs = None;
        if let Some(topics) = &context.options.mirrormaker {
            for pair in &topics.heartbeats {
                let beats = heartbeats(Arc::clone(context), topics.clone(), pair.clone());
                others.push(tokio::spawn(beats));
            }
            if let Some(interval) = topics.checkpoint_interval {
                let checkpoints = Checkpoints::new(context, topics, mirrored.clone());
                others.push(tokio::spawn(checkpoints.run(interval)));
            }
            if let Some(lag_max) = topics.offset_lag_max {
                let syncs = OffsetSyncs::new(context, topics, lag_max);
                offset_syncs = Some(tokio::spawn(syncs.run(mirrored, stopping)));
            }
        }
        Self { mirrors, stop, others, offset_syncs }
    }

    /// These are mirrored now.
    pub(crate) fn mirrors(&self, mirrors: &[MirrorTopic]) {
        self.mirrors.send_if_modified(|known| {
            let is_new = known.as_slice() != mirrors;
            if is_new {
                *known = mirrors.to_vec();
            }
            is_new
        });
    }

    /// Everything is acknowledged: writes the last offset syncs.
    pub(crate) async fn last(mut self) {
        self.stop.send_replace(true);
        if let Some(syncs) = &mut self.offset_syncs {
            // That it takes too long is no reason to hold up the end.
            let _ = timeout(LAST_TIMEOUT, syncs).await;
        }
    }
}

impl Drop for Emission {
    fn drop(&mut self) {
        self.others.iter().chain(&self.offset_syncs).for_each(JoinHandle::abort);
    }
}

/// Whether writing to a topic fails, so that only changes are told.
pub(super) struct Talk {
    link: String,
    what: String,
    failing: bool,
}

impl Talk {
    pub(super) fn new(link: &str, what: String) -> Self {
        Self { link: link.to_owned(), what, failing: false }
    }

    pub(super) fn tell<E: Display>(&mut self, outcome: &Result<(), E>) {
        let (link, what) = (&self.link, &self.what);
        match outcome {
            Ok(()) if self.failing => tracing::info!(link, "{what} can be written again"),
            Err(error) if !self.failing => tracing::warn!(
                link, %error,
                "{what} cannot be written, which needs WRITE and CREATE on the topic, and for \
                 checkpoints DESCRIBE on the source's groups; records are mirrored all the same"
            ),
            _ => {}
        }
        self.failing = outcome.is_err();
    }
}

async fn heartbeats(context: Arc<LinkContext>, topics: MirrorMakerTopics, pair: HeartbeatPair) {
    let is_target = pair.target_alias == topics.pair.naming.target_alias;
    let cluster = if is_target { &context.target } else { &context.source };
    let (name, factor) = (topics.pair.heartbeats_topic(), topics.heartbeats_replication_factor);
    let mut topic = InternalTopic::new(cluster.clone(), name, factor);
    let what = format!("topic {name} of cluster {}", pair.target_alias);
    let mut talk = Talk::new(&context.options.name, what);
    let mut ticks = interval(topics.heartbeat_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let heartbeat = Heartbeat {
            source_cluster_alias: pair.source_alias.clone(),
            target_cluster_alias: pair.target_alias.clone(),
            timestamp_ms: context.clock.now_ms(),
        };
        let Ok(key) = heartbeat.key() else { return };
        let (timestamp_ms, value) = (heartbeat.timestamp_ms, heartbeat.value());
        talk.tell(&topic.append(&[KeyValue { timestamp_ms, key, value }]).await);
    }
}

/// Writes offset syncs of everything that moves.
struct OffsetSyncs {
    context: Arc<LinkContext>,
    topic: InternalTopic,
    talk: Talk,
    lag_max: i64,
    /// With the name of the source topic.
    mirrors: HashMap<MirrorId, (String, Spacing)>,
}

impl OffsetSyncs {
    fn new(context: &Arc<LinkContext>, topics: &MirrorMakerTopics, lag_max: i64) -> Self {
        let naming = &topics.pair.naming;
        let (cluster, alias) = match topics.pair.location {
            OffsetSyncsLocation::Source => (&context.source, &naming.source_alias),
            OffsetSyncsLocation::Target => (&context.target, &naming.target_alias),
        };
        let name = topics.pair.offset_syncs_topic();
        let factor = topics.offset_syncs_replication_factor;
        let topic = InternalTopic::new(cluster.clone(), &name, factor);
        let what = format!("topic {} of cluster {alias}", topic.name());
        Self {
            talk: Talk::new(&context.options.name, what),
            context: Arc::clone(context),
            topic,
            lag_max,
            mirrors: HashMap::new(),
        }
    }

    async fn run(
        mut self,
        mut mirrored: watch::Receiver<Vec<MirrorTopic>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut ticks = interval(OFFSET_SYNC_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = tokio::select! {
                _ = ticks.tick() => false,
                _ = stopping.wait_for(|&stop| stop) => true,
            };
            if mirrored.has_changed().unwrap_or(false) {
                self.follow(mirrored.borrow_and_update().clone());
            }
            self.look(is_last).await;
            if is_last {
                return;
            }
        }
    }

    /// These are mirrored now.
    fn follow(&mut self, topics: Vec<MirrorTopic>) {
        let partitions = topics.into_iter().flat_map(|topic| {
            let link = &self.context.options.name;
            let mirrors = (0..topic.partitions).map(move |partition| MirrorId {
                link: link.clone(),
                source_topic_id: topic.source_topic_id,
                target_topic_id: topic.target_topic_id,
                partition,
            });
            mirrors.map(move |mirror| (mirror, topic.source_topic.clone()))
        });
        let known = &self.mirrors;
        let spacing = |mirror: &MirrorId| {
            known.get(mirror).map_or_else(Spacing::new, |(_, spacing)| spacing.clone())
        };
        let mirrors = partitions.map(|(mirror, topic)| {
            let spacing = spacing(&mirror);
            (mirror, (topic, spacing))
        });
        self.mirrors = mirrors.collect();
    }

    /// Writes what is due of every mirror; at the end also what would have waited.
    async fn look(&mut self, is_last: bool) {
        let ticks_max = if is_last { 0 } else { OFFSET_SYNC_TICKS_MAX };
        let share = OFFSET_SYNCS_WAITING_MAX / self.mirrors.len().max(1);
        let count_max = i64::try_from(share).unwrap_or(1).clamp(1, OFFSET_SYNCS_AT_ONCE_MAX);
        let timestamp_ms = self.context.clock.now_ms();
        let mut records = Vec::new();
        let mut looked = Vec::new();
        for (mirror, (topic, spacing)) in &mut self.mirrors {
            let bounds = (self.lag_max, ticks_max, count_max);
            let found = syncs(&self.context.maps, mirror, spacing, bounds);
            looked.push((spacing, found.last().map(|(_, downstream)| *downstream)));
            for (upstream_offset, downstream_offset) in found {
                let (topic, partition) = (topic.clone(), mirror.partition);
                let sync = OffsetSync { topic, partition, upstream_offset, downstream_offset };
                // The name of a topic always fits.
                if let Ok(key) = sync.key() {
                    records.push(KeyValue { timestamp_ms, key, value: sync.value() });
                }
            }
        }
        // Created even if nothing is mirrored yet: MirrorMaker 2's readers wait for it.
        let written = self.topic.append(&records).await;
        self.talk.tell(&written);
        for (spacing, last) in looked {
            spacing.looked(last.filter(|_| written.is_ok()));
        }
    }
}

/// Source and target offset of the records of a mirror that get a sync now. A record whose place
/// is not certain gets none.
fn syncs(
    maps: &LiveMaps,
    mirror: &MirrorId,
    spacing: &Spacing,
    (lag_max, ticks_max, count_max): (i64, u32, i64),
) -> Vec<(i64, i64)> {
    let exact = |mapped: Option<crate::offsets::Mapped>| {
        mapped.map(|mapped| mapped.resume).filter(|resume| resume.certainty == Certainty::Exact)
    };
    // Behind everything there is only the end.
    let begin = exact(maps.to_target(mirror, 0));
    let end = exact(maps.to_target(mirror, i64::MAX));
    let Some((begin, end)) = begin.zip(end) else { return Vec::new() };
    let due = spacing.due(begin.offset..end.offset, lag_max, ticks_max, count_max);
    let pairs = due.into_iter().filter_map(|downstream| {
        let upstream = exact(maps.to_source(mirror, downstream))?.offset;
        let back = exact(maps.to_target(mirror, upstream))?.offset;
        (back == downstream).then_some((upstream, downstream))
    });
    pairs.collect()
}
