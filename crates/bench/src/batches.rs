//! Record batches of the bench: what loads send and consumers take apart.

use std::time::Duration;

use bytes::Bytes;
use farlog_client::{Connection, PendingResponse};
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::messages::produce_response::ProduceResponse;
use farlog_wire::records::{
    self, BATCH_HEADER_BYTES, BatchError, BatchWriter, Compression, ProducerStamp,
};

use crate::dataset::{DatasetKind, VALUE_BYTES};
use crate::error::BenchError;
use crate::load::now_ms;
use crate::values::Values;

/// All in-sync replicas.
const ACKS_ALL: i16 = -1;

/// The highest version that names topics; the next one wants the topic id.
const PRODUCE_VERSION: i16 = 12;

/// Room for batches that compress less well than the one that was tried.
const COMPRESSED_MARGIN: f64 = 0.99;

/// A batch of a dataset, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct SampleBatch {
    pub(crate) batch: Bytes,
    pub(crate) records: u64,
    /// Its size without compression.
    pub(crate) logical_bytes: u64,
}

/// Different batches of a dataset, all with the same number of records.
pub(crate) fn samples(kind: DatasetKind, count: usize) -> Result<Vec<SampleBatch>, BenchError> {
    let values = |seed| Values::new(seed, kind.is_compressed());
    let records = records_that_fit(kind, |records| sample(kind, records, &mut values(0)))
        .map_err(BenchError::while_doing("cannot build a batch"))?;
    (1..=count as u64)
        .map(|seed| sample(kind, records, &mut values(seed)))
        .collect::<Result<_, _>>()
        .map_err(BenchError::while_doing("cannot build a batch"))
}

/// The most records of which a batch stays within the dataset's size.
fn records_that_fit(
    kind: DatasetKind,
    try_batch: impl Fn(usize) -> Result<SampleBatch, BatchError>,
) -> Result<usize, BatchError> {
    let margin = if kind.is_compressed() { COMPRESSED_MARGIN } else { 1.0 };
    let bytes_max = (kind.batch_bytes_max() as f64 * margin) as usize;
    // A batch of `fits` records fits; one of `exceeds` does not, for text shrinks by no more than
    // a few times.
    let (mut fits, mut exceeds) = (1, 16 * kind.batch_bytes_max() / VALUE_BYTES);
    while exceeds - fits > 1 {
        let middle = fits.midpoint(exceeds);
        if try_batch(middle)?.batch.len() <= bytes_max { fits = middle } else { exceeds = middle }
    }
    Ok(fits)
}

fn sample(
    kind: DatasetKind,
    records: usize,
    values: &mut Values,
) -> Result<SampleBatch, BatchError> {
    let codec = if kind.is_compressed() { Compression::Zstd } else { Compression::None };
    let mut writer = BatchWriter::new().compression(codec);
    let mut value = vec![0; VALUE_BYTES];
    let timestamp = now_ms();
    for _ in 0..records {
        values.fill(&mut value);
        writer.push(timestamp, None, Some(&value), &[]);
    }
    let logical_bytes = (BATCH_HEADER_BYTES + writer.records_bytes()) as u64;
    let batch = writer.finish(ProducerStamp::NONE)?.to_bytes();
    Ok(SampleBatch { batch, records: records as u64, logical_bytes })
}

/// A batch of one record.
pub(crate) fn of_one(value: &[u8]) -> Result<Bytes, BenchError> {
    let mut writer = BatchWriter::new();
    writer.push(now_ms(), None, Some(value), &[]);
    let batch = writer.finish(ProducerStamp::NONE);
    Ok(batch.map_err(BenchError::while_doing("cannot build a batch"))?.to_bytes())
}

/// Sends one batch to each of some partitions, all different.
pub(crate) fn produce(
    connection: &Connection,
    topic: &str,
    batches: impl IntoIterator<Item = (i32, Bytes)>,
    acknowledge_timeout: Duration,
) -> PendingResponse<ProduceRequest> {
    let partition = |(index, records)| PartitionProduceData { index, records: Some(records) };
    let request = ProduceRequest {
        acks: ACKS_ALL,
        timeout_ms: i32::try_from(acknowledge_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: batches.into_iter().map(partition).collect(),
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    connection.send_version(&request, PRODUCE_VERSION)
}

/// Whether every partition took its batch.
pub(crate) fn check_produced(response: ProduceResponse) -> Result<(), BenchError> {
    for topic in response.responses {
        for partition in topic.partition_responses {
            if let Err(code) = partition.error_code.check() {
                let (name, index) = (&topic.name, partition.index);
                return Err(BenchError::new(format!("cannot produce to {name}-{index}: {code}")));
            }
        }
    }
    Ok(())
}

/// Calls back with the offset and the value of every record in a fetch response.
pub(crate) fn each_record(
    fetched: Bytes,
    mut each: impl FnMut(i64, &[u8]) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    for batch in records::batches(fetched) {
        let batch = batch.map_err(BenchError::while_doing("cannot read a batch"))?;
        let records = records::records(&batch);
        for record in records.map_err(BenchError::while_doing("cannot read a batch"))? {
            each(record.offset, record.value.unwrap_or_default())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_close_to_the_size_of_their_dataset() {
        for kind in DatasetKind::ALL {
            for sample in samples(kind, 3).unwrap() {
                let (bytes, bytes_max) = (sample.batch.len(), kind.batch_bytes_max());
                assert!(bytes <= bytes_max, "{kind:?}: {bytes} bytes");
                let bytes_min = bytes_max - VALUE_BYTES - bytes_max / 50;
                assert!(bytes >= bytes_min, "{kind:?}: {bytes} bytes");
                assert_eq!(sample.logical_bytes > bytes as u64, kind.is_compressed());
            }
        }
    }

    #[test]
    fn zstd_leaves_more_than_half() {
        for kind in [DatasetKind::LargeZstd, DatasetKind::SmallZstd] {
            let sample = samples(kind, 1).unwrap().remove(0);
            let ratio = sample.logical_bytes as f64 / sample.batch.len() as f64;
            assert!((1.3..2.0).contains(&ratio), "{kind:?}: {ratio}");
        }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let batch = of_one(b"value").unwrap();
        let mut read = Vec::new();
        each_record(batch, |offset, value| {
            read.push((offset, value.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(read, [(0, b"value".to_vec())]);
    }
}
