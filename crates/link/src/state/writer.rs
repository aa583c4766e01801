//! What a link remembers: written to the state topic, kept in memory in step with it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use farlog_client::{Cluster, TopicPartition};

use super::journal::{Journal, MirrorFacts};
use super::place::StatePlace;
use super::record::{MirrorId, StateKey, StateValue};
use crate::clock::Clock;
use crate::topic_writer::TopicWriter;
pub use crate::topic_writer::{TopicWriteError as StateWriteError, Written};

/// What a link remembers: read once, kept in step with what is written.
#[derive(Clone, Debug)]
pub struct StateStore {
    writer: TopicWriter,
    journal: Arc<Mutex<Journal>>,
}

impl StateStore {
    /// A store over one partition of the state topic, and the task that writes.
    pub(crate) fn new(
        cluster: Cluster,
        place: StatePlace,
        clock: Clock,
        journal: Journal,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let place = TopicPartition::new(place.topic, place.partition);
        let (writer, writing) = TopicWriter::new(cluster, place, clock);
        (Self { writer, journal: Arc::new(Mutex::new(journal)) }, writing)
    }

    /// Hands over a record; the answer says when it is safe. Fails at once if too many wait.
    pub fn enqueue(&self, key: StateKey, value: StateValue) -> Written {
        let written = self.writer.enqueue(key.to_string().into_bytes(), value.to_bytes());
        // An entry is a hypothesis anyway, and facts are true written or not.
        self.lock().set(key, Some(value));
        written
    }

    /// Hands over that a record counts no more. Nothing is lost if it is not written.
    pub(crate) fn forget(&self, key: StateKey) -> Written {
        let written = self.writer.enqueue_tombstone(key.to_string().into_bytes());
        self.lock().set(key, None);
        written
    }

    /// Whether what can be put off should be.
    pub(crate) fn is_busy(&self) -> bool {
        self.writer.is_busy()
    }

    /// Writes a record and waits until it is safe.
    pub async fn write(&self, key: StateKey, value: StateValue) -> Result<(), StateWriteError> {
        self.enqueue(key, value).await
    }

    /// What is known of a mirror partition.
    pub fn facts(&self, mirror: &MirrorId) -> MirrorFacts {
        self.lock().facts(mirror)
    }

    /// Adds what was read from the state topic again.
    pub(crate) fn learn(&self, read: &Journal) {
        self.lock().learn(read);
    }

    /// The mirror partitions that something is known of.
    pub fn mirrors(&self) -> Vec<MirrorId> {
        self.lock().mirrors().map(|(mirror, _)| mirror.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("no holder of this lock panics")
    }
}
