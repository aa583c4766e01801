//! DescribeCluster, versions 0 to 2 (KIP-700).
//!
//! - One broker, which is the controller.
//! - KIP-919: endpoints of controllers are refused (`UNSUPPORTED_ENDPOINT_TYPE`): there are none.
//! - Authorized operations are not computed: no authorizer.

use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;
use farlog_wire::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::{OPERATIONS_UNKNOWN, RequestContext};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// The endpoint type that means brokers.
const BROKERS: i8 = 1;

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let broker = &context.broker;
    if request.endpoint_type != BROKERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            error_message: Some("Only endpoints of brokers can be described here.".to_owned()),
            endpoint_type: request.endpoint_type,
            ..DescribeClusterResponse::default()
        };
    }
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: broker.cluster_id.clone(),
        controller_id: broker.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: broker.node_id,
            host: broker.advertised.host.clone(),
            port: i32::from(broker.advertised.port),
            rack: None,
            is_fenced: false,
        }],
        cluster_authorized_operations: OPERATIONS_UNKNOWN,
        ..DescribeClusterResponse::default()
    }
}
