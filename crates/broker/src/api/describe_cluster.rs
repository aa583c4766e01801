//! DescribeCluster, versions 0 to 2 (KIP-700).
//!
//! - One broker, which is the controller.
//! - KIP-919: endpoints of controllers are refused (`MISMATCHED_ENDPOINT_TYPE`), as brokers do.
//! - KIP-430: without an authorizer, all operations are authorized.

use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;
use farlog_wire::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::{CLUSTER_OPERATIONS, OPERATIONS_UNKNOWN, RequestContext};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// The endpoint type that means brokers.
const BROKERS: i8 = 1;
/// The one that means controllers.
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let broker = &context.broker;
    if request.endpoint_type != BROKERS {
        return DescribeClusterResponse {
            error_code: match request.endpoint_type {
                CONTROLLERS => ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                _ => ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            },
            error_message: Some("Only endpoints of brokers can be described here.".to_owned()),
            controller_id: -1,
            ..DescribeClusterResponse::default()
        };
    }
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: broker.cluster_id.clone(),
        controller_id: broker.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: broker.node_id,
            host: context.listener().advertised.host.clone(),
            port: i32::from(context.listener().advertised.port),
            rack: None,
            is_fenced: false,
        }],
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => OPERATIONS_UNKNOWN,
        },
        ..DescribeClusterResponse::default()
    }
}
