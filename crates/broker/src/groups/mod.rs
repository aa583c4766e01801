//! The group coordinator: who is in which group, and where each group is.
//!
//! `classic/` and `offsets` are pure. This file and its neighbours put them under one lock, hold
//! the clients that wait, count the time, and write what must survive to `__consumer_offsets`
//! before anybody is told of it.

mod classic;
mod consumer;
mod coordinate;
mod describe;
pub(crate) mod limits;
mod log;
mod modern;
mod offsets;
mod persist;
mod record;
mod replay;
mod store;
mod subscription;
mod timer;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farlog_wire::ErrorCode;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::settings::BrokerSettings;
pub(crate) use classic::Committer;
use classic::{Answer, ClassicGroup, Now, Rules, Waiter};
use consumer::ConsumerGroup;
pub(crate) use coordinate::{JoinRequest, SyncRequest};
use limits::GROUPS_MAX;
pub(crate) use log::OFFSETS_TOPIC;
pub(crate) use modern::ConsumerHeartbeatRequest;
use offsets::Offsets;
pub(crate) use offsets::{FetchedOffset, NewOffset};
use persist::Writing;
use record::{Key, OffsetValue};
pub use replay::ReplayError;
pub(crate) use timer::run;

/// All groups of the cluster; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    settings: BrokerSettings,
    clock: Clock,
    /// Where the clock of the deadlines begins.
    started: Instant,
    inner: Arc<Mutex<Inner>>,
    /// Told when a deadline is earlier than the one that the timer waits for.
    timer: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<String, Group>,
    waiting: HashMap<Waiter, oneshot::Sender<Answer>>,
    last_waiter: u64,
    /// Classic groups that the log does not have yet as they are.
    writing: HashMap<String, Writing>,
    last_write: u64,
    /// Offsets of open transactions, by partition of the topic and producer id, in the order in
    /// which they were committed.
    staged: HashMap<(i32, i64), Vec<Staged>>,
    /// When the timer looks next, in elapsed milliseconds.
    timer_ms: Option<i64>,
}

/// A group, whatever its protocol, and its offsets.
#[derive(Debug)]
struct Group {
    kind: Kind,
    offsets: Offsets,
}

#[derive(Debug)]
enum Kind {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// An offset that counts once its transaction is committed.
#[derive(Clone, Debug)]
struct Staged {
    group: String,
    topic: String,
    partition: i32,
    value: OffsetValue,
}

impl Groups {
    /// Reads what was written before the last stop.
    ///
    /// # Errors
    /// If the topic cannot be read, or holds what only a later release understands.
    pub(crate) async fn open(
        catalog: &Catalog,
        settings: BrokerSettings,
        clock: Clock,
    ) -> Result<Self, ReplayError> {
        let groups = Self {
            settings,
            clock,
            started: Instant::now(),
            inner: Arc::default(),
            timer: Arc::default(),
        };
        groups.replay(catalog).await?;
        Ok(groups)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Transitions do not panic half-way: they only move values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let elapsed = self.started.elapsed().as_millis();
        Now { elapsed_ms: i64::try_from(elapsed).unwrap_or(i64::MAX), wall_ms: self.clock.now_ms() }
    }

    fn rules(&self) -> Rules {
        Rules {
            initial_rebalance_delay_ms: self.settings.group_initial_rebalance_delay_ms,
            members_max: usize::try_from(self.settings.group_max_size).unwrap_or(usize::MAX),
        }
    }

    /// Wakes the timer if a group is due earlier than it thinks.
    fn tell_timer(&self, inner: &Inner, id: &str) {
        let deadline_ms = inner.groups.get(id).and_then(Group::next_deadline_ms);
        if let Some(deadline_ms) = deadline_ms
            && inner.timer_ms.is_none_or(|timer_ms| deadline_ms < timer_ms)
        {
            self.timer.notify_one();
        }
    }

    /// Makes the topic of the groups if there is none yet.
    ///
    /// # Errors
    /// `COORDINATOR_NOT_AVAILABLE`.
    pub(crate) async fn ensure_topic(&self, catalog: &Catalog) -> Result<(), ErrorCode> {
        log::ensure(catalog).await.map(|_| ())
    }

    /// The partition of `__consumer_offsets` that a group is kept in.
    pub(crate) fn partition_of(&self, catalog: &Catalog, group: &str) -> Result<i32, ErrorCode> {
        let topic = catalog.topic(OFFSETS_TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        Ok(log::partition_of(group, topic.partitions.len()))
    }
}

impl Inner {
    /// A group that there is, or a new one without members.
    ///
    /// # Errors
    /// `COORDINATOR_NOT_AVAILABLE` if there are too many.
    fn group_or_new(&mut self, id: &str, rules: Rules, now: Now) -> Result<&mut Group, ErrorCode> {
        if !self.groups.contains_key(id) {
            if self.groups.len() >= GROUPS_MAX {
                tracing::warn!("a group was refused: there are {GROUPS_MAX}");
                return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
            self.groups.insert(id.to_owned(), Group::new(rules, now));
        }
        Ok(self.groups.get_mut(id).expect("it was there, or was just put there"))
    }

    /// Forgets a group of which nothing was ever written: somebody asked, and was refused or left.
    fn forget_if_unused(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Group::is_unused) {
            self.groups.remove(id);
        }
    }

    fn new_waiter(&mut self) -> (Waiter, oneshot::Receiver<Answer>) {
        self.last_waiter += 1;
        let waiter = Waiter(self.last_waiter);
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(waiter, sender);
        (waiter, receiver)
    }
}

impl Group {
    fn new(rules: Rules, now: Now) -> Self {
        Self { kind: Kind::Classic(ClassicGroup::new(rules, now)), offsets: Offsets::default() }
    }

    fn is_unused(&self) -> bool {
        self.is_vacant() && !self.was_written() && self.offsets.is_empty()
    }

    /// Whether the log knows of more than its offsets.
    fn was_written(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.was_written(),
            Kind::Consumer(consumer) => !consumer.tombstones().is_empty(),
        }
    }

    fn is_vacant(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.is_vacant(),
            Kind::Consumer(consumer) => consumer.is_vacant(),
        }
    }

    /// What takes back what the log says of the group, its offsets apart.
    fn tombstones(&self, id: &str) -> Result<Vec<log::NewRecord>, ErrorCode> {
        let keys = match &self.kind {
            Kind::Classic(_) => vec![Key::Classic { group: id.to_owned() }],
            Kind::Consumer(consumer) => consumer.tombstones(),
        };
        let records = keys.iter().map(|key| Ok((key.to_bytes()?, None)));
        records.collect::<Result<_, _>>().map_err(|error| log::unwritable(&error))
    }

    /// Whether somebody may see the offsets; members of classic groups are not asked who they are.
    fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        match (&self.kind, member_id) {
            (Kind::Classic(_), _) => Ok(()),
            (Kind::Consumer(_), None) if member_epoch < 0 => Ok(()),
            (Kind::Consumer(consumer), member_id) => {
                consumer.check_epoch(member_id.unwrap_or_default(), member_epoch)
            }
        }
    }

    fn next_deadline_ms(&self) -> Option<i64> {
        match &self.kind {
            Kind::Classic(classic) => classic.next_deadline_ms(),
            Kind::Consumer(consumer) => consumer.next_deadline_ms(),
        }
    }
}

/// Kafka's rule for the id of a group that has members.
pub(crate) fn check_group_id(group: &str) -> Result<(), ErrorCode> {
    match group.is_empty() {
        true => Err(ErrorCode::INVALID_GROUP_ID),
        false => Ok(()),
    }
}
