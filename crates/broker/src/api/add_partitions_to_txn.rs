//! AddPartitionsToTxn, versions 0 to 5 (KIP-98).
//!
//! - All partitions of a transaction are added or none: with one that does not exist, the others
//!   are answered with `OPERATION_NOT_ATTEMPTED`.
//! - KIP-588: `PRODUCER_FENCED` from version 2 on.
//! - KIP-890: from version 4 on several transactions at once, which Kafka's brokers send each
//!   other, and the question whether partitions have been added (`verify_only`).

use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use farlog_wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::end_txn::fencing_of;
use crate::broker::Shared;
use crate::catalog::is_internal;
use crate::transactions::Producer;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

/// From this version on clients know `PRODUCER_FENCED` (KIP-588).
const KNOWS_FENCED: i16 = 2;

/// From this version on there are several transactions in a request.
const BATCHED: i16 = 4;

pub(super) async fn handle(
    context: RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if context.version < BATCHED {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        let result = answer(&context, transaction).await;
        return AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: result.topic_results,
            ..AddPartitionsToTxnResponse::default()
        };
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        results.push(answer(&context, transaction).await);
    }
    AddPartitionsToTxnResponse {
        results_by_transaction: results,
        ..AddPartitionsToTxnResponse::default()
    }
}

async fn answer(
    context: &RequestContext,
    transaction: AddPartitionsToTxnTransaction,
) -> AddPartitionsToTxnResult {
    let AddPartitionsToTxnTransaction { transactional_id, verify_only, topics, .. } = transaction;
    let producer = Producer { id: transaction.producer_id, epoch: transaction.producer_epoch };
    let broker = &context.broker;
    let knows_fenced = context.version >= KNOWS_FENCED;
    let topic_results = if verify_only {
        results(&topics, |topic, index| {
            let verified = broker.transactions.verify(&transactional_id, producer, topic, index);
            verified.err().unwrap_or(ErrorCode::NONE)
        })
    } else {
        let unknown = |topic: &str, index| missing(broker, topic, index);
        if pairs(&topics).any(|(topic, index)| unknown(topic, index).is_some()) {
            results(&topics, |topic, index| {
                unknown(topic, index).unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED)
            })
        } else {
            let partitions: Vec<(&str, i32)> = pairs(&topics).collect();
            let transactions = &broker.transactions;
            let added = transactions.add(broker, &transactional_id, producer, &partitions, 0).await;
            let code = added.err().unwrap_or(ErrorCode::NONE);
            results(&topics, |_, _| fencing_of(code, knows_fenced))
        }
    };
    AddPartitionsToTxnResult { transactional_id, topic_results }
}

fn pairs(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = (&str, i32)> {
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|&index| (topic.name.as_str(), index)))
}

/// Why a partition cannot be part of a transaction.
fn missing(broker: &Shared, topic: &str, index: i32) -> Option<ErrorCode> {
    if is_internal(topic) {
        return Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let Some(found) = broker.catalog.topic(topic) else {
        return Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    found.partition(index).err()
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let result = |topic: &AddPartitionsToTxnTopic| {
        let partition = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: code(&topic.name, partition_index),
        };
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: topic.partitions.iter().map(partition).collect(),
        }
    };
    topics.iter().map(result).collect()
}
