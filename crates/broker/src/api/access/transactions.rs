//! Who may write in transactions, and look at them.

use farlog_wire::ErrorCode;
use farlog_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use farlog_wire::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;
use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use farlog_wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
};
use farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use farlog_wire::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TransactionState,
};
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::end_txn_response::EndTxnResponse;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::init_producer_id_response::InitProducerIdResponse;
use farlog_wire::messages::list_transactions_request::ListTransactionsRequest;
use farlog_wire::messages::list_transactions_response::ListTransactionsResponse;
use farlog_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic,
};
use farlog_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use farlog_wire::messages::write_txn_markers_request::WriteTxnMarkersRequest;
use farlog_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};

use super::{Access, Authorize, Verdict};
use crate::security::acl::Operation;

const CODE: ErrorCode = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
const TOPIC_CODE: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const GROUP_CODE: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const CLUSTER_CODE: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

/// From this version on brokers add partitions for their clients.
const BETWEEN_BROKERS: i16 = 4;

impl Authorize for InitProducerIdRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<InitProducerIdResponse> {
        let (may, error_code) = match &self.transactional_id {
            Some(id) => (access.transaction(Operation::Write, id), CODE),
            // Whoever may write somewhere may do so idempotently (KIP-679).
            None => (
                access.cluster(Operation::IdempotentWrite) || access.writes_somewhere(),
                CLUSTER_CODE,
            ),
        };
        Verdict::all_or(may, || InitProducerIdResponse {
            error_code,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        })
    }
}

impl Authorize for AddPartitionsToTxnRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<AddPartitionsToTxnResponse> {
        if access.version >= BETWEEN_BROKERS {
            let may = access.cluster(Operation::ClusterAction);
            return Verdict::all_or(may, || AddPartitionsToTxnResponse {
                error_code: CLUSTER_CODE,
                ..AddPartitionsToTxnResponse::default()
            });
        }
        let topics = &self.v3_and_below_topics;
        let refused = |code: &dyn Fn(&str) -> ErrorCode| {
            Verdict::Refused(AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: refused_topics(topics, code),
                ..AddPartitionsToTxnResponse::default()
            })
        };
        if !access.transaction(Operation::Write, &self.v3_and_below_transactional_id) {
            return refused(&|_| CODE);
        }
        let may = |topic: &str| access.topic(Operation::Write, topic);
        if topics.iter().all(|topic| may(&topic.name)) {
            return Verdict::Allowed;
        }
        let is_there = |topic: &str| access.broker.catalog.topic(topic).is_some();
        refused(&|topic| match (may(topic), is_there(topic)) {
            (false, _) => TOPIC_CODE,
            (true, true) => ErrorCode::OPERATION_NOT_ATTEMPTED,
            (true, false) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        })
    }
}

fn refused_topics(
    topics: &[AddPartitionsToTxnTopic],
    code: &dyn Fn(&str) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let refused = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|&partition_index| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: code(&topic.name),
        });
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: partitions.collect(),
        }
    });
    refused.collect()
}

impl Authorize for AddOffsetsToTxnRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<AddOffsetsToTxnResponse> {
        let error_code = if !access.transaction(Operation::Write, &self.transactional_id) {
            CODE
        } else if !access.group(Operation::Read, &self.group_id) {
            GROUP_CODE
        } else {
            return Verdict::Allowed;
        };
        Verdict::Refused(AddOffsetsToTxnResponse { error_code, ..Default::default() })
    }
}

impl Authorize for EndTxnRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<EndTxnResponse> {
        let may = access.transaction(Operation::Write, &self.transactional_id);
        Verdict::all_or(may, || EndTxnResponse {
            error_code: CODE,
            producer_id: -1,
            producer_epoch: -1,
            ..EndTxnResponse::default()
        })
    }
}

impl Authorize for TxnOffsetCommitRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<TxnOffsetCommitResponse> {
        let code = if !access.transaction(Operation::Write, &self.transactional_id) {
            Some(CODE)
        } else {
            (!access.group(Operation::Read, &self.group_id)).then_some(GROUP_CODE)
        };
        if let Some(code) = code {
            let topics = self.topics.iter().map(|topic| refused_commit(topic, code)).collect();
            return Verdict::Refused(TxnOffsetCommitResponse { topics, ..Default::default() });
        }
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Read, &topic.name));
        let refused = refused.map(|topic| refused_commit(&topic, TOPIC_CODE)).collect();
        Verdict::without(refused, |response: &mut TxnOffsetCommitResponse, refused| {
            response.topics.extend(refused);
        })
    }
}

fn refused_commit(
    topic: &TxnOffsetCommitRequestTopic,
    error_code: ErrorCode,
) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| TxnOffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code,
    });
    TxnOffsetCommitResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

impl Authorize for WriteTxnMarkersRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<WriteTxnMarkersResponse> {
        let may = access.cluster(Operation::ClusterAction) || access.cluster(Operation::Alter);
        Verdict::all_or(may, || {
            let markers = self.markers.iter().map(|marker| {
                let topics = marker.topics.iter().map(|topic| {
                    let partitions = topic.partition_indexes.iter();
                    let partitions = partitions.map(|&index| WritableTxnMarkerPartitionResult {
                        partition_index: index,
                        error_code: CLUSTER_CODE,
                    });
                    let partitions = partitions.collect();
                    WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions }
                });
                let topics = topics.collect();
                WritableTxnMarkerResult { producer_id: marker.producer_id, topics }
            });
            WriteTxnMarkersResponse { markers: markers.collect() }
        })
    }
}

impl Authorize for DescribeTransactionsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeTransactionsResponse> {
        let refused = self
            .transactional_ids
            .extract_if(.., |id| !access.transaction(Operation::Describe, id));
        let refused: Vec<TransactionState> = refused
            .map(|transactional_id| TransactionState {
                error_code: CODE,
                transactional_id,
                ..TransactionState::default()
            })
            .collect();
        let access = access.clone();
        Verdict::after(move |response: &mut DescribeTransactionsResponse| {
            for state in &mut response.transaction_states {
                state.topics.retain(|topic| access.topic(Operation::Describe, &topic.topic));
            }
            response.transaction_states.extend(refused);
        })
    }
}

impl Authorize for ListTransactionsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ListTransactionsResponse> {
        let access = access.clone();
        Verdict::after(move |response: &mut ListTransactionsResponse| {
            response
                .transaction_states
                .retain(|state| access.transaction(Operation::Describe, &state.transactional_id));
        })
    }
}
