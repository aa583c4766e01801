//! Writing to the state topic: one task, many records to a request, each acknowledged by all
//! in-sync replicas before its writer goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use farlog_client::{Cluster, TopicPartition};
use farlog_wire::records::{BatchWriter, ProducerStamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::journal::{Journal, MirrorFacts};
use super::place::StatePlace;
use super::record::{MirrorId, StateKey, StateValue};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::limits::{STATE_WRITE_ATTEMPTS_MAX, STATE_WRITE_BYTES_MAX, STATE_WRITES_WAITING_MAX};

/// A record could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateWriteError {
    /// The target did not take it.
    #[error("writing to state topic {topic}: {why}")]
    Failed {
        /// The state topic.
        topic: String,
        /// What Kafka or the network said.
        why: String,
    },
    /// Too many records wait already.
    #[error("writing to the state topic: {waiting_max} records wait already, which is the limit")]
    Full {
        /// How many may wait.
        waiting_max: usize,
    },
    /// The writer has ended.
    #[error("the state writer has ended")]
    Ended,
}

#[derive(Debug)]
struct Write {
    key: Vec<u8>,
    value: Vec<u8>,
    done: oneshot::Sender<Result<(), StateWriteError>>,
}

/// Resolves when a record is acknowledged.
#[derive(Debug)]
pub struct Written(Handed);

#[derive(Debug)]
enum Handed {
    /// The writer has it.
    Over(oneshot::Receiver<Result<(), StateWriteError>>),
    /// The writer did not take it.
    Back(StateWriteError),
}

impl Future for Written {
    type Output = Result<(), StateWriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Handed::Over(done) => {
                Pin::new(done).poll(context).map(|done| done.unwrap_or(Err(StateWriteError::Ended)))
            }
            Handed::Back(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

/// What a link remembers: read once, kept in step with what is written.
#[derive(Clone, Debug)]
pub struct StateStore {
    writes: mpsc::Sender<Write>,
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
        let (writes, receiver) = mpsc::channel(STATE_WRITES_WAITING_MAX);
        let task = Task { cluster, place, clock, writes: receiver };
        (Self { writes, journal: Arc::new(Mutex::new(journal)) }, task.run())
    }

    /// Hands over a record; the answer says when it is safe. Fails at once if too many wait.
    pub fn enqueue(&self, key: StateKey, value: StateValue) -> Written {
        let (done, written) = oneshot::channel();
        let write = Write { key: key.to_string().into_bytes(), value: value.to_bytes(), done };
        let handed = match self.writes.try_send(write) {
            Ok(()) => Handed::Over(written),
            Err(TrySendError::Full(_)) => {
                Handed::Back(StateWriteError::Full { waiting_max: self.writes.max_capacity() })
            }
            Err(TrySendError::Closed(_)) => Handed::Back(StateWriteError::Ended),
        };
        // An entry is a hypothesis anyway, and facts are true written or not.
        self.lock().set(key, Some(value));
        Written(handed)
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
    pub(crate) fn learn(&self, read: Journal) {
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

struct Task {
    cluster: Cluster,
    place: StatePlace,
    clock: Clock,
    writes: mpsc::Receiver<Write>,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.writes.recv().await {
            let mut bytes = first.key.len() + first.value.len();
            let mut writes = vec![first];
            while bytes < STATE_WRITE_BYTES_MAX {
                let Ok(next) = self.writes.try_recv() else { break };
                bytes += next.key.len() + next.value.len();
                writes.push(next);
            }
            let outcome = self.write(&writes).await;
            for write in writes {
                // Who no longer waits has reached its end.
                let _ = write.done.send(outcome.clone());
            }
        }
    }

    async fn write(&self, writes: &[Write]) -> Result<(), StateWriteError> {
        let mut backoff = Backoff::new();
        let mut attempts = 1;
        loop {
            // Repeating is harmless: the same key gets the same value.
            let failed = match self.write_once(writes).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if attempts >= STATE_WRITE_ATTEMPTS_MAX {
                return Err(StateWriteError::Failed {
                    topic: self.place.topic.clone(),
                    why: failed,
                });
            }
            attempts += 1;
            sleep(backoff.next()).await;
        }
    }

    async fn write_once(&self, writes: &[Write]) -> Result<(), String> {
        let mut batch = BatchWriter::new();
        let now_ms = self.clock.now_ms();
        for write in writes {
            batch.push(now_ms, Some(&write.key), Some(&write.value), &[]);
        }
        let batch = batch.finish(ProducerStamp::NONE).map_err(|error| error.to_string())?;
        let place = TopicPartition::new(self.place.topic.as_str(), self.place.partition);
        self.cluster
            .produce_batch(&place, &batch)
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use farlog_wire::primitives::Uuid;

    use super::*;
    use crate::state::Fact;

    /// A record like those that partitions save.
    fn anchor(number: i32) -> (StateKey, StateValue) {
        let mirror = MirrorId {
            link: "link".to_owned(),
            source_topic_id: Uuid([1; 16]),
            target_topic_id: Uuid([2; 16]),
            partition: number,
        };
        let fact = Fact { target_offset: 1, source_offset: 1, source_leader_epoch: 0, turn: 0 };
        (StateKey::Anchor(mirror), StateValue::Fact(fact))
    }

    #[tokio::test]
    async fn a_full_queue_and_an_ended_writer_are_told_apart() {
        let (writes, receiver) = mpsc::channel(STATE_WRITES_WAITING_MAX);
        let store = StateStore { writes, journal: Arc::new(Mutex::new(Journal::new(1))) };
        let (key, value) = anchor(0);
        let waiting: Vec<Written> = (0..STATE_WRITES_WAITING_MAX)
            .map(|_| store.enqueue(key.clone(), value.clone()))
            .collect();
        let full = store.enqueue(key.clone(), value.clone()).await.unwrap_err().to_string();
        assert!(full.contains(&format!("{STATE_WRITES_WAITING_MAX} records wait")), "{full}");
        drop(receiver);
        for written in waiting {
            assert!(matches!(written.await, Err(StateWriteError::Ended)));
        }
        assert!(matches!(store.enqueue(key, value).await, Err(StateWriteError::Ended)));
    }
}
