//! The tasks of a session's mirror partitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use farlog_wire::primitives::Uuid;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::link::Shared;
use crate::partition::{self, LinkContext, MirrorPartition, StatusCell};
use crate::plan::{MirrorTopic, ObservedTopic};
use crate::source::SourcePartition;
use crate::state::MirrorId;
use crate::status::{PartitionState, PartitionStatus};

/// A mirror partition by its place in the target.
type Place = (String, i32);

struct Running {
    mirror: MirrorPartition,
    task: AbortHandle,
}

pub(super) struct Roster {
    context: Arc<LinkContext>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    running: HashMap<Place, Running>,
    tasks: JoinSet<Place>,
}

impl Roster {
    pub(super) fn new(
        context: Arc<LinkContext>,
        shared: Arc<Shared>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { context, shared, stop, running: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Starts what is new, ends what was replaced.
    pub(super) fn update(
        &mut self,
        mirrors: &[MirrorTopic],
        source: &BTreeMap<String, ObservedTopic>,
        target: &BTreeMap<String, ObservedTopic>,
    ) {
        let held = self.held(source, target);
        let planned = mirrors.iter().flat_map(|mirror| self.partitions(mirror));
        let mut wanted: HashMap<Place, MirrorPartition> =
            planned.map(|mirror| (place(&mirror), mirror)).collect();
        // A mirror that holds another source topic's records is not written with this one's.
        wanted.extend(held.into_iter().map(|mirror| (place(&mirror), mirror)));
        self.context.maps.keep_only(wanted.values().map(|mirror| &mirror.id));
        for (place, mirror) in wanted {
            self.place(place, mirror);
        }
    }

    fn place(&mut self, place: Place, mirror: MirrorPartition) {
        if let Some(running) = self.running.get(&place) {
            if running.mirror.id.target_topic_id == mirror.id.target_topic_id {
                // Also if the source topic was re-created: the task that runs finds out and holds.
                return;
            }
            running.task.abort();
        }
        let cell = StatusCell::new(
            blank(&mirror, self.context.clock.now_ms()),
            mirror.source_retention_ms,
        );
        self.shared.set_cell(place.clone(), cell.clone());
        let (context, stop) = (Arc::clone(&self.context), self.stop.clone());
        let (task_place, task_mirror) = (place.clone(), mirror.clone());
        let task = self.tasks.spawn(async move {
            partition::run(&context, &task_mirror, &cell, stop).await;
            task_place
        });
        self.running.insert(place, Running { mirror, task });
    }

    fn partitions(&self, mirror: &MirrorTopic) -> impl Iterator<Item = MirrorPartition> + use<> {
        let mirror = mirror.clone();
        let link = self.context.options.name.clone();
        (0..mirror.partitions).map(move |partition| MirrorPartition {
            id: MirrorId {
                link: link.clone(),
                source_topic_id: mirror.source_topic_id,
                target_topic_id: mirror.target_topic_id,
                partition,
            },
            source: SourcePartition {
                topic: mirror.source_topic.clone(),
                topic_id: mirror.source_topic_id,
                partition,
            },
            target_topic: mirror.target_topic.clone(),
            source_retention_ms: mirror.source_retention_ms,
        })
    }

    /// Mirrors whose source topic is gone, or another one by now: they are kept, and said.
    fn held(
        &self,
        source: &BTreeMap<String, ObservedTopic>,
        target: &BTreeMap<String, ObservedTopic>,
    ) -> Vec<MirrorPartition> {
        let present: HashMap<Uuid, &str> =
            source.values().map(|topic| (topic.topic_id, topic.name.as_str())).collect();
        let mirrors: HashMap<Uuid, &str> =
            target.values().map(|topic| (topic.topic_id, topic.name.as_str())).collect();
        let naming = &self.context.options.topics.naming;
        let known = self.context.state.mirrors();
        let held = known.into_iter().filter(|id| !present.contains_key(&id.source_topic_id));
        held.filter_map(|id| {
            let target_topic = (*mirrors.get(&id.target_topic_id)?).to_owned();
            let source_topic = naming.upstream_topic(&target_topic).unwrap_or(&target_topic);
            Some(MirrorPartition {
                source: SourcePartition {
                    topic: source_topic.to_owned(),
                    topic_id: id.source_topic_id,
                    partition: id.partition,
                },
                target_topic: target_topic.clone(),
                source_retention_ms: None,
                id,
            })
        })
        .collect()
    }

    /// Waits for a task to end that should not have.
    pub(super) async fn reap(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(place)) => {
                tracing::debug!(topic = place.0, partition = place.1, "partition ended");
                self.running.remove(&place);
            }
            Some(Err(error)) if error.is_cancelled() => {}
            Some(Err(error)) => {
                tracing::error!(%error, "a partition's task failed; it is started again");
                self.running.retain(|_, running| !running.task.is_finished());
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until every task has ended.
    pub(super) async fn drained(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn place(mirror: &MirrorPartition) -> Place {
    (mirror.target_topic.clone(), mirror.source.partition)
}

fn blank(mirror: &MirrorPartition, now_ms: i64) -> PartitionStatus {
    PartitionStatus {
        source_topic: mirror.source.topic.clone(),
        target_topic: mirror.target_topic.clone(),
        partition: mirror.source.partition,
        state: PartitionState::Recovering,
        since_ms: now_ms,
        why: String::new(),
        source_offset: 0,
        target_offset: 0,
        source_end_offset: 0,
        source_start_offset: 0,
        source_seen_ms: 0,
        oldest_unmirrored_ms: None,
        records_total: 0,
        bytes_total: 0,
        batches_total: 0,
        records_lost_total: 0,
        records_aborted_total: 0,
        recoveries_total: 0,
        record_bytes_average: 0.0,
        retention_left_ms: None,
    }
}
