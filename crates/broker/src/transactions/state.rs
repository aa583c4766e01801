//! One transactional id: what it is, and what it may become. Pure: a transition makes a new value,
//! which is written before it counts.
//!
//! Source: KIP-98, KIP-360 (a producer raises its own epoch), KIP-890 (the epoch rises with the end
//! of every transaction), and what Kafka 4.3 answers.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::ErrorCode;

/// From this level of `transaction.version` on, the end of a transaction raises the epoch.
pub(crate) const RAISES_EPOCHS: i16 = 2;

/// Epochs from this one on are given to no producer any more, so that it can still be fenced.
const EPOCH_EXHAUSTED: i16 = i16::MAX - 1;

/// Where a transactional id stands; the codes are those of Kafka's transaction log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Initialized, nothing begun.
    Empty,
    /// Has partitions that its producer may write to.
    Ongoing,
    /// Committed; its markers are being written.
    PrepareCommit,
    /// Aborted; its markers are being written.
    PrepareAbort,
    /// Committed, all markers written.
    CompleteCommit,
    /// Aborted, all markers written.
    CompleteAbort,
}

/// A transactional id at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    /// The producer id before the last transition, -1 for none.
    pub(crate) previous_producer_id: i64,
    /// The one that takes over when this transaction is complete, -1 for none.
    pub(crate) next_producer_id: i64,
    pub(crate) epoch: i16,
    /// The epoch that its producer had before it asked for a higher one, -1 if it did not ask.
    /// Not stored, as Kafka does not.
    pub(crate) last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) status: Status,
    pub(crate) partitions: BTreeMap<String, BTreeSet<i32>>,
    /// When the transaction began, -1 if none has.
    pub(crate) started_ms: i64,
    /// When it was last written.
    pub(crate) updated_ms: i64,
    /// The level of `transaction.version` that its client spoke.
    pub(crate) client_version: i16,
}

/// Who speaks for a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A producer wants to begin, or to begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitRequest {
    pub(crate) timeout_ms: i32,
    /// What it believes to be (KIP-360).
    pub(crate) expected: Option<Producer>,
    /// A producer id that nobody has, if one was asked for before.
    pub(crate) fresh_id: Option<i64>,
}

/// What becomes of an [`InitRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// Ask again with a fresh producer id.
    NeedsProducerId,
    /// This is written, then its producer may begin.
    Ready(Transaction),
    /// This abort is written first; the producer asks again when it is complete.
    AbortFirst(Transaction),
}

/// A producer wants its transaction to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndRequest {
    pub(crate) producer: Producer,
    pub(crate) commit: bool,
    /// The level of `transaction.version` that the request speaks.
    pub(crate) client_version: i16,
    /// A producer id that nobody has, if one was asked for before.
    pub(crate) fresh_id: Option<i64>,
}

/// What becomes of an [`EndRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Ask again with a fresh producer id.
    NeedsProducerId,
    /// This is written, then the markers.
    Prepared(Transaction),
    /// It ended so already; its producer goes on as this.
    Already(Producer),
}

/// What becomes of partitions that are to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Add {
    /// They are in the transaction already.
    Present,
    /// This is written, then they may be written to.
    Joined(Transaction),
}

impl Status {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Its code in the transaction log.
    pub(crate) fn code(self) -> i8 {
        self as i8
    }

    /// The status with a code; `None` for those that Kafka never writes either.
    pub(crate) fn of_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Its name in DescribeTransactions and ListTransactions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether its markers are being written.
    pub(crate) fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// What a transactional id becomes whose producer wants to begin; `current` is `None` for one that
/// is not known.
///
/// # Errors
/// `PRODUCER_FENCED` for a producer that was replaced, `CONCURRENT_TRANSACTIONS` while markers are
/// being written.
pub(crate) fn init(
    current: Option<&Transaction>,
    request: InitRequest,
    now_ms: i64,
) -> Result<Init, ErrorCode> {
    let Some(current) = current else {
        let made = |id| Init::Ready(Transaction::new(id, request.timeout_ms, now_ms));
        return Ok(request.fresh_id.map_or(Init::NeedsProducerId, made));
    };
    if let Some(expected) = request.expected {
        let is_current = expected.id == current.producer_id;
        // It asked before, was given a new id, and did not hear of it.
        let is_previous = expected.id == current.previous_producer_id && is_exhausted(expected);
        if !is_current && !is_previous {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
    }
    match current.status {
        Status::PrepareCommit | Status::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
        Status::Ongoing => Ok(Init::AbortFirst(current.fenced(now_ms))),
        Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {
            current.begun_again(request, now_ms)
        }
    }
}

fn is_exhausted(producer: Producer) -> bool {
    producer.epoch >= EPOCH_EXHAUSTED
}

impl Transaction {
    fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            previous_producer_id: producer_id,
            next_producer_id: -1,
            epoch: 0,
            last_epoch: -1,
            timeout_ms,
            status: Status::Empty,
            partitions: BTreeMap::new(),
            started_ms: -1,
            updated_ms: now_ms,
            client_version: 0,
        }
    }

    /// Who may speak for it.
    pub(crate) fn producer(&self) -> Producer {
        Producer { id: self.producer_id, epoch: self.epoch }
    }

    /// Every partition of the transaction.
    pub(crate) fn topic_partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        let pairs = |(topic, indexes)| {
            let topic: &String = topic;
            let indexes: &BTreeSet<i32> = indexes;
            indexes.iter().map(move |&index| (topic.as_str(), index))
        };
        self.partitions.iter().flat_map(pairs)
    }

    /// Whether the transaction was open longer than its producer said it would be.
    pub(crate) fn is_overdue(&self, now_ms: i64) -> bool {
        let open_ms = now_ms.saturating_sub(self.started_ms);
        self.status == Status::Ongoing && open_ms > i64::from(self.timeout_ms)
    }

    /// Whether nobody used the id since `before_ms`, and it may be forgotten.
    pub(crate) fn is_unused_since(&self, before_ms: i64) -> bool {
        let idle =
            matches!(self.status, Status::Empty | Status::CompleteCommit | Status::CompleteAbort);
        idle && self.updated_ms <= before_ms
    }

    fn after(&self, status: Status, now_ms: i64) -> Self {
        Self { status, previous_producer_id: self.producer_id, updated_ms: now_ms, ..self.clone() }
    }

    fn begun_again(&self, request: InitRequest, now_ms: i64) -> Result<Init, ErrorCode> {
        let expected_epoch = request.expected.map(|expected| expected.epoch);
        let emptied = Self {
            timeout_ms: request.timeout_ms,
            partitions: BTreeMap::new(),
            started_ms: -1,
            next_producer_id: -1,
            client_version: 0,
            ..self.after(Status::Empty, now_ms)
        };
        let is_expected = expected_epoch.is_none_or(|expected| {
            expected == self.epoch || self.is_unspeakable() && expected == self.last_epoch
        });
        if is_exhausted(self.producer()) && is_expected {
            let Some(producer_id) = request.fresh_id else { return Ok(Init::NeedsProducerId) };
            let last_epoch = expected_epoch.map_or(-1, |_| self.epoch);
            return Ok(Init::Ready(Self { producer_id, epoch: 0, last_epoch, ..emptied }));
        }
        let (epoch, last_epoch) = match expected_epoch {
            None => (self.epoch + 1, -1),
            Some(expected) if expected == self.epoch => (self.epoch + 1, self.epoch),
            // It asked before and did not hear the answer: nobody else came in between, who would
            // have cleared the last epoch.
            Some(expected) if expected == self.last_epoch => (self.epoch, self.last_epoch),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        };
        Ok(Init::Ready(Self { epoch, last_epoch, ..emptied }))
    }

    /// The open transaction aborted without its producer, whose epoch is over with that. As after
    /// an abort of its own, the producer may ask for the next one, unless another came first.
    pub(crate) fn fenced(&self, now_ms: i64) -> Self {
        Self {
            epoch: self.epoch.saturating_add(1),
            last_epoch: self.epoch,
            client_version: RAISES_EPOCHS,
            ..self.after(Status::PrepareAbort, now_ms)
        }
    }

    /// Whether its epoch is one that no producer is given: it could not be fenced.
    fn is_unspeakable(&self) -> bool {
        self.epoch == i16::MAX
    }

    fn raises_epochs(&self) -> bool {
        self.client_version >= RAISES_EPOCHS
    }

    /// What it becomes with partitions added.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_ID_MAPPING` for another producer, `PRODUCER_FENCED` for another epoch,
    /// `CONCURRENT_TRANSACTIONS` while markers are being written.
    pub(crate) fn add(
        &self,
        producer: Producer,
        partitions: &[(&str, i32)],
        client_version: i16,
        now_ms: i64,
    ) -> Result<Add, ErrorCode> {
        self.check(producer)?;
        let is_ongoing = self.status == Status::Ongoing;
        if is_ongoing && partitions.iter().all(|&(topic, index)| self.holds(topic, index)) {
            return Ok(Add::Present);
        }
        let started_ms = if is_ongoing { self.started_ms } else { now_ms };
        let mut joined = Self { started_ms, client_version, ..self.after(Status::Ongoing, now_ms) };
        for &(topic, index) in partitions {
            joined.partitions.entry(topic.to_owned()).or_default().insert(index);
        }
        Ok(Add::Joined(joined))
    }

    /// Whether a producer may write to a partition as part of its transaction.
    ///
    /// # Errors
    /// As [`add`](Self::add), and `TRANSACTION_ABORTABLE` if the partition is not part of it.
    pub(crate) fn verify(
        &self,
        producer: Producer,
        topic: &str,
        index: i32,
    ) -> Result<(), ErrorCode> {
        self.check(producer)?;
        if self.holds(topic, index) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    fn holds(&self, topic: &str, index: i32) -> bool {
        self.partitions.get(topic).is_some_and(|indexes| indexes.contains(&index))
    }

    fn check(&self, producer: Producer) -> Result<(), ErrorCode> {
        if producer.id != self.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if producer.epoch != self.epoch || self.is_unspeakable() {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.status.is_prepared() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        Ok(())
    }

    /// What it becomes when its producer commits or aborts.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_ID_MAPPING`, `PRODUCER_FENCED`, `CONCURRENT_TRANSACTIONS`, and
    /// `INVALID_TXN_STATE` if there is nothing to end so.
    pub(crate) fn end(&self, request: EndRequest, now_ms: i64) -> Result<End, ErrorCode> {
        let EndRequest { producer, commit, client_version, fresh_id } = request;
        let raises = client_version >= RAISES_EPOCHS;
        // Before KIP-890 a producer keeps its epoch, and must have it.
        let repeats = raises && self.repeats_end(producer);
        if producer.id != self.producer_id && !repeats {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let may_speak = match self.status {
            Status::Empty | Status::Ongoing => producer.epoch == self.epoch,
            // The epoch was raised by the end already.
            Status::PrepareCommit | Status::PrepareAbort if raises && self.raises_epochs() => {
                repeats
            }
            Status::PrepareCommit | Status::PrepareAbort => producer.epoch == self.epoch,
            Status::CompleteCommit | Status::CompleteAbort => {
                producer.epoch == self.epoch || repeats
            }
        };
        // As whom it would go on.
        let is_lost = self.is_unspeakable() && !self.status.is_prepared();
        if !may_speak || is_lost {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        let ended_so = match self.status {
            Status::PrepareCommit | Status::CompleteCommit => Some(commit),
            Status::PrepareAbort | Status::CompleteAbort => Some(!commit),
            Status::Empty | Status::Ongoing => None,
        };
        match self.status {
            Status::Ongoing => {}
            _ if self.status.is_prepared() && ended_so == Some(true) => {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            // Before KIP-890, the end of nothing cannot be told from the end told again.
            Status::CompleteCommit | Status::CompleteAbort
                if ended_so == Some(true) && (repeats || !raises) =>
            {
                return Ok(End::Already(self.producer()));
            }
            // A transaction without partitions is aborted for the sake of the epoch.
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort
                if raises && !commit && !repeats => {}
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        if raises && is_exhausted(self.producer()) && fresh_id.is_none() {
            return Ok(End::NeedsProducerId);
        }
        Ok(End::Prepared(self.prepared(request, now_ms)))
    }

    fn prepared(&self, request: EndRequest, now_ms: i64) -> Self {
        let EndRequest { commit, client_version, fresh_id, .. } = request;
        let status = if commit { Status::PrepareCommit } else { Status::PrepareAbort };
        let mut prepared = Self { client_version, ..self.after(status, now_ms) };
        if self.status != Status::Ongoing {
            prepared.started_ms = now_ms;
        }
        if client_version >= RAISES_EPOCHS {
            prepared.last_epoch = self.epoch;
            prepared.epoch = self.epoch.saturating_add(1);
            if is_exhausted(self.producer()) {
                prepared.next_producer_id = fresh_id.unwrap_or(-1);
            }
        }
        prepared
    }

    /// Whether a producer of before the last end asks for that end: it did not hear the answer.
    fn repeats_end(&self, producer: Producer) -> bool {
        if !self.raises_epochs() || self.status == Status::Ongoing || self.status == Status::Empty {
            return false;
        }
        let is_raised =
            producer.id == self.producer_id && producer.epoch.checked_add(1) == Some(self.epoch);
        let is_replaced = producer.id == self.previous_producer_id
            && producer.epoch == EPOCH_EXHAUSTED
            && self.epoch == 0;
        is_raised || is_replaced
    }

    /// What it becomes when every marker is written.
    pub(crate) fn completed(&self, now_ms: i64) -> Self {
        let status = match self.status {
            Status::PrepareCommit => Status::CompleteCommit,
            _ => Status::CompleteAbort,
        };
        let mut completed = Self { partitions: BTreeMap::new(), ..self.after(status, now_ms) };
        if self.next_producer_id >= 0 {
            completed.producer_id = self.next_producer_id;
            completed.next_producer_id = -1;
            completed.epoch = 0;
        }
        completed
    }
}

#[cfg(test)]
mod tests;
