//! One connection to one source broker, fetching for the partitions that share it.
//!
//! A lane keeps one fetch under way. Each answer is handed to the partitions' workers as slices of
//! one frame, and the next fetch goes out at once from the offsets behind it. A partition whose
//! worker is behind is left out until it has room. When the connection fails, or the broker says
//! that it no longer leads a partition, the subscription ends with the reason and its worker
//! decides what to do; lanes know nothing of leaders.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use farlog_client::admin::IsolationLevel;
use farlog_client::{Connection, SendError};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::fetch_response::{FetchResponse, PartitionData};
use farlog_wire::primitives::Uuid;
use farlog_wire::records::next_fetch;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::committed::AbortedTransaction;
use crate::limits::{
    FETCH_SHARE_BYTES_MIN, FETCH_WAIT_BUSY_MS, FETCH_WAIT_MS, FETCHED_WAITING_MAX,
};
use crate::options::LinkOptions;
use crate::rate::RateLimiter;

/// Memory permits are counted in this unit, since a semaphore's count is 32 bits wide.
const PERMIT_BYTES: usize = 1024;

/// Holds the memory of fetched bytes accounted for until the last user lets go.
pub(crate) type MemoryTicket = Arc<OwnedSemaphorePermit>;

/// A partition as the source knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourcePartition {
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

impl SourcePartition {
    /// Whether an answer names this topic: by id from Fetch v13 on (KIP-516), by name before.
    fn is_named(&self, topic: &str, topic_id: Uuid) -> bool {
        if topic_id.is_zero() { self.topic == topic } else { self.topic_id == topic_id }
    }
}

/// From where to fetch a partition.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) source: SourcePartition,
    pub(crate) offset: i64,
    /// Leader epoch of the record before `offset`, -1 if unknown: the source answers with its
    /// point of divergence if that record is not in its log (KIP-595).
    pub(crate) last_epoch: i32,
    /// Leader epoch by the metadata that led here.
    pub(crate) leader_epoch: i32,
    pub(crate) fetched: mpsc::Sender<Fetched>,
}

/// What a lane hands to a partition's worker.
#[derive(Debug)]
pub(crate) enum Fetched {
    Data(FetchedData),
    /// The subscription is over.
    Ended(SourceEnd),
}

/// One answer for one partition; `records` may be empty.
#[derive(Debug)]
pub(crate) struct FetchedData {
    pub(crate) records: Bytes,
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// The last stable offset: the end of what can be mirrored now.
    pub(crate) end_offset: i64,
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) ticket: MemoryTicket,
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceEnd {
    /// The broker no longer leads the partition, or its metadata is ahead of ours.
    Moved(ErrorCode),
    /// The connection failed.
    Lost(String),
    /// The offset is below the log start or beyond the log end.
    OutOfRange,
    /// The source's log has other records from this point on.
    Diverged { epoch: i32, end_offset: i64 },
    /// Anything else that Kafka said.
    Refused(ErrorCode),
    /// The answer's batches do not follow each other.
    Malformed(String),
    /// The answer does not speak of the partition.
    LeftOut,
}

/// A lane as its users see it.
#[derive(Clone, Debug)]
pub(crate) struct LaneHandle {
    commands: mpsc::UnboundedSender<Subscription>,
    room: Arc<Notify>,
}

impl LaneHandle {
    /// Adds a partition; `false` if the lane has ended.
    pub(crate) fn subscribe(&self, subscription: Subscription) -> bool {
        self.commands.send(subscription).is_ok()
    }

    /// To be told after something was taken from a subscription's channel.
    pub(crate) fn room(&self) -> Arc<Notify> {
        Arc::clone(&self.room)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }
}

/// The bounds that the lanes of a link work under.
#[derive(Clone, Debug)]
pub(crate) struct LaneLimits {
    memory: Arc<Semaphore>,
    partition_bytes_max: i32,
    fetch_bytes_max: i32,
    memory_bytes: i32,
    isolation: IsolationLevel,
    /// Lanes that have partitions to fetch.
    fetching: Arc<AtomicUsize>,
    rate: Option<Arc<RateLimiter>>,
}

/// Counts a lane among those that fetch, for as long as it is kept.
#[derive(Debug)]
struct Fetching(Arc<AtomicUsize>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LaneLimits {
    /// Makes bounds that fit each other: a fetch that asked for more than all the memory there is
    /// would wait for it for ever.
    pub(crate) fn new(options: &LinkOptions) -> Self {
        let permits = (options.memory_bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let memory_bytes = i32::try_from(permits.saturating_mul(PERMIT_BYTES)).unwrap_or(i32::MAX);
        let fetch_bytes_max = options.fetch_bytes_max.clamp(1, memory_bytes);
        Self {
            memory: Arc::new(Semaphore::new(permits)),
            partition_bytes_max: options.fetch_partition_bytes_max.clamp(1, fetch_bytes_max),
            fetch_bytes_max,
            memory_bytes,
            isolation: IsolationLevel::ReadCommitted,
            fetching: Arc::default(),
            rate: options.rate_bytes_per_second.map(|rate| Arc::new(RateLimiter::new(rate))),
        }
    }

    /// The same for a reader who knows what to make of open transactions.
    pub(crate) fn uncommitted(self) -> Self {
        Self { isolation: IsolationLevel::ReadUncommitted, ..self }
    }

    /// Bytes to ask for in a fetch of this many partitions.
    ///
    /// A fetch that waits for data holds its memory all the while, so no lane asks for more than
    /// an even part: the others would have to wait before they could even ask.
    fn bytes_max(&self, partitions: usize) -> i32 {
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX).max(1);
        let even = self.memory_bytes / count(self.fetching.load(Ordering::Relaxed));
        let even = even.max(FETCH_SHARE_BYTES_MIN.min(self.memory_bytes));
        self.partition_bytes_max
            .saturating_mul(count(partitions))
            .min(self.fetch_bytes_max)
            .min(even)
    }

    fn begin_fetching(&self) -> Fetching {
        self.fetching.fetch_add(1, Ordering::Relaxed);
        Fetching(Arc::clone(&self.fetching))
    }

    /// Waits until this many bytes may be fetched.
    async fn reserve(&self, bytes: i32) -> Option<OwnedSemaphorePermit> {
        let permits = (bytes as u32).div_ceil(PERMIT_BYTES as u32);
        Arc::clone(&self.memory).acquire_many_owned(permits).await.ok()
    }
}

/// Makes a lane over a connection; the future runs it until its connection fails or every handle
/// and subscription is gone.
pub(crate) fn lane(
    connection: Connection,
    limits: LaneLimits,
) -> (LaneHandle, impl Future<Output = ()> + Send) {
    // Bounded by the number of partitions: each worker has one subscription at a time.
    let (commands, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Notify::new());
    let handle = LaneHandle { commands, room: Arc::clone(&room) };
    let (commands, partitions) = (receiver, Vec::new());
    let lane = Lane { connection, limits, commands, room, partitions, fetching: None };
    (handle, lane.run())
}

struct Lane {
    connection: Connection,
    limits: LaneLimits,
    commands: mpsc::UnboundedReceiver<Subscription>,
    room: Arc<Notify>,
    partitions: Vec<Subscription>,
    /// While there are partitions.
    fetching: Option<Fetching>,
}

impl Lane {
    async fn run(mut self) {
        loop {
            if !self.take_commands().await {
                return;
            }
            let asked = self.with_room();
            if asked.is_empty() {
                self.wait_for_room().await;
                continue;
            }
            let bytes_max = self.limits.bytes_max(asked.len());
            let Some(mut permit) = self.limits.reserve(bytes_max).await else { return };
            let request = self.request(&asked, bytes_max);
            match self.connection.send(&request).await {
                Ok(response) => {
                    let bytes = response_bytes(&response);
                    // What was not filled goes back at once.
                    let spare = permit.num_permits().saturating_sub(bytes.div_ceil(PERMIT_BYTES));
                    drop(permit.split(spare));
                    self.dispatch(&asked, response, Arc::new(permit));
                    if let Some(rate) = &self.limits.rate {
                        rate.spend(bytes as u64).await;
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
    }

    /// Takes in new subscriptions, waiting for one if there is none; `false` at the end.
    async fn take_commands(&mut self) -> bool {
        self.partitions.retain(|subscription| !subscription.fetched.is_closed());
        if self.partitions.is_empty() {
            self.fetching = None;
            match self.commands.recv().await {
                Some(subscription) => self.partitions.push(subscription),
                None => return false,
            }
        }
        self.fetching.get_or_insert_with(|| self.limits.begin_fetching());
        while let Ok(subscription) = self.commands.try_recv() {
            self.partitions.push(subscription);
        }
        true
    }

    /// Indexes of the partitions whose workers can take an answer.
    fn with_room(&self) -> Vec<usize> {
        (0..self.partitions.len())
            .filter(|&index| self.partitions[index].fetched.capacity() > 0)
            .collect()
    }

    async fn wait_for_room(&mut self) {
        tokio::select! {
            () = self.room.notified() => {}
            subscription = self.commands.recv() => self.partitions.extend(subscription),
        }
    }

    fn request(&self, asked: &[usize], bytes_max: i32) -> FetchRequest {
        let waits = asked.len() == self.partitions.len();
        let mut topics: HashMap<&str, FetchTopic> = HashMap::new();
        for &index in asked {
            let subscription = &self.partitions[index];
            let source = &subscription.source;
            let topic = topics.entry(&source.topic).or_insert_with(|| FetchTopic {
                topic: source.topic.clone(),
                topic_id: source.topic_id,
                ..FetchTopic::default()
            });
            topic.partitions.push(FetchPartition {
                partition: source.partition,
                current_leader_epoch: subscription.leader_epoch,
                fetch_offset: subscription.offset,
                last_fetched_epoch: subscription.last_epoch,
                log_start_offset: -1,
                partition_max_bytes: self.limits.partition_bytes_max.min(bytes_max),
                ..FetchPartition::default()
            });
        }
        FetchRequest {
            max_wait_ms: if waits { FETCH_WAIT_MS } else { FETCH_WAIT_BUSY_MS },
            min_bytes: 1,
            max_bytes: bytes_max,
            isolation_level: match self.limits.isolation {
                IsolationLevel::ReadUncommitted => 0,
                IsolationLevel::ReadCommitted => 1,
            },
            session_id: 0,
            session_epoch: -1,
            topics: topics.into_values().collect(),
            ..FetchRequest::default()
        }
    }

    fn dispatch(&mut self, asked: &[usize], response: FetchResponse, ticket: MemoryTicket) {
        if response.error_code != ErrorCode::NONE {
            let end = SourceEnd::Refused(response.error_code);
            self.end_where(|_| true, &end);
            return;
        }
        hand_out(&mut self.partitions, asked, response, &ticket);
    }

    fn end_where(&mut self, which: impl Fn(&SourcePartition) -> bool, end: &SourceEnd) {
        self.partitions.retain(|subscription| {
            if !which(&subscription.source) {
                return true;
            }
            let ended = Fetched::Ended(end.clone());
            // A full channel closes when its sender is dropped, which ends the subscription too.
            let _ = subscription.fetched.try_send(ended);
            false
        });
    }

    fn fail(&mut self, error: &SendError) {
        while let Ok(subscription) = self.commands.try_recv() {
            self.partitions.push(subscription);
        }
        self.end_where(|_| true, &SourceEnd::Lost(error.to_string()));
    }
}

/// Hands an answer to the workers of the partitions that it was asked for, and forgets those whose
/// subscriptions are over.
fn hand_out(
    partitions: &mut Vec<Subscription>,
    asked: &[usize],
    response: FetchResponse,
    ticket: &MemoryTicket,
) {
    // A broker whose quota is used up answers at once, with nothing (KIP-219).
    let is_throttled = response.throttle_time_ms > 0 && response.responses.is_empty();
    let mut unanswered: BTreeSet<usize> = asked.iter().copied().collect();
    let mut over = BTreeSet::new();
    for topic in response.responses {
        for data in topic.partitions {
            let index = partitions.iter().position(|subscription| {
                let source = &subscription.source;
                source.partition == data.partition_index
                    && source.is_named(&topic.topic, topic.topic_id)
            });
            // Only who was asked for is known to have room, and for one answer.
            if let Some(index) = index.filter(|index| unanswered.remove(index))
                && !partitions[index].hand_over(data, ticket)
            {
                over.insert(index);
            }
        }
    }
    if !is_throttled {
        // Asked again at once, the broker would leave them out again: their workers pause.
        for &index in &unanswered {
            let _ = partitions[index].fetched.try_send(Fetched::Ended(SourceEnd::LeftOut));
        }
        over.append(&mut unanswered);
    }
    // From behind, so that the indexes before stay what they are.
    for index in over.into_iter().rev() {
        partitions.swap_remove(index);
    }
}

impl Subscription {
    /// Hands one answer to the worker; `false` if the subscription is over.
    fn hand_over(&mut self, data: PartitionData, ticket: &MemoryTicket) -> bool {
        let fetched = match self.take(data, ticket) {
            Ok(data) => Fetched::Data(data),
            Err(end) => Fetched::Ended(end),
        };
        let ended = matches!(fetched, Fetched::Ended(_));
        // There was room when it was asked for, and only lanes send. A closed channel means that
        // the worker has left.
        let delivered = self.fetched.try_send(fetched).is_ok();
        delivered && !ended
    }

    /// Takes one answer in and moves on behind it.
    fn take(
        &mut self,
        data: PartitionData,
        ticket: &MemoryTicket,
    ) -> Result<FetchedData, SourceEnd> {
        let code = data.error_code;
        match code {
            ErrorCode::NONE => {}
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                return Err(SourceEnd::OutOfRange);
            }
            ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::OFFSET_NOT_AVAILABLE => return Err(SourceEnd::Moved(code)),
            _ => return Err(SourceEnd::Refused(code)),
        }
        let diverging = &data.diverging_epoch;
        if diverging.end_offset >= 0 {
            return Err(SourceEnd::Diverged {
                epoch: diverging.epoch,
                end_offset: diverging.end_offset,
            });
        }
        let records = data.records.unwrap_or_default();
        if let Some(next) =
            next_fetch(&records).map_err(|error| SourceEnd::Malformed(error.to_string()))?
        {
            self.offset = next.offset;
            self.last_epoch = next.leader_epoch;
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        Ok(FetchedData {
            records,
            aborted: aborted
                .into_iter()
                .map(|transaction| AbortedTransaction {
                    first_offset: transaction.first_offset,
                    producer_id: transaction.producer_id,
                })
                .collect(),
            end_offset: data.last_stable_offset,
            high_watermark: data.high_watermark,
            log_start_offset: data.log_start_offset,
            ticket: Arc::clone(ticket),
        })
    }
}

/// A channel for one subscription.
pub(crate) fn fetched_channel() -> (mpsc::Sender<Fetched>, mpsc::Receiver<Fetched>) {
    mpsc::channel(FETCHED_WAITING_MAX)
}

fn response_bytes(response: &FetchResponse) -> usize {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|data| data.records.as_ref()).map(Bytes::len).sum()
}

#[cfg(test)]
mod tests;
