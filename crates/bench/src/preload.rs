//! Fills the source: many requests on the way at once, one batch for each partition in each.

use std::collections::VecDeque;
use std::time::Duration;

use farlog_client::PendingResponse;
use farlog_wire::messages::produce_request::ProduceRequest;

use crate::batches::{self, SampleBatch};
use crate::clusters::Side;
use crate::dataset::{DatasetKind, PARTITIONS};
use crate::error::BenchError;

/// Different batches that are sent in turn: more than the CPU's caches hold of the large ones.
const SAMPLES: usize = 64;

/// Requests sent and not acknowledged.
const IN_FLIGHT_MAX: usize = 8;

const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(20);

/// A topic that holds a dataset.
#[derive(Clone, Debug)]
pub(crate) struct Preloaded {
    pub(crate) kind: DatasetKind,
    pub(crate) topic: String,
    pub(crate) records: u64,
    /// Batches as they lie on the source.
    pub(crate) bytes: u64,
    /// The same uncompressed.
    pub(crate) logical_bytes: u64,
}

/// Fills a topic with at least so many logical bytes.
pub(crate) async fn fill(
    side: &Side,
    kind: DatasetKind,
    logical_bytes_min: u64,
) -> Result<Preloaded, BenchError> {
    let mut loaded = Preloaded {
        kind,
        topic: format!("bulk-{}", kind.name()),
        records: 0,
        bytes: 0,
        logical_bytes: 0,
    };
    side.create_topic(&loaded.topic).await?;
    let samples = tokio::task::block_in_place(|| batches::samples(kind, SAMPLES))?;
    let connection = side.dial().await?;
    let mut in_flight = VecDeque::new();
    let mut turn = samples.iter().cycle();
    while loaded.logical_bytes < logical_bytes_min {
        let mut request = Vec::new();
        for (partition, sample) in (0..PARTITIONS).zip(turn.by_ref()) {
            request.push((partition, sample.batch.clone()));
            loaded.count(sample);
        }
        let topic = &loaded.topic;
        in_flight.push_back(batches::produce(&connection, topic, request, ACKNOWLEDGE_TIMEOUT));
        if in_flight.len() >= IN_FLIGHT_MAX {
            acknowledged(in_flight.pop_front()).await?;
        }
    }
    while !in_flight.is_empty() {
        acknowledged(in_flight.pop_front()).await?;
    }
    let records = side.records(&loaded.topic).await?;
    if records != loaded.records {
        let wanted = loaded.records;
        return Err(BenchError::new(format!("the source holds {records} of {wanted} records")));
    }
    Ok(loaded)
}

impl Preloaded {
    fn count(&mut self, sample: &SampleBatch) {
        self.records += sample.records;
        self.bytes += sample.batch.len() as u64;
        self.logical_bytes += sample.logical_bytes;
    }
}

async fn acknowledged(pending: Option<PendingResponse<ProduceRequest>>) -> Result<(), BenchError> {
    match pending {
        None => Ok(()),
        Some(pending) => batches::check_produced(
            pending.await.map_err(BenchError::while_doing("cannot fill the source"))?,
        ),
    }
}
