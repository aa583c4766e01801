//! What the partitions of a link share, and what each is about.

use std::fmt;
use std::time::Duration;

use farlog_client::Cluster;
use farlog_wire::records::{BufferPool, Holes};
use tokio::time::Instant;

use super::stop::{Doubt, Interruption, Stop};

use crate::clock::Clock;
use crate::identity::ClusterCode;
use crate::limits;
use crate::offsets::LiveMaps;
use crate::options::LinkOptions;
use crate::ownership::Lease;
use crate::pipeline::Freshness;
use crate::source::{SourceLanes, SourcePartition};
use crate::state::{Claim, MirrorFacts, MirrorId, StatePlace, StateStore};
use crate::status::PartitionState;
use crate::target::lanes::TargetLanes;
use crate::target::tail::Led;
use crate::topology::{LeaderError, Leaders};

/// Shared by all partitions while this instance owns the link.
#[derive(Debug)]
pub(crate) struct LinkContext {
    pub(crate) options: LinkOptions,
    pub(crate) clock: Clock,
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) source_leaders: Leaders,
    pub(crate) target_leaders: Leaders,
    pub(crate) source_lanes: SourceLanes,
    pub(crate) target_lanes: TargetLanes,
    pub(crate) state: StateStore,
    pub(crate) state_place: StatePlace,
    pub(crate) maps: LiveMaps,
    /// When the last reading of the state topic began.
    pub(crate) state_read_at: tokio::sync::Mutex<Instant>,
    /// Buffers of merged batches, shared by all partitions.
    pub(crate) merge_buffers: BufferPool,
    pub(crate) producer_id: i64,
    /// How the target takes offsets without records, where offsets are preserved.
    pub(crate) holes: Holes,
    /// Held by the one partition that is being filled up to its first offset.
    pub(crate) priming: tokio::sync::Mutex<()>,
    pub(crate) target_code: ClusterCode,
    pub(crate) freshness: Freshness,
    pub(crate) claim: Claim,
    pub(crate) lease: Lease,
}

impl LinkContext {
    /// Everything that was ever written down of a mirror partition.
    pub(crate) async fn whole_facts(&self, mirror: &MirrorId) -> Result<MirrorFacts, Interruption> {
        let facts = self.state.facts(mirror);
        if facts.entries_from == 0 {
            return Ok(facts);
        }
        match self.maps.recall(mirror) {
            Some(mut read) => {
                read.extend(facts);
                Ok(read)
            }
            None => self.read_facts(mirror).await,
        }
    }

    /// The same, from the topic.
    pub(crate) async fn read_facts(&self, mirror: &MirrorId) -> Result<MirrorFacts, Interruption> {
        let place = &self.state_place;
        let whole = place.read(&self.target, &self.target_leaders, &mirror.link, usize::MAX).await;
        whole
            .map(|journal| journal.facts(mirror))
            .map_err(|error| Doubt::target(error.to_string()).into())
    }

    /// Reads the state topic again, for what others wrote to it. Many partitions that ask at once
    /// share two readings.
    pub(crate) async fn read_state_again(&self) -> Result<(), Interruption> {
        let asked_at = Instant::now();
        let mut last_begun_at = self.state_read_at.lock().await;
        if *last_begun_at > asked_at {
            return Ok(());
        }
        let begun_at = Instant::now();
        let (place, link) = (&self.state_place, &self.options.name);
        let read = place.read(&self.target, &self.target_leaders, link, usize::MAX).await;
        let read = read.map_err(|error| Doubt::target(error.to_string()))?;
        self.state.learn(&read);
        self.maps.remember(read);
        *last_begun_at = begun_at;
        Ok(())
    }

    /// How long the target may wait for its replicas before it gives up on a batch.
    pub(crate) fn produce_timeout(&self) -> Duration {
        limits::PRODUCE_TIMEOUT
    }
}

/// One partition to mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MirrorPartition {
    pub(crate) id: MirrorId,
    pub(crate) source: SourcePartition,
    pub(crate) target_topic: String,
    /// `retention.ms` of the source topic, where it limits.
    pub(crate) source_retention_ms: Option<i64>,
}

impl fmt::Display for MirrorPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.target_topic, self.source.partition)
    }
}

impl MirrorPartition {
    /// The mirror on the broker that leads it.
    pub(crate) fn led_by<'a>(&'a self, context: &'a LinkContext, leader: i32) -> Led<'a> {
        Led {
            cluster: &context.target,
            leader,
            topic: &self.target_topic,
            topic_id: self.id.target_topic_id,
            partition: self.source.partition,
        }
    }

    /// The source partition on the broker that leads it.
    pub(crate) async fn source_led<'a>(
        &'a self,
        context: &'a LinkContext,
    ) -> Result<Led<'a>, Interruption> {
        let leader = self.source_leader(context).await?;
        Ok(Led {
            cluster: &context.source,
            leader: leader.broker,
            topic: &self.source.topic,
            topic_id: self.source.topic_id,
            partition: self.source.partition,
        })
    }

    /// Who leads the source partition; a deleted or re-created topic holds the mirror.
    pub(crate) async fn source_leader(
        &self,
        context: &LinkContext,
    ) -> Result<crate::topology::Leader, Interruption> {
        let source = &self.source;
        let found = context
            .source_leaders
            .leader(&context.source, &source.topic, source.topic_id, source.partition)
            .await;
        found.map_err(|error| match error {
            LeaderError::NoSuchTopic => Stop::new(
                PartitionState::HeldSourceDeleted,
                format!(
                    "topic {} no longer exists at the source; its mirror {} is kept, deletions \
                     are never mirrored",
                    source.topic, self.target_topic,
                ),
            )
            .into(),
            LeaderError::OtherTopic { topic_id } => Stop::new(
                PartitionState::HeldSourceRecreated,
                format!(
                    "topic {} was deleted at the source and created again (topic id {topic_id}, \
                     was {}); its mirror {} is kept as it was; to mirror the new topic, delete or \
                     rename the mirror topic",
                    source.topic, source.topic_id, self.target_topic,
                ),
            )
            .into(),
            LeaderError::Denied => Stop::new(
                PartitionState::StoppedDenied,
                format!(
                    "the link's principal needs READ and DESCRIBE on source topic {}",
                    source.topic
                ),
            )
            .into(),
            LeaderError::None(why) => Doubt::source(why).into(),
        })
    }

    /// Whether the source topic is still the one that is mirrored. That its leader cannot be
    /// found now is no reason not to look at the mirror.
    pub(crate) async fn source_exists(&self, context: &LinkContext) -> Result<(), Interruption> {
        match self.source_leader(context).await {
            Ok(_) | Err(Interruption::Doubt(_)) => Ok(()),
            Err(interruption) => Err(interruption),
        }
    }

    /// Who leads the mirror partition.
    pub(crate) async fn target_leader(&self, context: &LinkContext) -> Result<i32, Interruption> {
        let found = context
            .target_leaders
            .leader(
                &context.target,
                &self.target_topic,
                self.id.target_topic_id,
                self.source.partition,
            )
            .await;
        match found {
            Ok(leader) => Ok(leader.broker),
            Err(LeaderError::Denied) => Err(Stop::new(
                PartitionState::StoppedDenied,
                format!(
                    "the link's principal needs DESCRIBE and WRITE on target topic {}",
                    self.target_topic
                ),
            )
            .into()),
            Err(LeaderError::NoSuchTopic | LeaderError::OtherTopic { .. }) => {
                // The next look at the topics creates it, or finds the new one, and starts anew.
                Err(Doubt::target(format!("mirror topic {} was deleted", self.target_topic)).into())
            }
            Err(LeaderError::None(why)) => Err(Doubt::target(why).into()),
        }
    }
}
