//! The transaction coordinator: which producer speaks for a transactional id, which partitions its
//! transaction has, and that all of them learn how it ended.
//!
//! `state` is pure, `record` and `log` keep it in `__transaction_state` before it counts, `ending`
//! writes markers and looks after what time does. This file joins them: every change of an id, and
//! every append of a batch of its transaction, is made under the id's lock, so that no batch comes
//! behind the marker of its transaction. Nothing waits under that lock: what was changed is certain
//! when it has its place in the log, and is answered when it is durable.

mod ending;
pub(crate) mod limits;
mod log;
mod record;
mod state;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use farlog_wire::ErrorCode;

use crate::broker::Shared;
use crate::catalog::{Catalog, Refusal};
pub(crate) use ending::{Marker, run, write_marker};
use limits::TRANSACTIONAL_IDS_MAX;
pub use log::TransactionLogError;
pub(crate) use log::Written;
use state::{Add, End, EndRequest, Init, InitRequest};
pub(crate) use state::{Producer, RAISES_EPOCHS, Status, Transaction};

/// All transactional ids of the cluster.
#[derive(Debug)]
pub(crate) struct Transactions {
    ids: RwLock<HashMap<String, Arc<Entry>>>,
}

/// One transactional id.
#[derive(Debug)]
struct Entry {
    id: String,
    /// `None` before the first change was written, and after the id was forgotten.
    current: Mutex<Option<Transaction>>,
    /// Somebody is writing markers.
    ending: AtomicBool,
}

/// A batch that says it belongs to a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) id: &'a str,
    pub(crate) producer: Producer,
    pub(crate) topic: &'a str,
    pub(crate) index: i32,
    /// Whether a partition that is not part of the transaction becomes one (KIP-890, part 2).
    pub(crate) adds: bool,
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Option<Transaction>> {
        // Every change is one assignment.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a step of an operation came to, under the lock.
enum Step<T> {
    NeedsProducerId,
    Done(T),
}

impl Transactions {
    /// Reads what the log says. What was prepared is completed by [`run`].
    pub(crate) async fn open(catalog: &Catalog) -> Result<Self, TransactionLogError> {
        let known = log::read(catalog).await?;
        let entries = known.into_iter().map(|(id, transaction)| {
            let entry = Entry::new(id.clone(), Some(transaction));
            (id, Arc::new(entry))
        });
        Ok(Self { ids: RwLock::new(entries.collect()) })
    }

    fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn entry_or_new(&self, id: &str) -> Result<Arc<Entry>, ErrorCode> {
        if let Some(entry) = self.entry(id) {
            return Ok(entry);
        }
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        if ids.len() >= TRANSACTIONAL_IDS_MAX && !ids.contains_key(id) {
            tracing::warn!(id, "refused: {TRANSACTIONAL_IDS_MAX} transactional ids are in use");
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let entry = ids.entry(id.to_owned());
        Ok(Arc::clone(entry.or_insert_with(|| Arc::new(Entry::new(id.to_owned(), None)))))
    }

    /// Drops entries that say nothing, unless somebody is about to change that.
    fn drop_forgotten(&self) {
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|_, entry| Arc::strong_count(entry) > 1 || entry.lock().is_some());
    }

    fn known(&self, id: &str) -> Result<Arc<Entry>, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.entry(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }

    /// Every id as it is now.
    pub(crate) fn all(&self) -> Vec<(String, Transaction)> {
        let named = |entry: Arc<Entry>| Some((entry.id.clone(), entry.lock().clone()?));
        self.entries().into_iter().filter_map(named).collect()
    }

    /// One id as it is now.
    pub(crate) fn one(&self, id: &str) -> Option<Transaction> {
        self.entry(id)?.lock().clone()
    }

    /// Lets a producer begin, under an epoch that fences those before it.
    ///
    /// # Errors
    /// As `state::init`; `CONCURRENT_TRANSACTIONS` also when an open transaction was aborted
    /// first; `INVALID_TRANSACTION_TIMEOUT`, `INVALID_REQUEST` for an empty id.
    pub(crate) async fn init(
        &self,
        broker: &Shared,
        id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if !(1..=broker.settings.transaction_max_timeout_ms).contains(&i64::from(timeout_ms)) {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        log::make_topic(&broker.catalog).await?;
        broker.catalog.room().await;
        let entry = self.entry_or_new(id)?;
        let mut request = InitRequest { timeout_ms, expected, fresh_id: None };
        loop {
            match entry.try_init(broker, request)? {
                Step::NeedsProducerId => request.fresh_id = Some(fresh_id(broker).await?),
                Step::Done((written, Ok(producer))) => {
                    written.settle().await?;
                    return Ok(producer);
                }
                Step::Done((written, Err(ending))) => {
                    written.settle().await?;
                    ending.complete(broker).await?;
                    return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
                }
            }
        }
    }

    /// Adds partitions to a producer's transaction, beginning it if need be.
    ///
    /// # Errors
    /// As [`Transaction::add`].
    pub(crate) async fn add(
        &self,
        broker: &Shared,
        id: &str,
        producer: Producer,
        partitions: &[(&str, i32)],
        client_version: i16,
    ) -> Result<(), ErrorCode> {
        let entry = self.known(id)?;
        broker.catalog.room().await;
        let written = entry.try_add(broker, producer, partitions, client_version)?;
        match written {
            Some(written) => written.settle().await,
            None => Ok(()),
        }
    }

    /// Whether a producer may write to a partition as part of its transaction.
    ///
    /// # Errors
    /// As [`Transaction::verify`].
    pub(crate) fn verify(
        &self,
        id: &str,
        producer: Producer,
        topic: &str,
        index: i32,
    ) -> Result<(), ErrorCode> {
        let entry = self.known(id)?;
        let current = entry.lock();
        let current = current.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        current.verify(producer, topic, index)
    }

    /// Appends a batch of a transaction while it cannot end: once it has, such a batch is refused
    /// (KIP-890, part 1). The answer waits for what was written besides, too.
    pub(crate) fn append<T>(
        &self,
        broker: &Shared,
        claim: Claim<'_>,
        append: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<(T, Option<Written>), Refusal> {
        let Claim { id, producer, topic, index, adds } = claim;
        let entry = self.known(id)?;
        let mut current = entry.lock();
        let written = if adds {
            entry.add_locked(&mut current, broker, producer, &[(topic, index)], RAISES_EPOCHS)?
        } else {
            let current = current.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
            current.verify(producer, topic, index)?;
            None
        };
        Ok((append()?, written))
    }

    /// Ends a producer's transaction, in every partition of it; answers as whom the producer goes
    /// on.
    ///
    /// # Errors
    /// As [`Transaction::end`].
    pub(crate) async fn end(
        &self,
        broker: &Shared,
        id: &str,
        producer: Producer,
        commit: bool,
        client_version: i16,
    ) -> Result<Producer, ErrorCode> {
        let entry = self.known(id)?;
        broker.catalog.room().await;
        let mut request = EndRequest { producer, commit, client_version, fresh_id: None };
        loop {
            match entry.try_end(broker, request)? {
                Step::NeedsProducerId => request.fresh_id = Some(fresh_id(broker).await?),
                Step::Done(Err(already)) => return Ok(already),
                Step::Done(Ok((written, ending))) => {
                    written.settle().await?;
                    return ending.complete(broker).await;
                }
            }
        }
    }
}

async fn fresh_id(broker: &Shared) -> Result<i64, ErrorCode> {
    let allocated = broker.catalog.allocate_producer_id().await;
    allocated.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

type Begun = (Written, Result<Producer, ending::Ending>);
type Ended = Result<(Written, ending::Ending), Producer>;

impl Entry {
    fn new(id: String, current: Option<Transaction>) -> Self {
        Self { id, current: Mutex::new(current), ending: AtomicBool::new(false) }
    }

    /// Writes what the id becomes, and makes it so.
    fn change(
        &self,
        current: &mut Option<Transaction>,
        broker: &Shared,
        next: Option<Transaction>,
    ) -> Result<Written, ErrorCode> {
        let now_ms = broker.clock.now_ms();
        let written = log::append(&broker.catalog, &self.id, next.as_ref(), now_ms)?;
        *current = next;
        Ok(written)
    }

    fn try_init(
        self: &Arc<Self>,
        broker: &Shared,
        request: InitRequest,
    ) -> Result<Step<Begun>, ErrorCode> {
        let mut current = self.lock();
        let begun = match state::init(current.as_ref(), request, broker.clock.now_ms())? {
            Init::NeedsProducerId => return Ok(Step::NeedsProducerId),
            Init::Ready(next) => {
                let producer = next.producer();
                (self.change(&mut current, broker, Some(next))?, Ok(producer))
            }
            Init::AbortFirst(next) => {
                let ending = self.begin_ending()?;
                (self.change(&mut current, broker, Some(next))?, Err(ending))
            }
        };
        Ok(Step::Done(begun))
    }

    fn try_add(
        &self,
        broker: &Shared,
        producer: Producer,
        partitions: &[(&str, i32)],
        client_version: i16,
    ) -> Result<Option<Written>, ErrorCode> {
        let mut current = self.lock();
        self.add_locked(&mut current, broker, producer, partitions, client_version)
    }

    fn add_locked(
        &self,
        current: &mut Option<Transaction>,
        broker: &Shared,
        producer: Producer,
        partitions: &[(&str, i32)],
        client_version: i16,
    ) -> Result<Option<Written>, ErrorCode> {
        let known = current.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        match known.add(producer, partitions, client_version, broker.clock.now_ms())? {
            Add::Present => Ok(None),
            Add::Joined(next) => self.change(current, broker, Some(next)).map(Some),
        }
    }

    fn try_end(
        self: &Arc<Self>,
        broker: &Shared,
        request: EndRequest,
    ) -> Result<Step<Ended>, ErrorCode> {
        let mut current = self.lock();
        let known = current.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        match known.end(request, broker.clock.now_ms())? {
            End::NeedsProducerId => Ok(Step::NeedsProducerId),
            End::Already(producer) => Ok(Step::Done(Err(producer))),
            End::Prepared(next) => {
                let ending = self.begin_ending()?;
                let written = self.change(&mut current, broker, Some(next))?;
                Ok(Step::Done(Ok((written, ending))))
            }
        }
    }

    /// Takes it on to write the markers.
    ///
    /// # Errors
    /// `CONCURRENT_TRANSACTIONS` if somebody else does.
    fn begin_ending(self: &Arc<Self>) -> Result<ending::Ending, ErrorCode> {
        match self.ending.swap(true, Ordering::AcqRel) {
            true => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            false => Ok(ending::Ending::new(Arc::clone(self))),
        }
    }
}
