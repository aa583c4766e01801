//! The lanes of a link: a few connections to each source broker, made when first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use farlog_client::{BufferPool, Cluster, ConnectionOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::lane::{
    Fetched, LaneHandle, LaneLimits, SourcePartition, Subscription, fetched_channel, lane,
};
use crate::limits::LANES_PER_BROKER;
use crate::options::LinkOptions;
use crate::topology::Leader;

/// The lanes to all brokers of one source cluster. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct SourceLanes {
    limits: LaneLimits,
    buffers: BufferPool,
    open: tokio::sync::Mutex<HashMap<(i32, usize), LaneHandle>>,
    tasks: Mutex<JoinSet<()>>,
}

/// The answers for one partition.
#[derive(Debug)]
pub(crate) struct SourceStream {
    fetched: mpsc::Receiver<Fetched>,
    room: Arc<Notify>,
}

impl SourceLanes {
    pub(crate) fn new(options: &LinkOptions) -> Self {
        Self::within(LaneLimits::new(options), options.memory_bytes)
    }

    /// Lanes that fetch what transactions have not decided, too.
    pub(crate) fn uncommitted(options: &LinkOptions) -> Self {
        Self::within(LaneLimits::new(options).uncommitted(), options.memory_bytes)
    }

    fn within(limits: LaneLimits, buffer_bytes: usize) -> Self {
        Self {
            limits,
            buffers: BufferPool::new(buffer_bytes),
            open: tokio::sync::Mutex::new(HashMap::new()),
            tasks: Mutex::new(JoinSet::new()),
        }
    }

    /// Begins to fetch a partition from the broker that leads it.
    pub(crate) async fn subscribe(
        &self,
        cluster: &Cluster,
        source: &SourcePartition,
        leader: Leader,
        offset: i64,
        last_epoch: i32,
    ) -> Result<SourceStream, farlog_client::RequestError> {
        let (sender, fetched) = fetched_channel();
        let handle = self.lane(cluster, leader.broker, lane_of(source)).await?;
        let room = handle.room();
        // If the lane has ended meanwhile, the channel closes, which is how any subscription ends.
        handle.subscribe(Subscription {
            source: source.clone(),
            offset,
            last_epoch,
            leader_epoch: leader.epoch,
            fetched: sender,
        });
        Ok(SourceStream { fetched, room })
    }

    async fn lane(
        &self,
        cluster: &Cluster,
        broker: i32,
        number: usize,
    ) -> Result<LaneHandle, farlog_client::RequestError> {
        let mut open = self.open.lock().await;
        open.retain(|_, handle| !handle.is_closed());
        if let Some(handle) = open.get(&(broker, number)) {
            return Ok(handle.clone());
        }
        let options =
            ConnectionOptions { buffer_pool: self.buffers.clone(), ..cluster.connection_options() };
        let connection = cluster.dial(broker, &options).await?;
        let (handle, run) = lane(connection, self.limits.clone());
        let mut tasks = self.tasks.lock().expect("no holder of this lock panics");
        while tasks.try_join_next().is_some() {}
        tasks.spawn(run);
        open.insert((broker, number), handle.clone());
        Ok(handle)
    }
}

impl SourceStream {
    /// The next answer; `None` when the lane has ended without a word.
    pub(crate) async fn next(&mut self) -> Option<Fetched> {
        let fetched = self.fetched.recv().await;
        self.room.notify_one();
        fetched
    }
}

impl Drop for SourceStream {
    fn drop(&mut self) {
        // A lane that waits for room drops the subscription.
        self.fetched.close();
        self.room.notify_one();
    }
}

/// Spreads the partitions of one topic evenly over the lanes.
fn lane_of(source: &SourcePartition) -> usize {
    let topic: usize = source.topic_id.0.iter().map(|&byte| usize::from(byte)).sum();
    (topic + source.partition as usize) % LANES_PER_BROKER
}
