//! The consumer at the end of the line: one long-polling fetch over all partitions, on a
//! connection of its own.

use std::time::{Duration, Instant};

use farlog_client::Connection;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::fetch_response::PartitionData;
use tokio::sync::watch;

use crate::batches;
use crate::dataset::PARTITIONS;
use crate::error::BenchError;
use crate::load::Stamp;

/// How long the broker holds a fetch back while there is nothing; data is answered at once.
const FETCH_WAIT_MS: i32 = 500;

/// Seconds of the load, for one partition.
const FETCH_BYTES_MAX: i32 = 4 * 1024 * 1024;

/// The highest version that names topics; later ones want the topic id.
const FETCH_VERSION: i16 = 12;

/// A record at the end of the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) due: Instant,
    pub(crate) at: Instant,
}

/// Reads a topic from its start until nobody waits for its progress any more.
#[derive(Debug)]
pub(crate) struct Consumer {
    connection: Connection,
    topic: String,
    origin: Instant,
    positions: [Position; PARTITIONS as usize],
    arrivals: Vec<Arrival>,
    /// When the latest record of the partition that is furthest behind was due.
    progress: watch::Sender<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    offset: i64,
    /// The number that the next record must bear: none is lost, none comes twice.
    number: u64,
    reached: Option<Instant>,
}

impl Consumer {
    pub(crate) fn new(
        connection: Connection,
        topic: &str,
        origin: Instant,
        progress: watch::Sender<Option<Instant>>,
    ) -> Consumer {
        Consumer {
            connection,
            topic: topic.to_owned(),
            origin,
            positions: Default::default(),
            arrivals: Vec::new(),
            progress,
        }
    }

    /// Every record, in the order of arrival.
    pub(crate) async fn run(mut self) -> Result<Vec<Arrival>, BenchError> {
        while !self.progress.is_closed() {
            let response = self
                .connection
                .send_version(&self.request(), FETCH_VERSION)
                .await
                .map_err(BenchError::while_doing("cannot consume the mirror"))?;
            let at = Instant::now();
            for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
                self.take(partition, at)?;
            }
            let reached = self.positions.iter().map(|position| position.reached).min();
            self.progress.send_replace(reached.flatten());
        }
        Ok(self.arrivals)
    }

    fn request(&self) -> FetchRequest {
        let partition = |(index, position): (usize, &Position)| FetchPartition {
            partition: index as i32,
            fetch_offset: position.offset,
            partition_max_bytes: FETCH_BYTES_MAX,
            ..FetchPartition::default()
        };
        FetchRequest {
            max_wait_ms: FETCH_WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX * PARTITIONS,
            session_id: 0,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: self.positions.iter().enumerate().map(partition).collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    fn take(&mut self, data: PartitionData, at: Instant) -> Result<(), BenchError> {
        let partition = data.partition_index;
        if let Err(code) = data.error_code.check() {
            let topic = &self.topic;
            return Err(BenchError::new(format!("cannot consume {topic}-{partition}: {code}")));
        }
        let position = usize::try_from(partition)
            .ok()
            .and_then(|index| self.positions.get_mut(index))
            .ok_or_else(|| BenchError::new(format!("nobody asked for partition {partition}")))?;
        let (origin, arrivals) = (self.origin, &mut self.arrivals);
        batches::each_record(data.records.unwrap_or_default(), |offset, value| {
            // A broker answers with the whole batch around the offset that was asked for.
            if offset < position.offset {
                return Ok(());
            }
            let stamp = Stamp::read(value)
                .ok_or_else(|| BenchError::new("a record that is not of the load"))?;
            if stamp.number != position.number {
                let (found, wanted) = (stamp.number, position.number);
                return Err(BenchError::new(format!(
                    "partition {partition}: record {found} where {wanted} belongs"
                )));
            }
            let due = origin + Duration::from_nanos(stamp.due_ns);
            *position =
                Position { offset: offset + 1, number: stamp.number + 1, reached: Some(due) };
            arrivals.push(Arrival { due, at });
            Ok(())
        })
    }
}
