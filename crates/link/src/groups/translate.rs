//! Where a group stands, and where it would go on at the other end of a link.
//!
//! Looking only: nothing is written. What a group has committed at one end is translated by the
//! offset maps of the link's mirrors, which are made from the state topic.

use std::collections::{BTreeMap, HashMap};

use farlog_client::admin::{IsolationLevel, OffsetSpec};
use farlog_client::{Cluster, RequestError, TopicPartition, TopicSelection as Asked};

use crate::observe::{PlanError, plan_link};
use crate::offsets::{MapError, OffsetMap, Translated, offset_map};
use crate::options::LinkOptions;
use crate::plan::MirrorTopic;
use crate::session::STATE_TOPIC;
use crate::state::{Journal, MirrorId, StatePlace, StateReadError};
use crate::topology::Leaders;

/// Which way a group's positions are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Committed at the link's source, to resume at its target.
    ToTarget,
    /// Committed at the link's target, on mirrors, to resume at its source.
    ToSource,
}

/// One partition that a group has committed.
#[derive(Clone, Debug)]
pub struct GroupPosition {
    /// Where it was committed.
    pub partition: TopicPartition,
    /// What was committed.
    pub committed_offset: i64,
    /// High watermark there, if its leader said.
    pub log_end: Option<i64>,
    /// The partition at the other end, and where to resume; or why that is not known.
    pub other_end: Result<OtherEnd, NotTranslated>,
}

/// A position at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherEnd {
    /// The partition there.
    pub partition: TopicPartition,
    /// Where to resume.
    pub resume: Translated,
    /// High watermark there.
    pub log_end: i64,
    /// Source offset and offset of the mirror behind the last mirrored record.
    pub mirrored: (i64, i64),
    /// Stretches without a gap that the map of the partition consists of.
    pub runs: usize,
}

/// Why a position cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTranslated {
    /// The link does not mirror the topic, or not yet.
    #[error("the link has no mirror of it")]
    NoMirror,
    /// What the link remembers is not enough.
    #[error("{0}")]
    NoMap(#[from] MapError),
    /// The mirror's leader did not say where it ends.
    #[error("where the mirror ends is not known: {0}")]
    NoLogEnd(String),
}

/// Why a group cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum TranslateError {
    /// The topics of both ends could not be read.
    #[error(transparent)]
    Topics(#[from] PlanError),
    /// One end did not answer, or refused.
    #[error("cluster {alias}: {source}")]
    Cluster {
        /// Its alias.
        alias: String,
        /// What went wrong.
        #[source]
        source: Box<RequestError>,
    },
    /// The link has never run.
    #[error("cluster {alias} has no topic {STATE_TOPIC}: link {link} has never mirrored to it")]
    NoState {
        /// Alias of the link's target.
        alias: String,
        /// The link.
        link: String,
    },
    /// What the link remembers could not be read.
    #[error("cluster {alias}: {why}")]
    State {
        /// Alias of the link's target.
        alias: String,
        /// What went wrong.
        why: String,
    },
}

/// What `group` has committed at one end of a link, and where it would resume at the other.
///
/// # Errors
/// When one of the ends cannot be asked, or the link has never run.
pub async fn translate_group(
    options: &LinkOptions,
    source: &Cluster,
    target: &Cluster,
    group: &str,
    direction: Direction,
) -> Result<Vec<GroupPosition>, TranslateError> {
    let ((home, home_alias), (away, away_alias)) = match direction {
        Direction::ToTarget => ((source, &options.source_alias), (target, &options.target_alias)),
        Direction::ToSource => ((target, &options.target_alias), (source, &options.source_alias)),
    };
    let at = |alias: &str| {
        let alias = alias.to_owned();
        move |source| TranslateError::Cluster { alias, source: Box::new(source) }
    };
    let committed = home.group_offsets(group).await.map_err(at(home_alias))?;
    let mirrors = Mirrors::new(plan_link(options, source, target).await?.mirrors, direction);
    let journal = read_state(options, target).await?;
    let home_ends = log_ends(home, committed.keys().cloned().collect()).await;
    let wanted: Vec<TopicPartition> =
        committed.keys().filter_map(|name| mirrors.away(name)).collect();
    let away_ends = log_ends(away, wanted).await;
    tracing::debug!(group, away = away_alias, partitions = committed.len(), "translating");
    let mut positions = Vec::with_capacity(committed.len());
    for (partition, committed) in committed {
        let ends = Ends { home: &home_ends, away: &away_ends };
        let other_end = match mirrors.find(&partition) {
            Some(mirror) => mirrors.translate(
                &journal.facts(&mirror_id(options, mirror, partition.partition)),
                (&partition, committed.offset),
                &ends,
            ),
            None => Err(NotTranslated::NoMirror),
        };
        positions.push(GroupPosition {
            log_end: home_ends.get(&partition).and_then(|end| end.as_ref().ok()).copied(),
            committed_offset: committed.offset,
            partition,
            other_end,
        });
    }
    Ok(positions)
}

fn mirror_id(options: &LinkOptions, mirror: &MirrorTopic, partition: i32) -> MirrorId {
    MirrorId {
        link: options.name.clone(),
        source_topic_id: mirror.source_topic_id,
        target_topic_id: mirror.target_topic_id,
        partition,
    }
}

type LogEnds = HashMap<TopicPartition, Result<i64, String>>;

struct Ends<'a> {
    home: &'a LogEnds,
    away: &'a LogEnds,
}

/// The mirrors of a link, by the name of the topic that groups commit.
struct Mirrors {
    direction: Direction,
    by_home: BTreeMap<String, MirrorTopic>,
}

impl Mirrors {
    fn new(mirrors: Vec<MirrorTopic>, direction: Direction) -> Self {
        let name = |mirror: &MirrorTopic| match direction {
            Direction::ToTarget => mirror.source_topic.clone(),
            Direction::ToSource => mirror.target_topic.clone(),
        };
        let by_home = mirrors.into_iter().map(|mirror| (name(&mirror), mirror)).collect();
        Self { direction, by_home }
    }

    fn find(&self, home: &TopicPartition) -> Option<&MirrorTopic> {
        let mirror = self.by_home.get(&*home.topic)?;
        (home.partition < mirror.partitions).then_some(mirror)
    }

    /// The partition at the other end.
    fn away(&self, home: &TopicPartition) -> Option<TopicPartition> {
        let mirror = self.find(home)?;
        let topic = match self.direction {
            Direction::ToTarget => &mirror.target_topic,
            Direction::ToSource => &mirror.source_topic,
        };
        Some(TopicPartition::new(topic.as_str(), home.partition))
    }

    fn translate(
        &self,
        facts: &crate::state::MirrorFacts,
        (home, offset): (&TopicPartition, i64),
        ends: &Ends<'_>,
    ) -> Result<OtherEnd, NotTranslated> {
        let away = self.away(home).ok_or(NotTranslated::NoMirror)?;
        let end_of = |ends: &LogEnds, name: &TopicPartition| {
            let unknown = || Err("it was not answered for".to_owned());
            ends.get(name).cloned().unwrap_or_else(unknown).map_err(NotTranslated::NoLogEnd)
        };
        let (home_end, away_end) = (end_of(ends.home, home), end_of(ends.away, &away)?);
        let mirror_end = match self.direction {
            Direction::ToTarget => away_end,
            Direction::ToSource => home_end?,
        };
        let map: OffsetMap = offset_map(facts, mirror_end)?;
        let resume = match self.direction {
            Direction::ToTarget => map.to_target(offset),
            Direction::ToSource => map.to_source(offset),
        };
        Ok(OtherEnd {
            partition: away,
            resume,
            log_end: away_end,
            mirrored: map.end(),
            runs: map.runs().count(),
        })
    }
}

/// High watermarks; what is not answered says why.
async fn log_ends(cluster: &Cluster, partitions: Vec<TopicPartition>) -> LogEnds {
    let asked = partitions.into_iter().map(|name| (name, OffsetSpec::Latest));
    let answers = cluster.list_offsets(IsolationLevel::ReadUncommitted, asked).await;
    answers
        .into_iter()
        .map(|(name, answer)| {
            let end = answer.map_err(|error| error.to_string());
            let end = end.and_then(|listed| listed.offset.ok_or_else(|| "no offset".to_owned()));
            (name, end)
        })
        .collect()
}

/// Everything that the link remembers.
async fn read_state(options: &LinkOptions, target: &Cluster) -> Result<Journal, TranslateError> {
    let alias = &options.target_alias;
    let at_target =
        |source| TranslateError::Cluster { alias: alias.clone(), source: Box::new(source) };
    let metadata = target.metadata(&Asked::one(STATE_TOPIC)).await.map_err(at_target)?;
    let Some(topic) = metadata.topic(STATE_TOPIC) else {
        let (alias, link) = (alias.clone(), options.name.clone());
        return Err(TranslateError::NoState { alias, link });
    };
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let topic_id = topic.topic_id.unwrap_or_default();
    let place = StatePlace::of(&options.name, STATE_TOPIC.to_owned(), topic_id, partitions);
    let read = place.read(target, &Leaders::default(), &options.name, usize::MAX).await;
    read.map_err(|error: StateReadError| TranslateError::State {
        alias: alias.clone(),
        why: error.to_string(),
    })
}
