//! Groups that follow the load at different distances, and commit how far they are.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use farlog_client::admin::CommittedOffset;
use farlog_client::{Cluster, TopicPartition};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::LAGS;
use super::load::AcknowledgedRecords;
use crate::dataset::PARTITIONS;
use crate::error::BenchError;

/// How often a group commits.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// Offsets of all partitions; records are numbered as the source numbers offsets.
type Positions = [u64; PARTITIONS as usize];

/// One commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit {
    pub(super) positions: Positions,
    /// `None` if the source did not live to do so.
    pub(super) acknowledged_at: Option<Instant>,
}

/// The groups, one for each lag.
#[derive(Debug)]
pub(super) struct Groups {
    members: Vec<Group>,
}

/// The groups at work.
#[derive(Debug)]
pub(super) struct Committing {
    tasks: Vec<JoinHandle<Vec<Commit>>>,
}

#[derive(Clone, Debug)]
struct Group {
    cluster: Cluster,
    topic: String,
    lag: u64,
    acknowledged: AcknowledgedRecords,
}

/// Its id.
pub(super) fn name(lag: u64) -> String {
    format!("behind-{lag}")
}

impl Groups {
    pub(super) fn new(cluster: &Cluster, topic: &str, acknowledged: AcknowledgedRecords) -> Groups {
        let group = |lag| Group {
            cluster: cluster.clone(),
            topic: topic.to_owned(),
            lag,
            acknowledged: AcknowledgedRecords::clone(&acknowledged),
        };
        Groups { members: LAGS.map(group).to_vec() }
    }

    /// Each commits where it is.
    pub(super) async fn commit_once(&self) -> Result<(), BenchError> {
        for group in &self.members {
            group.commit(group.positions()).await?;
        }
        Ok(())
    }

    /// Each commits again and again, until the source no longer answers.
    pub(super) fn start(self) -> Committing {
        let tasks = self.members.into_iter().map(|group| tokio::spawn(group.keep()));
        Committing { tasks: tasks.collect() }
    }
}

impl Committing {
    /// What they committed, in the order of [`LAGS`].
    pub(super) async fn end(self) -> Result<Vec<Vec<Commit>>, BenchError> {
        let mut histories = Vec::new();
        for task in self.tasks {
            let joined = task.await;
            histories.push(joined.map_err(BenchError::while_doing("a task of the bench failed"))?);
        }
        Ok(histories)
    }
}

impl Group {
    /// As a consumer that has read all but the last records.
    fn positions(&self) -> Positions {
        let behind = self.lag / PARTITIONS as u64;
        let mut positions = Positions::default();
        for (position, records) in positions.iter_mut().zip(self.acknowledged.iter()) {
            *position = records.load(Ordering::Acquire).saturating_sub(behind);
        }
        positions
    }

    async fn keep(self) -> Vec<Commit> {
        let mut history = Vec::new();
        let mut ticks = interval(COMMIT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let positions = self.positions();
            let committed = self.commit(positions).await;
            let acknowledged_at = committed.is_ok().then(Instant::now);
            history.push(Commit { positions, acknowledged_at });
            if acknowledged_at.is_none() {
                return history;
            }
        }
    }

    async fn commit(&self, positions: Positions) -> Result<(), BenchError> {
        const DOING: &str = "cannot commit offsets of a group";
        let mut offsets = BTreeMap::new();
        for (partition, position) in (0..PARTITIONS).zip(positions) {
            let offset = i64::try_from(position).unwrap_or(i64::MAX);
            let committed = CommittedOffset { offset, leader_epoch: None, metadata: String::new() };
            offsets.insert(TopicPartition::new(self.topic.as_str(), partition), committed);
        }
        let results = self.cluster.commit_group_offsets(&name(self.lag), &offsets).await;
        for result in results.map_err(BenchError::while_doing(DOING))?.into_values() {
            result.map_err(BenchError::while_doing(DOING))?;
        }
        Ok(())
    }
}
