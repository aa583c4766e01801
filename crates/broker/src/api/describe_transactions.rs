//! DescribeTransactions, version 0 (KIP-664).

use farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use farlog_wire::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let ids = request.transactional_ids.into_iter();
    DescribeTransactionsResponse {
        transaction_states: ids.map(|id| state(&context, id)).collect(),
        ..DescribeTransactionsResponse::default()
    }
}

fn state(context: &RequestContext, transactional_id: String) -> TransactionState {
    let refused = |error_code, transactional_id| TransactionState {
        error_code,
        transactional_id,
        ..TransactionState::default()
    };
    if transactional_id.is_empty() {
        return refused(ErrorCode::INVALID_REQUEST, transactional_id);
    }
    let Some(found) = context.broker.transactions.one(&transactional_id) else {
        return refused(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND, transactional_id);
    };
    let topics = found.partitions.into_iter().map(|(topic, indexes)| {
        let partitions = indexes.into_iter().collect();
        TopicData { topic, partitions }
    });
    TransactionState {
        error_code: ErrorCode::NONE,
        transactional_id,
        transaction_state: found.status.name().to_owned(),
        transaction_timeout_ms: found.timeout_ms,
        transaction_start_time_ms: found.started_ms,
        producer_id: found.producer_id,
        producer_epoch: found.epoch,
        topics: topics.collect(),
    }
}
