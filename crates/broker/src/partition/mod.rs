//! One partition: its log, and what appending to it means.
//!
//! `producers` (sequences), `transactions` (what is open, what was aborted) and `epochs` are pure;
//! this file and `append` put them under one lock beside the log's end.

mod append;
mod checkpoint;
mod compaction;
mod epochs;
mod frames;
mod producers;
mod read;
mod recover;
mod retention;
mod seal;
mod segments;
mod transactions;
mod validate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farlog_store::{LogId, Store};
use farlog_wire::ErrorCode;
use tokio::sync::Notify;

pub(crate) use append::{AppendOrigin, Appended};
use checkpoint::Unkept;
use epochs::Epochs;
pub(crate) use producers::ProducerFacts;
use producers::Producers;
pub(crate) use read::{FetchIsolation, FetchedRecords, FoundOffset};
use segments::Segments;
pub(crate) use segments::{Cleanable, CompactionRules, SegmentRules};
use transactions::Transactions;
pub(crate) use validate::AppendRefusal;

/// What a partition is made from.
#[derive(Clone, Debug)]
pub(crate) struct PartitionOptions {
    pub(crate) store: Store,
    pub(crate) log: LogId,
    pub(crate) topic: String,
    pub(crate) leader_epoch: i32,
    pub(crate) segment_rules: SegmentRules,
}

/// One partition of a topic.
#[derive(Debug)]
pub(crate) struct Partition {
    store: Store,
    log: LogId,
    topic: String,
    leader_epoch: i32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    start_offset: i64,
    /// Where the next batch will be appended.
    end_offset: i64,
    /// What is durable; readers see what is below.
    high_watermark: i64,
    epochs: Epochs,
    producers: Producers,
    transactions: Transactions,
    segments: Segments,
    /// What a start would read.
    unkept: Unkept,
    /// The topic was deleted.
    closed: bool,
    /// Fetches that wait for the high watermark to move.
    waiting: Vec<Arc<Notify>>,
}

/// Offsets of a partition at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) start: i64,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable: i64,
}

impl Partition {
    /// A partition whose log was just made.
    pub(crate) fn empty(options: PartitionOptions) -> Self {
        let mut state = State::new(options.segment_rules, 0, 0);
        // A leader's epoch begins when it takes over, not with its first batch.
        state.epochs.appended(options.leader_epoch, 0);
        Self::with_state(options, state)
    }

    fn with_state(options: PartitionOptions, state: State) -> Self {
        let PartitionOptions { store, log, topic, leader_epoch, .. } = options;
        Self { store, log, topic, leader_epoch, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What can panic is checked before the state is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log_id(&self) -> LogId {
        self.log
    }

    /// Bytes of the log.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.store.segments(self.log).iter().map(|segment| segment.size_bytes).sum()
    }

    /// The epoch under which this start appends.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Refuses everything from now on, and wakes who waits: the topic is gone.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.wake();
    }

    /// Where the log begins and how far it may be read.
    pub(crate) fn offsets(&self) -> Offsets {
        let state = self.state();
        Offsets {
            start: state.start_offset,
            high_watermark: state.high_watermark,
            last_stable: state.last_stable_offset(),
        }
    }

    /// Refuses a client whose knowledge of the leader is not ours (KIP-101, KIP-320): -1 knows
    /// nothing and is never refused.
    pub(crate) fn check_leader_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// The last offset of an epoch, as OffsetForLeaderEpoch asks (KIP-101, KIP-279): the largest
    /// epoch not above the one asked for, and where the next one begins.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let state = self.state();
        state.epochs.end_of(epoch, self.leader_epoch, state.end_offset)
    }

    /// The epoch of the record at `offset`, or of the last one if it is the log's end; -1 if there
    /// is none.
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        self.state().epochs.at(offset)
    }

    /// What is known of the producers that wrote here.
    pub(crate) fn producers(&self) -> Vec<ProducerFacts> {
        self.state().producers.facts()
    }

    /// Gives up what is before `offset`, or before the high watermark if it is -1 (KIP-107).
    pub(crate) async fn delete_before(&self, offset: i64) -> Result<i64, ErrorCode> {
        let start_offset = {
            let mut state = self.state();
            let offset = if offset == -1 { state.high_watermark } else { offset };
            if offset < 0 || offset > state.high_watermark {
                return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
            }
            state.start_offset = state.start_offset.max(offset);
            let start_offset = state.start_offset;
            state.transactions.forget_before(start_offset);
            state.segments.trimmed(start_offset);
            start_offset
        };
        match self.store.trim(self.log, start_offset).await {
            Ok(()) => Ok(start_offset),
            Err(error) => {
                tracing::error!(topic = self.topic, %error, "the log start was not written");
                Err(ErrorCode::KAFKA_STORAGE_ERROR)
            }
        }
    }

    /// To be told when the high watermark moves; told once.
    pub(crate) fn tell(&self, waiter: &Arc<Notify>) {
        let mut state = self.state();
        // A fetch that gave up waiting left its handle behind.
        state.waiting.retain(|waiting| Arc::strong_count(waiting) > 1);
        state.waiting.push(Arc::clone(waiter));
    }
}

impl State {
    fn new(segment_rules: SegmentRules, start_offset: i64, end_offset: i64) -> Self {
        Self {
            start_offset,
            end_offset,
            high_watermark: end_offset,
            epochs: Epochs::default(),
            producers: Producers::default(),
            transactions: Transactions::default(),
            segments: Segments::new(segment_rules),
            unkept: Unkept::default(),
            closed: false,
            waiting: Vec::new(),
        }
    }

    fn last_stable_offset(&self) -> i64 {
        let undecided = self.transactions.first_undecided_offset();
        // What is left of a transaction whose first records were deleted begins with the log.
        let undecided = undecided.map(|offset| offset.max(self.start_offset));
        undecided.map_or(self.high_watermark, |offset| offset.min(self.high_watermark))
    }

    fn wake(&mut self) {
        for waiting in self.waiting.drain(..) {
            waiting.notify_one();
        }
    }
}
