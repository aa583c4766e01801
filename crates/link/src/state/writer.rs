//! Writing to the state topic: one task, many records to a request, each acknowledged by all
//! in-sync replicas before its writer goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use farlog_client::{Cluster, TopicPartition};
use farlog_wire::records::{BatchWriter, ProducerStamp};
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
pub struct Written(Option<oneshot::Receiver<Result<(), StateWriteError>>>);

impl Future for Written {
    type Output = Result<(), StateWriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(done) => {
                Pin::new(done).poll(context).map(|done| done.unwrap_or(Err(StateWriteError::Ended)))
            }
            None => Poll::Ready(Err(StateWriteError::Ended)),
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
        let taken = self.writes.try_send(write).is_ok();
        // An entry is a hypothesis anyway, and facts are true written or not.
        self.lock().set(key, Some(value));
        Written(taken.then_some(written))
    }

    /// Writes a record and waits until it is safe.
    pub async fn write(&self, key: StateKey, value: StateValue) -> Result<(), StateWriteError> {
        self.enqueue(key, value).await
    }

    /// What is known of a mirror partition.
    pub fn facts(&self, mirror: &MirrorId) -> MirrorFacts {
        self.lock().facts(mirror)
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
