//! Looking at a running MirrorMaker 2 from beside it: whether it lives, how far it has mirrored,
//! and what its groups would read again if they failed over now. Nothing is written.
//!
//! What it says itself (heartbeats, offset syncs, checkpoints, Connect's stored offsets) is held
//! against the two logs, whose records tell where a position really is.

mod alignment;
mod internal;
mod logs;
mod positions;

use std::collections::{BTreeMap, HashMap};

use farlog_client::{Cluster, RequestError, TopicPartition, TopicSelection as Asked};
use farlog_wire::error_code::ErrorCode;
use futures_util::stream::{self, StreamExt as _};

use self::internal::{Found, InternalError, Syncs};
use self::logs::Extent;
use self::positions::BothLogs;
use super::names::{OffsetSyncsLocation, Pair};
use super::{Checkpoint, OffsetSyncStore};
use crate::limits::{OBSERVED_AT_ONCE_MAX, OBSERVED_INTERNAL_RECORDS_MAX};
use crate::topics::{JavaPattern, PatternMatchError, Selected, TopicSelection};

pub use self::alignment::Place;

/// What to look at: one flow of a MirrorMaker 2.
#[derive(Clone, Debug)]
pub struct ObserveOptions {
    /// Its names.
    pub pair: Pair,
    /// The topics it mirrors.
    pub topics: TopicSelection,
    /// The groups it translates; `None` matches none.
    pub groups: Option<JavaPattern>,
    /// Those among them that it leaves out.
    pub groups_exclude: Option<JavaPattern>,
    /// Connect's group at the target.
    pub connect_group: String,
    /// Where Connect stores how far records are mirrored.
    pub source_offsets_topic: String,
    /// Only this group.
    pub only_group: Option<String>,
}

/// What was seen of a flow.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When the newest heartbeat of the pair was written, in milliseconds since 1970.
    pub heartbeat_at_ms: Option<i64>,
    /// State of Connect's group at the target, in Kafka's word.
    pub connect_state: String,
    /// Its members: client id and address.
    pub members: Vec<(String, String)>,
    /// Every partition that is mirrored.
    pub partitions: Vec<MirroredPartition>,
    /// Every position of a group in one of them.
    pub positions: Vec<GroupPlace>,
    /// What could not be seen, and why, and what would help.
    pub notes: Vec<String>,
}

/// How far a partition is mirrored.
#[derive(Clone, Debug)]
pub struct MirroredPartition {
    /// At the source.
    pub source: TopicPartition,
    /// At the target.
    pub mirror: TopicPartition,
    /// High watermark of the source.
    pub source_end: Option<i64>,
    /// High watermark of the mirror.
    pub mirror_end: Option<i64>,
    /// The newest offset sync: source and target offset of one record.
    pub newest_sync: Option<(i64, i64)>,
    /// What Connect has stored: source offset of the last record it will not mirror again.
    pub stored_offset: Option<i64>,
    /// Source position behind the mirror's last record, by the records themselves.
    pub mirrored_to: Option<Place>,
    /// Why that is not known.
    pub problem: String,
}

/// A group's position, and what MirrorMaker 2 makes of it.
#[derive(Clone, Debug)]
pub struct GroupPlace {
    /// The group.
    pub group: String,
    /// At the source.
    pub source: TopicPartition,
    /// At the target.
    pub mirror: TopicPartition,
    /// What it has committed at the source.
    pub committed_offset: i64,
    /// The first record of the mirror that it has not read.
    pub exact: Option<Place>,
    /// The newest checkpoint: committed offset and its translation.
    pub checkpoint: Option<(i64, i64)>,
    /// What a MirrorMaker 2 that starts now would translate the position to.
    pub after_restart: Option<i64>,
    /// What the group has at the target: what MirrorMaker 2 synced there, or what it committed
    /// itself.
    pub at_target: Option<i64>,
    /// First offset of the mirror.
    pub mirror_start: i64,
    /// Why something of this is not known.
    pub problem: String,
}

/// Why a flow cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A cluster did not answer, or refused.
    #[error("cluster {alias}: {source}")]
    Cluster {
        /// Its alias.
        alias: String,
        /// What went wrong.
        #[source]
        source: Box<RequestError>,
    },
    /// A pattern gave up on a name.
    #[error(transparent)]
    Pattern(#[from] PatternMatchError),
}

/// Looks at a flow once.
///
/// # Errors
/// When one of the clusters cannot be asked at all. What only a part of the answer depends on is a
/// note in it.
pub async fn observe(
    options: &ObserveOptions,
    source: &Cluster,
    target: &Cluster,
) -> Result<Observation, ObserveError> {
    let observer = Observer { options, source, target };
    let mut seen = Observation {
        heartbeat_at_ms: None,
        connect_state: String::new(),
        members: Vec::new(),
        partitions: Vec::new(),
        positions: Vec::new(),
        notes: Vec::new(),
    };
    observer.liveness(&mut seen).await;
    let mirrors = observer.mirrors().await?;
    if mirrors.is_empty() {
        let (from, to) = observer.aliases();
        seen.notes.push(format!(
            "nothing that the flow asks for in {from} has a mirror in {to}: MirrorMaker 2 has not \
             run, or names its mirrors by another policy than this file says"
        ));
    }
    let known = observer.known(&mirrors, &mut seen.notes).await;
    seen.partitions = observer.partitions(&mirrors, &known).await;
    seen.positions = observer.positions(&mirrors, &known, &mut seen.notes).await?;
    Ok(seen)
}

struct Observer<'a> {
    options: &'a ObserveOptions,
    source: &'a Cluster,
    target: &'a Cluster,
}

/// Source partition to mirror partition.
type Mirrors = BTreeMap<TopicPartition, TopicPartition>;

/// What MirrorMaker 2 has written down, and how long the logs are.
struct Known {
    syncs: HashMap<TopicPartition, Syncs>,
    checkpoints: HashMap<(String, TopicPartition), Checkpoint>,
    stored: BTreeMap<TopicPartition, i64>,
    source_extents: BTreeMap<TopicPartition, Result<Extent, String>>,
    mirror_extents: BTreeMap<TopicPartition, Result<Extent, String>>,
}

impl<'a> Observer<'a> {
    fn aliases(&self) -> (&'a str, &'a str) {
        let naming = &self.options.pair.naming;
        (&naming.source_alias, &naming.target_alias)
    }

    /// Heartbeats, and the workers that write them.
    async fn liveness(&self, seen: &mut Observation) {
        let (from, to) = self.aliases();
        let topic = self.options.pair.heartbeats_topic();
        match internal::heartbeat(self.target, topic, (from, to)).await {
            Ok(at_ms) => seen.heartbeat_at_ms = at_ms,
            Err(error) => seen.notes.push(unreadable(to, topic, &error)),
        }
        let group = &self.options.connect_group;
        let described = self.target.describe_groups(std::slice::from_ref(group)).await;
        match described.map(|mut groups| groups.remove(group)) {
            Ok(Some(Ok(described))) => {
                seen.connect_state = described.state;
                let members = described.members.into_iter();
                seen.members = members.map(|one| (one.client_id, one.client_host)).collect();
            }
            Ok(Some(Err(error))) if error.code == ErrorCode::GROUP_ID_NOT_FOUND => {
                "Dead".clone_into(&mut seen.connect_state);
            }
            Ok(Some(Err(error))) => seen.notes.push(format!(
                "cluster {to}: group {group} of MirrorMaker 2's workers: {error}; DESCRIBE on the \
                 group is needed"
            )),
            Ok(None) => {}
            Err(error) => seen.notes.push(format!("cluster {to}: group {group}: {error}")),
        }
    }

    async fn mirrors(&self) -> Result<Mirrors, ObserveError> {
        let (from, to) = self.aliases();
        let at = |alias: &str| {
            let alias = alias.to_owned();
            move |source| ObserveError::Cluster { alias, source: Box::new(source) }
        };
        let source = self.source.metadata(&Asked::All).await.map_err(at(from))?;
        let target = self.target.metadata(&Asked::All).await.map_err(at(to))?;
        let mut mirrors = Mirrors::new();
        for (name, topic) in &source.topics {
            if self.options.topics.select(name)? != Selected::Yes {
                continue;
            }
            let remote = self.options.topics.naming.remote_topic(name);
            let Some(mirror) = target.topic(&remote) else { continue };
            for partition in topic.partitions.keys() {
                if mirror.partitions.contains_key(partition) {
                    let at_source = TopicPartition::new(name.as_str(), *partition);
                    mirrors.insert(at_source, TopicPartition::new(&*remote, *partition));
                }
            }
        }
        Ok(mirrors)
    }

    /// Reads what MirrorMaker 2 has written; what cannot be read is a note.
    async fn known(&self, mirrors: &Mirrors, notes: &mut Vec<String>) -> Known {
        let (from, to) = self.aliases();
        let pair = &self.options.pair;
        let syncs_topic = pair.offset_syncs_topic();
        let (syncs_in, alias) = match pair.location {
            OffsetSyncsLocation::Source => (self.source, from),
            OffsetSyncsLocation::Target => (self.target, to),
        };
        let syncs = internal::offset_syncs(syncs_in, &syncs_topic).await;
        let checkpoints_topic = pair.checkpoints_topic();
        let checkpoints = internal::checkpoints(self.target, &checkpoints_topic).await;
        let stored_topic = &self.options.source_offsets_topic;
        let stored = internal::source_offsets(self.target, stored_topic, from).await;
        let sources: Vec<TopicPartition> = mirrors.keys().cloned().collect();
        let targets: Vec<TopicPartition> = mirrors.values().cloned().collect();
        Known {
            syncs: noted(syncs, alias, &syncs_topic, notes),
            checkpoints: noted(checkpoints, to, &checkpoints_topic, notes),
            stored: noted(stored, to, stored_topic, notes),
            // The mirror first: what it has, the source had before.
            mirror_extents: logs::extents(self.target, &targets).await,
            source_extents: logs::extents(self.source, &sources).await,
        }
    }

    async fn partitions(&self, mirrors: &Mirrors, known: &Known) -> Vec<MirroredPartition> {
        let looks = mirrors.iter().map(|(source, mirror)| self.partition(source, mirror, known));
        stream::iter(looks).buffered(OBSERVED_AT_ONCE_MAX).collect().await
    }

    async fn partition(
        &self,
        source: &TopicPartition,
        mirror: &TopicPartition,
        known: &Known,
    ) -> MirroredPartition {
        let end = |extents: &BTreeMap<_, Result<Extent, String>>, place| {
            let extent = extents.get(place).and_then(|extent| extent.as_ref().ok());
            extent.map(|extent: &Extent| extent.end)
        };
        let mut seen = MirroredPartition {
            source: source.clone(),
            mirror: mirror.clone(),
            source_end: end(&known.source_extents, source),
            mirror_end: end(&known.mirror_extents, mirror),
            newest_sync: known.syncs.get(source).and_then(|syncs| syncs.last()).copied(),
            stored_offset: known.stored.get(source).copied(),
            mirrored_to: None,
            problem: String::new(),
        };
        match self.both_logs(source, mirror, known) {
            Err(why) => seen.problem = why,
            Ok(logs) => match logs.mirrored_to().await {
                Ok(place) => seen.mirrored_to = place,
                Err(error) => seen.problem = error.to_string(),
            },
        }
        if seen.mirrored_to.is_none() && seen.problem.is_empty() {
            seen.problem = why_unknown(&seen);
        }
        seen
    }

    fn both_logs<'k>(
        &'k self,
        source: &TopicPartition,
        mirror: &TopicPartition,
        known: &'k Known,
    ) -> Result<BothLogs<'k>, String> {
        const NONE: &Syncs = &Syncs::new();
        let extent = |extents: &BTreeMap<_, Result<Extent, String>>, place: &TopicPartition| {
            let unknown = || Err("it was not answered for".to_owned());
            extents
                .get(place)
                .cloned()
                .unwrap_or_else(unknown)
                .map_err(|why| format!("{place}: {why}"))
        };
        Ok(BothLogs {
            source: self.source,
            target: self.target,
            partition: source.clone(),
            mirror: mirror.clone(),
            source_extent: extent(&known.source_extents, source)?,
            mirror_extent: extent(&known.mirror_extents, mirror)?,
            syncs: known.syncs.get(source).unwrap_or(NONE),
        })
    }

    /// Everything that the groups have committed on what is mirrored.
    async fn positions(
        &self,
        mirrors: &Mirrors,
        known: &Known,
        notes: &mut Vec<String>,
    ) -> Result<Vec<GroupPlace>, ObserveError> {
        let mut found = Vec::new();
        for group in self.groups(notes).await? {
            let (from, to) = self.aliases();
            let committed = match self.source.group_offsets(&group).await {
                Ok(committed) => committed,
                Err(error) => {
                    notes.push(format!("cluster {from}: group {group}: {error}"));
                    continue;
                }
            };
            let at_target = self.target.group_offsets(&group).await.unwrap_or_else(|error| {
                notes.push(format!("cluster {to}: group {group}: {error}"));
                BTreeMap::new()
            });
            let looks = committed.into_iter().filter_map(|(place, committed)| {
                let mirror = mirrors.get(&place)?;
                let at_target = at_target.get(mirror).map(|committed| committed.offset);
                Some(self.position(&group, (place, mirror), (committed.offset, at_target), known))
            });
            let looks: Vec<_> = looks.collect();
            let places: Vec<GroupPlace> =
                stream::iter(looks).buffered(OBSERVED_AT_ONCE_MAX).collect().await;
            found.extend(places);
        }
        Ok(found)
    }

    /// The consumer groups of the source that MirrorMaker 2 translates.
    async fn groups(&self, notes: &mut Vec<String>) -> Result<Vec<String>, ObserveError> {
        if let Some(group) = &self.options.only_group {
            return Ok(vec![group.clone()]);
        }
        let (from, _) = self.aliases();
        let listed = match self.source.list_groups().await {
            Ok(listed) => listed,
            Err(error) => {
                notes.push(format!("cluster {from}: groups cannot be listed: {error}"));
                return Ok(Vec::new());
            }
        };
        let mut groups = Vec::new();
        for group in listed {
            let is_of_consumers = matches!(group.protocol_type.as_str(), "consumer" | "")
                && matches!(group.group_type.as_deref(), None | Some("classic" | "consumer"));
            if is_of_consumers && self.is_asked_for(&group.group_id)? {
                groups.push(group.group_id);
            }
        }
        groups.sort();
        Ok(groups)
    }

    fn is_asked_for(&self, group: &str) -> Result<bool, PatternMatchError> {
        let matches = |pattern: &Option<JavaPattern>| {
            pattern.as_ref().map_or(Ok(false), |pattern| pattern.matches(group))
        };
        Ok(matches(&self.options.groups)? && !matches(&self.options.groups_exclude)?)
    }

    async fn position(
        &self,
        group: &str,
        (source, mirror): (TopicPartition, &TopicPartition),
        (committed_offset, at_target): (i64, Option<i64>),
        known: &Known,
    ) -> GroupPlace {
        let checkpoint = known.checkpoints.get(&(group.to_owned(), mirror.clone()));
        let mut seen = GroupPlace {
            group: group.to_owned(),
            mirror: mirror.clone(),
            committed_offset,
            exact: None,
            checkpoint: checkpoint.map(|one| (one.upstream_offset, one.downstream_offset)),
            after_restart: after_restart(known.syncs.get(&source), committed_offset),
            at_target,
            mirror_start: 0,
            problem: String::new(),
            source,
        };
        match self.both_logs(&seen.source, mirror, known) {
            Err(why) => seen.problem = why,
            Ok(logs) => {
                seen.mirror_start = logs.mirror_extent.start;
                match logs.to_target(committed_offset).await {
                    Ok(place) => seen.exact = Some(place),
                    Err(error) => seen.problem = error.to_string(),
                }
            }
        }
        seen
    }
}

/// What is left of a reading, with what has to be said about it.
fn noted<T: Default>(
    reading: Result<Found<T>, InternalError>,
    alias: &str,
    topic: &str,
    notes: &mut Vec<String>,
) -> T {
    let found = match reading {
        Ok(found) => found,
        Err(error) => {
            notes.push(unreadable(alias, topic, &error));
            return T::default();
        }
    };
    if !found.exists {
        notes.push(format!("cluster {alias} has no topic {topic}"));
    }
    if found.passed_over > 0 {
        let (older, read) = (found.passed_over, OBSERVED_INTERNAL_RECORDS_MAX);
        notes.push(format!(
            "cluster {alias}: {older} older records of {topic} were passed over: the newest {read} \
             of a partition are read"
        ));
    }
    if found.unreadable > 0 {
        let count = found.unreadable;
        notes.push(format!("cluster {alias}: {count} records of {topic} are not MirrorMaker 2's"));
    }
    found.found
}

fn unreadable(alias: &str, topic: &str, error: &InternalError) -> String {
    format!("cluster {alias}: topic {topic} cannot be read: {error}")
}

/// What a MirrorMaker 2 would translate a position to that reads these syncs anew.
fn after_restart(syncs: Option<&Syncs>, position: i64) -> Option<i64> {
    use super::offset_sync_store::Translation;
    let (first, rest) = syncs?.split_first()?;
    let mut store = OffsetSyncStore::new(first.0, first.1);
    rest.iter().for_each(|sync| store.add(sync.0, sync.1));
    match store.translate(position) {
        Translation::To(offset) => Some(offset),
        Translation::TooOld => None,
    }
}

/// In words.
fn why_unknown(seen: &MirroredPartition) -> String {
    match (seen.newest_sync, seen.mirror_end) {
        (None, _) => "MirrorMaker 2 has written no offset sync for it".to_owned(),
        (Some((_, downstream)), Some(end)) if downstream >= end => format!(
            "the mirror ends at offset {end}, before the newest offset sync ({downstream}): it \
             lost records, or was created again"
        ),
        _ => "the records around the newest offset sync are gone, or differ from the source's"
            .to_owned(),
    }
}
