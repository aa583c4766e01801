//! The requests that a connection can send, and where their responses say "be quiet for a while".

use farlog_wire::Request;
use farlog_wire::messages as m;

/// A request whose response a connection understands far enough to honour its throttle (KIP-219).
pub trait ClientRequest: Request {
    /// `throttle_time_ms` of the response; 0 where the API has none.
    fn throttle_time_ms(response: &Self::Response) -> i32;
}

macro_rules! throttled {
    ($($module:ident :: $request:ident,)*) => {
        $(
            impl ClientRequest for m::$module::$request {
                fn throttle_time_ms(response: &Self::Response) -> i32 {
                    response.throttle_time_ms
                }
            }
        )*
    };
}

macro_rules! never_throttled {
    ($($module:ident :: $request:ident,)*) => {
        $(
            impl ClientRequest for m::$module::$request {
                fn throttle_time_ms(_: &Self::Response) -> i32 {
                    0
                }
            }
        )*
    };
}

throttled! {
    add_offsets_to_txn_request::AddOffsetsToTxnRequest,
    add_partitions_to_txn_request::AddPartitionsToTxnRequest,
    alter_client_quotas_request::AlterClientQuotasRequest,
    alter_configs_request::AlterConfigsRequest,
    api_versions_request::ApiVersionsRequest,
    consumer_group_describe_request::ConsumerGroupDescribeRequest,
    consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest,
    create_acls_request::CreateAclsRequest,
    create_partitions_request::CreatePartitionsRequest,
    create_topics_request::CreateTopicsRequest,
    delete_acls_request::DeleteAclsRequest,
    delete_groups_request::DeleteGroupsRequest,
    delete_records_request::DeleteRecordsRequest,
    delete_topics_request::DeleteTopicsRequest,
    describe_acls_request::DescribeAclsRequest,
    describe_client_quotas_request::DescribeClientQuotasRequest,
    describe_cluster_request::DescribeClusterRequest,
    describe_configs_request::DescribeConfigsRequest,
    describe_groups_request::DescribeGroupsRequest,
    describe_log_dirs_request::DescribeLogDirsRequest,
    describe_producers_request::DescribeProducersRequest,
    describe_transactions_request::DescribeTransactionsRequest,
    elect_leaders_request::ElectLeadersRequest,
    end_txn_request::EndTxnRequest,
    fetch_request::FetchRequest,
    find_coordinator_request::FindCoordinatorRequest,
    heartbeat_request::HeartbeatRequest,
    incremental_alter_configs_request::IncrementalAlterConfigsRequest,
    init_producer_id_request::InitProducerIdRequest,
    join_group_request::JoinGroupRequest,
    leave_group_request::LeaveGroupRequest,
    list_groups_request::ListGroupsRequest,
    list_offsets_request::ListOffsetsRequest,
    list_transactions_request::ListTransactionsRequest,
    metadata_request::MetadataRequest,
    offset_commit_request::OffsetCommitRequest,
    offset_delete_request::OffsetDeleteRequest,
    offset_fetch_request::OffsetFetchRequest,
    offset_for_leader_epoch_request::OffsetForLeaderEpochRequest,
    produce_request::ProduceRequest,
    sync_group_request::SyncGroupRequest,
    txn_offset_commit_request::TxnOffsetCommitRequest,
}

never_throttled! {
    sasl_authenticate_request::SaslAuthenticateRequest,
    sasl_handshake_request::SaslHandshakeRequest,
    write_txn_markers_request::WriteTxnMarkersRequest,
}
