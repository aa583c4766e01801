//! ListTransactions, versions 0 to 2 (KIP-664).
//!
//! - Filters by state and producer id; KIP-994: by how long a transaction runs (version 1), counted
//!   from its start whatever its state, as Kafka does.
//! - KIP-1152: by a pattern of ids (version 2), in the dialect of RE2; it stands for whole ids.

use farlog_wire::messages::list_transactions_request::ListTransactionsRequest;
use farlog_wire::messages::list_transactions_response::{
    ListTransactionsResponse, TransactionState,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::name_pattern::NamePattern;
use crate::transactions::{Status, Transaction};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// States of Kafka's that ids are never seen in, but may be asked for.
const NEVER_SEEN: [&str; 2] = ["Dead", "PrepareEpochFence"];

pub(super) async fn handle(
    context: RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let is_known = |name: &str| {
        NEVER_SEEN.contains(&name) || Status::ALL.iter().any(|status| status.name() == name)
    };
    let unknown_state_filters: Vec<String> =
        request.state_filters.iter().filter(|name| !is_known(name)).cloned().collect();
    let pattern = request.transactional_id_pattern.as_deref().filter(|text| !text.is_empty());
    let Ok(pattern) = pattern.map(NamePattern::new).transpose() else {
        return ListTransactionsResponse {
            error_code: ErrorCode::INVALID_REGULAR_EXPRESSION,
            ..ListTransactionsResponse::default()
        };
    };
    let now_ms = context.broker.clock.now_ms();
    let mut transaction_states: Vec<TransactionState> = context
        .broker
        .transactions
        .all()
        .into_iter()
        .filter(|(id, _)| pattern.as_ref().is_none_or(|pattern| pattern.matches(id)))
        .filter(|(_, transaction)| is_wanted(&request, transaction, now_ms))
        .map(|(transactional_id, transaction)| TransactionState {
            transactional_id,
            producer_id: transaction.producer_id,
            transaction_state: transaction.status.name().to_owned(),
        })
        .collect();
    transaction_states.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
    ListTransactionsResponse {
        unknown_state_filters,
        transaction_states,
        ..ListTransactionsResponse::default()
    }
}

fn is_wanted(request: &ListTransactionsRequest, transaction: &Transaction, now_ms: i64) -> bool {
    let ListTransactionsRequest { state_filters, producer_id_filters, duration_filter, .. } =
        request;
    let status = transaction.status;
    let runs_ms = now_ms.saturating_sub(transaction.started_ms);
    (state_filters.is_empty() || state_filters.iter().any(|name| name == status.name()))
        && (producer_id_filters.is_empty()
            || producer_id_filters.contains(&transaction.producer_id))
        && (*duration_filter < 0 || runs_ms > *duration_filter)
}
