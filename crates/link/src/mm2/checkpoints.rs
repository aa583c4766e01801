//! Checkpoints of a running link: what groups have committed at the source, translated by the live
//! offset maps, for `RemoteClusterUtils` to find at the target.

use std::sync::Arc;
use std::time::Duration;

use farlog_client::RequestError;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::emission::{MirrorMakerTopics, Talk};
use super::{Checkpoint, CheckpointError, CheckpointWriter};
use crate::partition::LinkContext;
use crate::plan::MirrorTopic;
use crate::state::MirrorId;

/// Writes checkpoints, again and again.
pub(super) struct Checkpoints {
    context: Arc<LinkContext>,
    topics: MirrorMakerTopics,
    mirrored: watch::Receiver<Vec<MirrorTopic>>,
    writer: CheckpointWriter,
    talk: Talk,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cluster {alias}: {source}")]
    Source { alias: String, source: RequestError },
    #[error(transparent)]
    Write(#[from] CheckpointError),
}

impl Checkpoints {
    pub(super) fn new(
        context: &Arc<LinkContext>,
        topics: &MirrorMakerTopics,
        mirrored: watch::Receiver<Vec<MirrorTopic>>,
    ) -> Self {
        let name = topics.pair.checkpoints_topic();
        let factor = topics.checkpoints_replication_factor;
        let alias = &topics.pair.naming.target_alias;
        Self {
            writer: CheckpointWriter::new(context.target.clone(), &name, factor),
            talk: Talk::new(&context.options.name, format!("topic {name} of cluster {alias}")),
            context: Arc::clone(context),
            topics: topics.clone(),
            mirrored,
        }
    }

    pub(super) async fn run(mut self, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let written = self.write().await;
            self.talk.tell(&written);
        }
    }

    async fn write(&mut self) -> Result<(), Trouble> {
        let mut found = Vec::new();
        for group in self.groups().await? {
            match self.of_group(&group).await {
                Ok(checkpoints) => found.extend(checkpoints),
                // The others are not to wait for it.
                Err(error) => tracing::debug!(group, %error, "no checkpoints are written"),
            }
        }
        self.writer.write(&found, self.context.clock.now_ms()).await?;
        Ok(())
    }

    /// The consumer groups of the source that were asked for.
    async fn groups(&self) -> Result<Vec<String>, Trouble> {
        let listed = self.context.source.list_groups().await.map_err(|source| Trouble::Source {
            alias: self.topics.pair.naming.source_alias.clone(),
            source,
        })?;
        let listed = listed.into_iter().filter(|group| {
            let is_of_consumers = matches!(group.protocol_type.as_str(), "consumer" | "")
                && matches!(group.group_type.as_deref(), None | Some("classic" | "consumer"));
            // A pattern that gives up on a name does not ask for it.
            is_of_consumers && self.topics.selects_group(&group.group_id).unwrap_or(false)
        });
        Ok(listed.map(|group| group.group_id).collect())
    }

    async fn of_group(&self, group: &str) -> Result<Vec<Checkpoint>, RequestError> {
        let committed = self.context.source.group_offsets(group).await?;
        let mirrors = self.mirrored.borrow();
        let checkpoints = committed.into_iter().filter_map(|(place, committed)| {
            let topic = mirrors.iter().find(|topic| topic.source_topic == *place.topic)?;
            let mirror = MirrorId {
                link: self.context.options.name.clone(),
                source_topic_id: topic.source_topic_id,
                target_topic_id: topic.target_topic_id,
                partition: place.partition,
            };
            // Never behind what the group has not read; where that is not certain, before it.
            let resume = self.context.maps.to_target(&mirror, committed.offset)?.resume;
            Some(Checkpoint {
                group: group.to_owned(),
                topic: topic.target_topic.clone(),
                partition: place.partition,
                upstream_offset: committed.offset,
                downstream_offset: resume.offset,
                metadata: committed.metadata,
            })
        });
        Ok(checkpoints.collect())
    }
}
