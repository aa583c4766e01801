//! Produce, versions 3 to 13.
//!
//! - KIP-98: idempotence; transactional batches are taken for partitions of an open transaction.
//! - KIP-467: a message beside the error code. KIP-516: topics by id in version 13.
//! - KIP-951: no other leader can be named, there is none.
//! - `acks=0` is not answered; every other `acks` waits until the batch is durable.

use std::sync::Arc;

use bytes::Bytes;
use farlog_wire::messages::produce_request::{ProduceRequest, TopicProduceData};
use farlog_wire::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use farlog_wire::{ErrorCode, VersionRange};
use futures_util::future::join_all;

use super::RequestContext;
use crate::catalog::{Refusal, Topic};
use crate::partition::{AppendOrigin, Appended, Partition};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 3, max: 13 };

/// From this version on topics are named by their ids.
const BY_ID: i16 = 13;

/// What became of one partition's batch so far.
struct Outcome {
    index: i32,
    appended: Result<(Arc<Partition>, Appended), Refusal>,
}

pub(super) async fn handle(
    context: RequestContext,
    request: ProduceRequest,
) -> Option<ProduceResponse> {
    let acks = request.acks;
    let answer = |responses| ProduceResponse { responses, ..ProduceResponse::default() };
    // Everything is appended before the first wait, so that requests of one connection that wait
    // together were appended in their order.
    let mut outcomes = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let (name, topic_id) = (topic.name.clone(), topic.topic_id);
        outcomes.push((name, topic_id, append_topic(&context, topic, acks)));
    }
    let mut responses = Vec::with_capacity(outcomes.len());
    for (name, topic_id, partitions) in outcomes {
        let partition_responses = join_all(partitions.into_iter().map(Outcome::settle)).await;
        responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    (acks != 0).then(|| answer(responses))
}

fn append_topic(context: &RequestContext, data: TopicProduceData, acks: i16) -> Vec<Outcome> {
    let topic = find(context, &data);
    let append = |index: i32, records: Option<Bytes>| {
        if !(-1..=1).contains(&acks) {
            return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
        }
        let topic = topic.as_ref().map_err(|&code| code)?;
        let partition = topic.partition(index)?;
        let records = records.ok_or_else(|| {
            Refusal::new(ErrorCode::INVALID_RECORD, "The request holds no records.")
        })?;
        let now_ms = context.broker.clock.now_ms();
        let appended = partition.append(records, AppendOrigin::Client, &topic.configs, now_ms)?;
        Ok((Arc::clone(partition), appended))
    };
    let partitions = data.partition_data.into_iter();
    partitions
        .map(|data| Outcome { index: data.index, appended: append(data.index, data.records) })
        .collect()
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

impl Outcome {
    async fn settle(self) -> PartitionProduceResponse {
        let refused = |refusal: Refusal| PartitionProduceResponse {
            index: self.index,
            error_code: refusal.code,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            error_message: refusal.message,
            ..PartitionProduceResponse::default()
        };
        let (partition, mut appended) = match self.appended {
            Ok(appended) => appended,
            Err(refusal) => return refused(refusal),
        };
        match partition.settle(&mut appended).await {
            Ok(()) => PartitionProduceResponse {
                index: self.index,
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time_ms,
                log_start_offset: appended.log_start_offset,
                error_message: None,
                ..PartitionProduceResponse::default()
            },
            Err(refusal) => refused(refusal),
        }
    }
}
