//! What waits to be written, between those who append and the one who writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};

use crate::error::{RewriteError, StoreError};
use crate::extent::{Batch, Checkpoint, LogId};
use crate::limits::{GROUP_BYTES_MAX, GROUP_ENTRIES_MAX};
use crate::logs::{LogFileState, Logs};
use crate::piece::Stretch;
use crate::rewrite::Rewritten;
use crate::segment::section::ObjectName;
use crate::wal::entry::{BatchFacts, Entry};

/// What all handles of a store and its writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The writer waits here.
    work: Condvar,
    /// Whoever wants to append waits here while too much is waiting.
    room: Notify,
    /// The one who moves what is in complete files waits here.
    rolled: Notify,
    /// How often it has looked at everything, and done what there was to do.
    passes: watch::Sender<u64>,
    waiting_bytes_max: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) logs: Logs,
    waiting: VecDeque<Waiting>,
    /// Of the batches and states that wait or are being written.
    pub(crate) waiting_bytes: usize,
    /// Why nothing is taken any more.
    pub(crate) refusal: Option<StoreError>,
    /// Why nothing is taken for the time being.
    unavailable: Option<StoreError>,
    /// To be made part of the next manifest.
    pub(crate) rewritten: Vec<Rewritten>,
    /// Objects of rewrites that no manifest names yet, or ever will.
    pub(crate) unnamed: Vec<ObjectName>,
    /// Of the next object.
    object_next: u64,
    closing: bool,
}

/// A change that is not durable yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: LogId,
    /// Of the log when the change was made.
    pub(crate) incarnation: u64,
    pub(crate) change: Change,
    pub(crate) done: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// What can happen to a log.
#[derive(Debug)]
pub(crate) enum Change {
    Create {
        start_offset: i64,
    },
    Append(Batch),
    Trim {
        start_offset: i64,
    },
    Remove,
    Checkpoint(Checkpoint),
    /// The next file of the log is begun before anything else is written.
    Roll,
    /// Only to be answered in order.
    Nothing,
}

impl Waiting {
    /// What is to be written, if anything.
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        let (id, incarnation) = (self.id, self.incarnation);
        Some(match &self.change {
            Change::Create { start_offset } => {
                Entry::Create { id, incarnation, start_offset: *start_offset }
            }
            Change::Append(batch) => {
                Entry::Append { id, facts: BatchFacts::of(batch), bytes: &batch.bytes }
            }
            Change::Trim { start_offset } => Entry::Trim { id, start_offset: *start_offset },
            Change::Remove => Entry::Remove { id },
            Change::Checkpoint(Checkpoint { at_offset, state }) => {
                Entry::Checkpoint { id, at_offset: *at_offset, state }
            }
            Change::Roll | Change::Nothing => return None,
        })
    }

    fn bytes(&self) -> usize {
        match &self.change {
            Change::Append(batch) => batch.bytes.len(),
            Change::Checkpoint(checkpoint) => checkpoint.state.len(),
            _ => 0,
        }
    }
}

impl State {
    /// Why nothing is taken.
    pub(crate) fn refused(&self) -> Option<&StoreError> {
        self.refusal.as_ref().or(self.unavailable.as_ref())
    }

    /// Whether more would not fit into one write.
    fn is_enough(&self) -> bool {
        self.waiting_bytes >= GROUP_BYTES_MAX || self.waiting.len() >= GROUP_ENTRIES_MAX
    }
}

impl Shared {
    pub(crate) fn new(logs: Logs, waiting_bytes_max: usize) -> Self {
        let state = State {
            logs,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            refusal: None,
            unavailable: None,
            rewritten: Vec::new(),
            unnamed: Vec::new(),
            object_next: 1,
            closing: false,
        };
        let (work, room, rolled) = (Condvar::new(), Notify::new(), Notify::new());
        let passes = watch::Sender::new(0);
        Self { state: Mutex::new(state), work, room, rolled, passes, waiting_bytes_max }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is complete or not begun when something can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a change behind all others. The caller has seen that nothing is refused.
    pub(crate) fn push(&self, state: &mut State, waiting: Waiting) {
        let was = (state.waiting.is_empty(), state.is_enough());
        state.waiting_bytes += waiting.bytes();
        state.waiting.push_back(waiting);
        if was.0 || state.is_enough() != was.1 {
            self.work.notify_one();
        }
    }

    pub(crate) fn waiting_bytes_max(&self) -> usize {
        self.waiting_bytes_max
    }

    /// Resolves when an append would not be refused for what is waiting.
    pub(crate) async fn room(&self) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            // Registered before the look, so that no notice can be missed.
            notified.as_mut().enable();
            {
                let state = self.lock();
                if state.waiting_bytes < self.waiting_bytes_max || state.refused().is_some() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Blocks until something waits, and besides until `earliest` if it is not very much, and takes
    /// what can be written together; `None` when the store is closed and nothing is left.
    pub(crate) fn take_group(&self, earliest: Option<Instant>) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closing {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let left = earliest.map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            let waits = |state: &mut State| !state.closing && !state.is_enough();
            let waited = self.work.wait_timeout_while(state, left, waits);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes();
            bytes <= GROUP_BYTES_MAX
        };
        let count = state.waiting.iter().take(GROUP_ENTRIES_MAX).take_while(fits).count().max(1);
        Some(state.waiting.drain(..count).collect())
    }

    /// A group is durable: readers see it, and who waits for it is told.
    pub(crate) fn written(&self, file: u64, group: Vec<Waiting>, entries: &[Stretch]) {
        let mut state = self.lock();
        for (waiting, entry) in group.iter().zip(entries) {
            state.waiting_bytes -= waiting.bytes();
            let (id, incarnation) = (waiting.id, waiting.incarnation);
            match &waiting.change {
                Change::Append(batch) => state.logs.written(id, incarnation, file, *entry, batch),
                Change::Trim { start_offset } => state.logs.trimmed(id, incarnation, *start_offset),
                Change::Remove => state.logs.removed(id, incarnation),
                Change::Checkpoint(checkpoint) => {
                    state.logs.checkpointed(id, incarnation, checkpoint);
                }
                Change::Create { .. } | Change::Roll | Change::Nothing => {}
            }
        }
        drop(state);
        for waiting in group {
            answer(waiting, Ok(()));
        }
        self.room.notify_waiters();
    }

    /// Something could not be written: it, and everything behind it, never will be.
    pub(crate) fn fail(&self, group: Vec<Waiting>, why: &StoreError) {
        let mut state = self.lock();
        state.refusal = Some(why.clone());
        let behind = std::mem::take(&mut state.waiting);
        let refused: Vec<Waiting> = group.into_iter().chain(behind).collect();
        state.waiting_bytes -= refused.iter().map(Waiting::bytes).sum::<usize>();
        // Who waits for them learns it by their end.
        state.rewritten.clear();
        drop(state);
        for waiting in refused {
            answer(waiting, Err(why.clone()));
        }
        self.work.notify_one();
        self.room.notify_waiters();
        self.passed();
    }

    /// Nothing more is taken for the time being, or it is again.
    pub(crate) fn unavailable(&self, why: Option<StoreError>) {
        self.lock().unavailable = why;
        self.room.notify_waiters();
    }

    /// The writer waits before it tries again.
    ///
    /// # Errors
    /// Why there is no use in that any more.
    pub(crate) fn pause(&self, pause: Duration) -> Result<(), StoreError> {
        let waits = |state: &mut State| state.refusal.is_none();
        let waited = self.work.wait_timeout_while(self.lock(), pause, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.refusal.clone().map_or(Ok(()), Err)
    }

    /// The writer waits, as long as the complete files of the log have more bytes than these.
    pub(crate) fn let_move(&self, complete_bytes_max: u64, pause: Duration) {
        let waits = |state: &mut State| {
            let is_served = !state.closing && state.refusal.is_none();
            is_served && state.logs.complete_bytes() > complete_bytes_max
        };
        drop(self.work.wait_timeout_while(self.lock(), pause, waits));
    }

    /// Files of the log have been moved.
    pub(crate) fn has_moved(&self) {
        self.work.notify_one();
    }

    /// Whether nobody has taken the log away, and nothing is wrong with it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.lock().refusal, None | Some(StoreError::Closed))
    }

    /// Resolves when nothing is taken any more, and says why.
    pub(crate) async fn refusal(&self) -> StoreError {
        let mut passes = self.passes.subscribe();
        loop {
            passes.borrow_and_update();
            if let Some(why) = self.lock().refusal.clone() {
                return why;
            }
            if passes.changed().await.is_err() {
                return StoreError::Closed;
            }
        }
    }

    /// A file is complete and the next one begun.
    pub(crate) fn rolled(&self, complete: Option<(u64, u64)>, begun: LogFileState) {
        let mut state = self.lock();
        if let Some((number, bytes)) = complete
            && let Some(file) = state.logs.files.get_mut(&number)
        {
            file.bytes = bytes;
        }
        state.logs.files.insert(begun.name.number, begun);
        drop(state);
        self.rolled.notify_one();
    }

    /// The number of an object that has none yet.
    pub(crate) fn next_object(&self) -> u64 {
        let mut state = self.lock();
        let number = state.object_next;
        state.object_next += 1;
        number
    }

    /// What replaces a part of a log is written, and waits for the next manifest.
    pub(crate) fn rewritten(
        &self,
        rewritten: Rewritten,
        written: &[ObjectName],
    ) -> Result<(), RewriteError> {
        let mut state = self.lock();
        state.unnamed.extend_from_slice(written);
        if let Some(why) = &state.refusal {
            return Err(why.clone().into());
        }
        state.rewritten.push(rewritten);
        drop(state);
        self.rolled.notify_one();
        Ok(())
    }

    /// Nothing will ever name these objects.
    pub(crate) fn abandon(&self, written: &[ObjectName]) {
        self.lock().unnamed.extend_from_slice(written);
    }

    /// Resolves when a file of the log has been completed since the last time.
    pub(crate) async fn next_roll(&self) {
        self.rolled.notified().await;
    }

    /// Everything that could be moved or deleted has been, once more.
    pub(crate) fn passed(&self) {
        self.passes.send_modify(|passes| *passes += 1);
    }

    /// Resolves when a pass that began after this call is complete, or none will be.
    pub(crate) async fn settle(&self) {
        let mut passes = self.passes.subscribe();
        let enough = *passes.borrow_and_update() + 2;
        while *passes.borrow_and_update() < enough && self.lock().refusal.is_none() {
            self.rolled.notify_one();
            if passes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Nothing more is taken; the writer ends when it has written what waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.refusal.get_or_insert(StoreError::Closed);
        drop(state);
        self.work.notify_one();
        self.room.notify_waiters();
    }
}

fn answer(waiting: Waiting, result: Result<(), StoreError>) {
    if let Some(done) = waiting.done {
        // Whoever asked may not wait for the answer.
        let _ = done.send(result);
    }
}
