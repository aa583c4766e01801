//! The steady load: one record for each of four partitions every two milliseconds.
//!
//! A thread of its own keeps the pace, for timers of a runtime are too coarse. Every record says
//! when it was due and which one it is, so that a late send counts as latency and a lost or a
//! second copy is seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, BufMut as _};
use farlog_client::{Connection, PendingResponse};
use farlog_wire::messages::produce_request::ProduceRequest;
use tokio::sync::mpsc;

use crate::batches;
use crate::dataset::{PARTITIONS, VALUE_BYTES};
use crate::error::BenchError;
use crate::values::Values;

/// One record for each partition in every tick: 2,000 records a second.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Bytes of [`Stamp`] at the start of a value.
const STAMP_BYTES: usize = 16;

/// Different values that are sent in turn.
const VALUES: usize = 64;

/// Requests sent and not acknowledged: a second of the load. When the source gets so far behind,
/// the load waits for it, and what it then sends late counts as latency.
const UNACKNOWLEDGED_MAX: usize = 500;

/// How long the source may take to acknowledge.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The load in words, for the report.
pub(crate) fn described() -> String {
    format!(
        "every {TICK:?} one request with a batch of one {VALUE_BYTES}-byte record for each of \
         {PARTITIONS} partitions, acks=all; latency counts from the moment the request was due"
    )
}

/// What a record says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Nanoseconds from the load's origin to the moment the record was due.
    pub(crate) due_ns: u64,
    /// Position of the record in its partition, from 0.
    pub(crate) number: u64,
}

impl Stamp {
    fn write(self, value: &mut [u8]) {
        let mut head = &mut value[..STAMP_BYTES];
        head.put_u64(self.due_ns);
        head.put_u64(self.number);
    }

    /// `None` when the value is too short to be one of ours.
    pub(crate) fn read(mut value: &[u8]) -> Option<Stamp> {
        if value.len() < STAMP_BYTES {
            return None;
        }
        Some(Stamp { due_ns: value.get_u64(), number: value.get_u64() })
    }
}

/// A request on its way to the source.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) due: Instant,
    pub(crate) response: PendingResponse<ProduceRequest>,
}

/// A request that the source has acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) due: Instant,
    pub(crate) at: Instant,
}

/// Waits for every acknowledgement, until the load has ended.
pub(crate) async fn acknowledgements(
    mut sent: mpsc::Receiver<Sent>,
) -> Result<Vec<Acknowledged>, BenchError> {
    let mut acknowledged = Vec::new();
    while let Some(Sent { due, response }) = sent.recv().await {
        let response =
            response.await.map_err(BenchError::while_doing("cannot produce the load"))?;
        acknowledged.push(Acknowledged { due, at: Instant::now() });
        batches::check_produced(response)?;
    }
    Ok(acknowledged)
}

/// A running load; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    origin: Instant,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64, BenchError>>>,
}

impl Load {
    /// Starts producing to a topic. What is sent comes out of the channel.
    pub(crate) fn start(
        connection: Connection,
        topic: &str,
    ) -> Result<(Load, mpsc::Receiver<Sent>), BenchError> {
        let origin = Instant::now();
        let ending = Arc::new(AtomicBool::new(false));
        let (sent, receiver) = mpsc::channel(UNACKNOWLEDGED_MAX);
        let pace =
            Pace { connection, topic: topic.to_owned(), origin, sent, ending: ending.clone() };
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || pace.keep())
            .map_err(BenchError::while_doing("cannot start a thread"))?;
        Ok((Load { origin, ending, thread: Some(thread) }, receiver))
    }

    /// The moment that stamps count from.
    pub(crate) fn origin(&self) -> Instant {
        self.origin
    }

    /// Ends the load; says how many records each partition got.
    pub(crate) fn stop(mut self) -> Result<u64, BenchError> {
        self.ending.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(BenchError::new("the load's thread panicked")),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

struct Pace {
    connection: Connection,
    topic: String,
    origin: Instant,
    sent: mpsc::Sender<Sent>,
    ending: Arc<AtomicBool>,
}

impl Pace {
    fn keep(self) -> Result<u64, BenchError> {
        let mut values = values();
        let mut number = 0;
        while !self.ending.load(Ordering::Relaxed) {
            let tick = u32::try_from(number)
                .map_err(|_| BenchError::new("the load ran for longer than it can count"))?;
            let due = self.origin + TICK * tick;
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(early);
            }
            let index = tick as usize % values.len();
            let response = self.send(due, number, &mut values[index])?;
            // Nobody listens any more once the measurement is over.
            let _ = self.sent.blocking_send(Sent { due, response });
            number += 1;
        }
        Ok(number)
    }

    fn send(
        &self,
        due: Instant,
        number: u64,
        value: &mut [u8],
    ) -> Result<PendingResponse<ProduceRequest>, BenchError> {
        let due_ns = due.duration_since(self.origin).as_nanos();
        let stamp = Stamp { due_ns: u64::try_from(due_ns).unwrap_or(u64::MAX), number };
        stamp.write(value);
        let batch = batches::of_one(value)?;
        let batches = (0..PARTITIONS).map(|partition| (partition, batch.clone()));
        Ok(batches::produce(&self.connection, &self.topic, batches, ACKNOWLEDGE_TIMEOUT))
    }
}

fn values() -> Vec<Vec<u8>> {
    let mut source = Values::new(7, false);
    let value = |_| {
        let mut value = vec![0; VALUE_BYTES];
        source.fill(&mut value);
        value
    };
    (0..VALUES).map(value).collect()
}

/// Milliseconds since 1970, as records carry them.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { due_ns: 1 << 40, number: 77 };
        let mut value = vec![0xff; VALUE_BYTES];
        stamp.write(&mut value);
        assert_eq!(Stamp::read(&value), Some(stamp));
        assert_eq!(Stamp::read(&value[..15]), None);
    }
}
