//! Writing records to one partition of an internal topic: one task, many records to a request, each
//! acknowledged by all in-sync replicas before its writer goes on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use farlog_client::{Cluster, TopicPartition};
use farlog_wire::records::{BatchWriter, ProducerStamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::limits::{STATE_WRITE_ATTEMPTS_MAX, STATE_WRITE_BYTES_MAX, STATE_WRITES_WAITING_MAX};

/// A record could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopicWriteError {
    /// The target did not take it.
    #[error("writing to topic {topic}: {why}")]
    Failed {
        /// The topic.
        topic: String,
        /// What Kafka or the network said.
        why: String,
    },
    /// Too many records wait already.
    #[error("writing to topic {topic}: {waiting_max} records wait already, which is the limit")]
    Full {
        /// The topic.
        topic: String,
        /// How many may wait.
        waiting_max: usize,
    },
    /// The writer has ended.
    #[error("the writer of an internal topic has ended")]
    Ended,
}

#[derive(Debug)]
struct Write {
    key: Vec<u8>,
    /// `None` for a tombstone.
    value: Option<Vec<u8>>,
    done: oneshot::Sender<Result<(), TopicWriteError>>,
}

impl Write {
    fn size_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Resolves when a record is acknowledged.
#[derive(Debug)]
pub struct Written(Handed);

#[derive(Debug)]
enum Handed {
    /// The writer has it.
    Over(oneshot::Receiver<Result<(), TopicWriteError>>),
    /// The writer did not take it.
    Back(TopicWriteError),
}

impl Future for Written {
    type Output = Result<(), TopicWriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Handed::Over(done) => {
                Pin::new(done).poll(context).map(|done| done.unwrap_or(Err(TopicWriteError::Ended)))
            }
            Handed::Back(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

/// Hands records to the task that writes them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TopicWriter {
    topic: String,
    writes: mpsc::Sender<Write>,
}

impl TopicWriter {
    /// A writer to one partition, and the task that writes. It ends when every writer is gone.
    pub(crate) fn new(
        cluster: Cluster,
        place: TopicPartition,
        clock: Clock,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (writes, receiver) = mpsc::channel(STATE_WRITES_WAITING_MAX);
        let topic = place.topic.to_string();
        (Self { topic, writes }, Task { cluster, place, clock, writes: receiver }.run())
    }

    /// Hands over a record; the answer says when it is safe. Fails at once if too many wait.
    pub(crate) fn enqueue(&self, key: Vec<u8>, value: Vec<u8>) -> Written {
        self.hand_over(key, Some(value))
    }

    /// Hands over a tombstone.
    pub(crate) fn enqueue_tombstone(&self, key: Vec<u8>) -> Written {
        self.hand_over(key, None)
    }

    /// Whether half as many records wait as may.
    pub(crate) fn is_busy(&self) -> bool {
        self.writes.capacity() < self.writes.max_capacity() / 2
    }

    fn hand_over(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Written {
        let (done, written) = oneshot::channel();
        Written(match self.writes.try_send(Write { key, value, done }) {
            Ok(()) => Handed::Over(written),
            Err(TrySendError::Full(_)) => {
                let (topic, waiting_max) = (self.topic.clone(), self.writes.max_capacity());
                Handed::Back(TopicWriteError::Full { topic, waiting_max })
            }
            Err(TrySendError::Closed(_)) => Handed::Back(TopicWriteError::Ended),
        })
    }
}

struct Task {
    cluster: Cluster,
    place: TopicPartition,
    clock: Clock,
    writes: mpsc::Receiver<Write>,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.writes.recv().await {
            let mut bytes = first.size_bytes();
            let mut writes = vec![first];
            while bytes < STATE_WRITE_BYTES_MAX {
                let Ok(next) = self.writes.try_recv() else { break };
                bytes += next.size_bytes();
                writes.push(next);
            }
            let outcome = self.write(&writes).await;
            for write in writes {
                // Who no longer waits has reached its end.
                let _ = write.done.send(outcome.clone());
            }
        }
    }

    async fn write(&self, writes: &[Write]) -> Result<(), TopicWriteError> {
        let mut backoff = Backoff::new();
        let mut attempts = 1;
        loop {
            // Repeating is harmless: the same key gets the same value.
            let failed = match self.write_once(writes).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if attempts >= STATE_WRITE_ATTEMPTS_MAX {
                return Err(TopicWriteError::Failed {
                    topic: self.place.topic.to_string(),
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
            batch.push(now_ms, Some(&write.key), write.value.as_deref(), &[]);
        }
        let batch = batch.finish(ProducerStamp::NONE).map_err(|error| error.to_string())?;
        self.cluster
            .produce_batch(&self.place, &batch)
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_and_an_ended_writer_are_told_apart() {
        let (writes, receiver) = mpsc::channel(STATE_WRITES_WAITING_MAX);
        let writer = TopicWriter { topic: "__farlog_state".to_owned(), writes };
        let enqueue = || writer.enqueue(b"key".to_vec(), b"value".to_vec());
        let waiting: Vec<Written> = (0..STATE_WRITES_WAITING_MAX).map(|_| enqueue()).collect();
        let full = enqueue().await.unwrap_err().to_string();
        assert!(full.contains(&format!("{STATE_WRITES_WAITING_MAX} records wait")), "{full}");
        drop(receiver);
        for written in waiting {
            assert!(matches!(written.await, Err(TopicWriteError::Ended)));
        }
        assert!(matches!(enqueue().await, Err(TopicWriteError::Ended)));
    }
}
