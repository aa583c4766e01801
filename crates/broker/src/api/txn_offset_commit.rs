//! TxnOffsetCommit, versions 0 to 5 (KIP-98): offsets that count when the transaction is committed.
//!
//! - KIP-320: leader epochs from version 2 on. KIP-447: the member and its generation from version
//!   3 on, so that a member that was replaced is fenced.
//! - KIP-890: refused unless the transaction is open and has the group's partition; from version 5
//!   on the partition becomes part of it.

use farlog_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use farlog_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use super::offset_commit::checked;
use crate::groups::{Committer, NewOffset, OFFSETS_TOPIC};
use crate::transactions::{Claim, Producer};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

/// From this version on clients know that a transaction can be aborted and begun again (KIP-890).
const KNOWS_ABORTABLE: i16 = 4;

/// From this version on the group's partition is made part of the transaction (KIP-890).
const ADDS_PARTITIONS: i16 = 5;

pub(super) async fn handle(
    context: RequestContext,
    mut request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut offsets = Vec::new();
    let topics = std::mem::take(&mut request.topics).into_iter();
    let mut topics: Vec<TxnOffsetCommitResponseTopic> =
        topics.map(|topic| check(&context, topic, &mut offsets)).collect();
    if !offsets.is_empty()
        && let Err(code) = commit(&context, request, &offsets).await
    {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.error_code == ErrorCode::NONE {
                partition.error_code = code;
            }
        }
    }
    TxnOffsetCommitResponse { topics, ..TxnOffsetCommitResponse::default() }
}

async fn commit(
    context: &RequestContext,
    request: TxnOffsetCommitRequest,
    offsets: &[NewOffset],
) -> Result<(), ErrorCode> {
    let broker = &context.broker;
    broker.groups.ensure_topic(&broker.catalog).await?;
    let index = broker.groups.partition_of(&broker.catalog, &request.group_id)?;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let committer = Committer {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        is_transactional: true,
    };
    let claim = Claim {
        id: &request.transactional_id,
        producer,
        topic: OFFSETS_TOPIC,
        index,
        adds: context.version >= ADDS_PARTITIONS,
    };
    let stage = || {
        let (catalog, producer) = (&broker.catalog, (producer.id, producer.epoch));
        let (groups, group) = (&broker.groups, &request.group_id);
        let staged = groups.commit_transactional(catalog, group, &committer, producer, offsets);
        staged.map_err(Into::into)
    };
    let (staged, joined) = broker
        .transactions
        .append(broker, claim, stage)
        .map_err(|refusal| in_version(refusal.code, context.version))?;
    if let Some(joined) = joined {
        joined.settle().await?;
    }
    staged.settle().await
}

/// The coordinator's refusals, as clients know them from this API.
fn in_version(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < KNOWS_ABORTABLE => {
            ErrorCode::INVALID_TXN_STATE
        }
        // Retriable, and known to every version.
        ErrorCode::CONCURRENT_TRANSACTIONS => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        code => code,
    }
}

/// Adds what may be committed to `offsets`, and makes the answer for when it is.
fn check(
    context: &RequestContext,
    topic: TxnOffsetCommitRequestTopic,
    offsets: &mut Vec<NewOffset>,
) -> TxnOffsetCommitResponseTopic {
    let known = context.broker.catalog.topic(&topic.name);
    let check = |partition: &TxnOffsetCommitRequestPartition| {
        let known = known.as_ref().ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        checked(
            known,
            NewOffset {
                topic: known.name.clone(),
                topic_id: known.id,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.clone().unwrap_or_default(),
            },
        )
    };
    let partitions = topic.partitions.iter().map(|partition| {
        let error_code = match check(partition) {
            Ok(offset) => {
                offsets.push(offset);
                ErrorCode::NONE
            }
            Err(code) => code,
        };
        TxnOffsetCommitResponsePartition { partition_index: partition.partition_index, error_code }
    });
    TxnOffsetCommitResponseTopic { partitions: partitions.collect(), name: topic.name }
}
