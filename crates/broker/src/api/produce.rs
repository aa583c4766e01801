//! Produce, versions 3 to 13.
//!
//! - KIP-98: idempotence. KIP-890: transactional batches are taken for partitions of an open
//!   transaction only; from version 12 on they make a partition part of it.
//! - KIP-467: a message beside the error code. KIP-516: topics by id in version 13.
//! - KIP-951: no other leader can be named, there is none.
//! - `acks=0` is not answered, but a refusal closes the connection; every other `acks` waits until
//!   the batch is durable, or the request's time is over (`REQUEST_TIMED_OUT`; it may become
//!   durable later, and is recognised if it is sent again).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::messages::produce_request::{ProduceRequest, TopicProduceData};
use farlog_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use farlog_wire::records::{BatchHeader, Compression, MAGIC};
use farlog_wire::{ErrorCode, VersionRange};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{Answer, RequestContext};
use crate::catalog::{Refusal, Topic};
use crate::limits::PRODUCE_WAIT_MIN;
use crate::partition::{AppendOrigin, AppendRefusal, Appended, Partition};
use crate::security::quota::Counted;
use crate::settling::Settling;
use crate::transactions::{Claim, Producer, Written};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 3, max: 13 };

/// From this version on topics are named by their ids.
const BY_ID: i16 = 13;
/// From this version on batches may be compressed with zstd (KIP-110).
const WITH_ZSTD: i16 = 7;

/// Where a batch says its format, and in which byte how it is compressed.
const MAGIC_AT: usize = 16;
const CODEC_AT: usize = 22;

/// From this version on clients know that a transaction can be aborted and begun again (KIP-890).
const KNOWS_ABORTABLE: i16 = 11;

/// From this version on a batch makes its partition part of the transaction (KIP-890).
const ADDS_PARTITIONS: i16 = 12;

/// What became of one partition's batch so far.
struct Outcome {
    index: i32,
    appended: Result<(Arc<Partition>, Placed), AppendRefusal>,
}

/// A batch that has its place, and what its transaction wrote for it.
type Placed = (Appended, Option<Written>);

pub(super) async fn handle(
    context: RequestContext,
    request: ProduceRequest,
) -> Answer<ProduceResponse> {
    let acks = request.acks;
    let throttle_time_ms = context.throttle(Counted::Produced, context.request_bytes);
    let transactional_id = request.transactional_id;
    let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.max(PRODUCE_WAIT_MIN);
    let answer =
        |responses| ProduceResponse { responses, throttle_time_ms, ..ProduceResponse::default() };
    // Everything is appended before the first wait, so that requests of one connection that wait
    // together were appended in their order.
    let mut outcomes = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let (name, topic_id) = (topic.name.clone(), topic.topic_id);
        outcomes.push((
            name,
            topic_id,
            append_topic(&context, topic, acks, transactional_id.as_deref()),
        ));
    }
    let mut responses = Vec::with_capacity(outcomes.len());
    for (name, topic_id, partitions) in outcomes {
        let partition_responses =
            join_all(partitions.into_iter().map(|one| one.settle(deadline))).await;
        responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    if acks != 0 {
        return Answer::Response(answer(responses));
    }
    let mut partitions = responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| partition.error_code.is_error()) {
        None => Answer::Nothing,
        // The client awaits no answer: a closed connection tells it that something is wrong.
        Some(refused) => Answer::Close(refused.error_code),
    }
}

fn append_topic(
    context: &RequestContext,
    data: TopicProduceData,
    acks: i16,
    transactional_id: Option<&str>,
) -> Vec<Outcome> {
    let topic = find(context, &data);
    let append = |index: i32, records: Option<Bytes>| {
        if !(-1..=1).contains(&acks) {
            return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
        }
        let topic = topic.as_ref().map_err(|&code| code)?;
        let partition = topic.partition(index)?;
        let records = one_batch(records.unwrap_or_default(), context.version)?;
        let now_ms = context.broker.clock.now_ms();
        let producer = transactional_producer(&records);
        let mut refused = None;
        let append = || partition.append(records, AppendOrigin::Client, &topic.configs, now_ms);
        let placed = match producer {
            None => (append()?, None),
            // In a transaction of nobody: Kafka takes it for the bytes that it is.
            Some(producer) if producer.id < 0 && transactional_id.is_some() => (append()?, None),
            Some(producer) => {
                let id =
                    transactional_id.ok_or(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
                let adds = context.version >= ADDS_PARTITIONS;
                let claim = Claim { id, producer, topic: &topic.name, index, adds };
                let broker = &context.broker;
                let append = || append().map_err(|refusal| refused.insert(refusal).clone().into());
                let placed = broker.transactions.append(broker, claim, append);
                placed.map_err(|refusal| match refused {
                    Some(by_partition) => by_partition,
                    None => unclaimed(refusal, context.version).into(),
                })?
            }
        };
        Ok((Arc::clone(partition), placed))
    };
    let partitions = data.partition_data.into_iter();
    partitions
        .map(|data| Outcome { index: data.index, appended: append(data.index, data.records) })
        .collect()
}

/// Who wrote a batch of a transaction; `None` for every other batch.
fn transactional_producer(records: &[u8]) -> Option<Producer> {
    // What is not a batch is refused when it is appended.
    let header = BatchHeader::parse(records).ok()?;
    let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
    header.attributes.is_transactional().then_some(producer)
}

/// The coordinator's refusals, as producers know them from partitions.
fn unclaimed(refusal: Refusal, version: i16) -> Refusal {
    let code = match refusal.code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < KNOWS_ABORTABLE => {
            ErrorCode::INVALID_TXN_STATE
        }
        // Retriable, and known to every version.
        ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_ENOUGH_REPLICAS,
        code => code,
    };
    Refusal { code, ..refusal }
}

fn find(context: &RequestContext, data: &TopicProduceData) -> Result<Arc<Topic>, ErrorCode> {
    let catalog = &context.broker.catalog;
    let topic = if context.version >= BY_ID {
        catalog.topic_by_id(data.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?
    } else {
        catalog.topic(&data.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?
    };
    if topic.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    Ok(topic)
}

fn wrong(batch_index: i32) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: None }
}

/// The one batch of a partition, as Kafka takes it from a request
/// (`ProduceRequest.validateRecords`): what follows it and is too short to be a batch is left out.
fn one_batch(records: Bytes, version: i16) -> Result<Bytes, AppendRefusal> {
    let invalid = |message: &str| {
        let refusal = Refusal::new(ErrorCode::INVALID_RECORD, message);
        Err(refusal.into())
    };
    let Some(first) = batch_bytes(&records)? else {
        return invalid("Produce requests must have a record batch per partition");
    };
    if records[MAGIC_AT] != MAGIC as u8 {
        return invalid("Produce requests can only hold record batches of magic version 2");
    }
    let codec = records.get(CODEC_AT).map_or(0, |bits| bits & 7);
    if version < WITH_ZSTD && codec == Compression::Zstd as u8 {
        let message = "Produce requests of this version cannot hold zstd";
        return Err(Refusal::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, message).into());
    }
    if batch_bytes(&records[first..])?.is_some() {
        return invalid("Produce requests can only hold one record batch per partition");
    }
    Ok(records.slice(..first))
}

/// Bytes of the batch at the front; `None` if there is less than one.
fn batch_bytes(records: &[u8]) -> Result<Option<usize>, ErrorCode> {
    let Some(length) = records.get(8..12).and_then(|length| length.first_chunk::<4>()) else {
        return Ok(None);
    };
    // The oldest messages were that long at least.
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    if length < 14 {
        return Err(ErrorCode::CORRUPT_MESSAGE);
    }
    match records.get(MAGIC_AT) {
        Some(&magic) if magic > MAGIC as u8 => Err(ErrorCode::CORRUPT_MESSAGE),
        Some(_) if 12 + length <= records.len() => Ok(Some(12 + length)),
        _ => Ok(None),
    }
}

impl Outcome {
    async fn settle(self, deadline: Instant) -> PartitionProduceResponse {
        let refused = |refusal: AppendRefusal| PartitionProduceResponse {
            index: self.index,
            error_code: refusal.code,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: refusal.log_start_offset,
            record_errors: refusal.wrong_records.iter().map(|&index| wrong(index)).collect(),
            error_message: refusal.message,
            ..PartitionProduceResponse::default()
        };
        let placed = match self.appended {
            Ok(placed) => placed,
            Err(refusal) => return refused(refusal),
        };
        let settled = timeout_at(deadline, Settling::new(durable(placed))).await;
        match settled.unwrap_or_else(|_| Err(ErrorCode::REQUEST_TIMED_OUT.into())) {
            Ok(appended) => PartitionProduceResponse {
                index: self.index,
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time_ms,
                log_start_offset: appended.log_start_offset,
                error_message: None,
                ..PartitionProduceResponse::default()
            },
            Err(refusal) => refused(refusal.into()),
        }
    }
}

/// Waits until a batch is durable, and what its transaction wrote for it.
async fn durable((partition, placed): (Arc<Partition>, Placed)) -> Result<Appended, Refusal> {
    let (mut appended, written) = placed;
    if let Some(written) = written {
        written.settle().await?;
    }
    partition.settle(&mut appended).await?;
    Ok(appended)
}
