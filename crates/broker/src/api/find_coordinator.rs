//! FindCoordinator, versions 0 to 6.
//!
//! - Groups and transactional ids: this broker is the coordinator of all.
//! - KIP-699: many keys at once from version 4 on. KIP-890: `TRANSACTION_ABORTABLE` in version 5 is
//!   never needed. KIP-932: share groups, from version 6 on, are refused with `INVALID_REQUEST`.
//! - The topic of the groups is made when the first group is looked for.

use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };

pub(super) const GROUP: i8 = 0;
pub(super) const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    context: RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let many = context.version >= 4;
    let keys = if many { request.coordinator_keys } else { vec![request.key] };
    let outcome = find(&context, request.key_type).await;
    let coordinators = keys.into_iter().map(|key| coordinator(&context, key, outcome));
    let mut coordinators: Vec<Coordinator> = coordinators.collect();
    if many {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let one = coordinators.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..FindCoordinatorResponse::default()
    }
}

async fn find(context: &RequestContext, key_type: i8) -> Result<(), ErrorCode> {
    match key_type {
        GROUP => context.broker.groups.ensure_topic(&context.broker.catalog).await,
        TRANSACTION => Ok(()),
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}

fn coordinator(
    context: &RequestContext,
    key: String,
    outcome: Result<(), ErrorCode>,
) -> Coordinator {
    match outcome {
        Ok(()) => Coordinator {
            key,
            node_id: context.broker.node_id,
            host: context.listener().advertised.host.clone(),
            port: i32::from(context.listener().advertised.port),
            ..Coordinator::default()
        },
        Err(error_code) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code,
            error_message: Some(error_code.message().to_owned()),
            ..Coordinator::default()
        },
    }
}
