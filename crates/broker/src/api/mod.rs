//! The APIs: one file each, and the table that both `ApiVersions` and the dispatcher are made from,
//! so that what is announced and what is served cannot differ.

mod access;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod fetch;
mod fetch_sessions;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::api_key::UnknownApiKey;
use farlog_wire::frame::encode_response_chunks;
use farlog_wire::{ApiKey, DecodeError, EncodeError, ErrorCode, Reader, Request, VersionRange};

use crate::broker::{Listening, Shared};
use crate::connection::Peer;
use crate::limits::SHARED_FIELD_BYTES_MIN;
use crate::security::quota::Counted;

use access::{Access, Authorize, Verdict};
pub(crate) use fetch_sessions::FetchSessions;

/// What stands for authorized operations that were not computed (KIP-430).
pub(crate) const OPERATIONS_UNKNOWN: i32 = i32::MIN;

/// Everything that can be done to the cluster: a bit for each code of `AclOperation`: create,
/// alter, describe, cluster action, describe and alter configs, idempotent write.
pub(crate) const CLUSTER_OPERATIONS: i32 = 0x1fa0;

/// Everything that can be done to a group: read, delete, describe, describe and alter configs.
pub(crate) const GROUP_OPERATIONS: i32 = 0x0d48;

/// Everything that can be done to a topic: read, write, create, delete, alter, describe, describe
/// and alter configs.
pub(crate) const TOPIC_OPERATIONS: i32 = 0x0df8;

/// What a handler knows of the request besides its body.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) broker: Arc<Shared>,
    /// Who is on the other side.
    pub(crate) peer: Arc<Peer>,
    /// The version that the request came in, and its answer goes out in.
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// What the client calls itself.
    pub(crate) client_id: Option<String>,
    /// Bytes of the request's frame.
    pub(crate) request_bytes: usize,
}

impl RequestContext {
    /// The way that the request came in.
    pub(crate) fn listener(&self) -> &Listening {
        &self.broker.listeners[self.peer.listener]
    }

    /// Counts bytes that a client sends or gets; for how long it was muted, in milliseconds.
    pub(crate) fn throttle(&self, counted: Counted, bytes: usize) -> i32 {
        let quotas = self.broker.catalog.quotas();
        if quotas.is_empty() {
            return 0;
        }
        let client_id = self.client_id.as_deref().unwrap_or_default();
        let who = (self.peer.principal.name(), client_id);
        let now_ms = self.broker.clock.now_ms();
        let wait_ms = self.broker.rates.record(&quotas, counted, who, bytes, now_ms);
        let wait_ms = i32::try_from(wait_ms).unwrap_or(i32::MAX);
        if wait_ms > 0 {
            self.peer.mute(Duration::from_millis(u64::from(wait_ms.unsigned_abs())));
        }
        wait_ms
    }

    /// The client's address as Kafka writes it down.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.peer.address.ip())
    }
}

/// A request that costs its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestFault {
    #[error("{0:?} requests are not supported")]
    Unsupported(ApiKey),
    #[error("{key:?} requests are supported in versions {min} to {max}, this one is of {version}")]
    Version { key: ApiKey, version: i16, min: i16, max: i16 },
    #[error(transparent)]
    UnknownApi(#[from] UnknownApiKey),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("a request that awaits no answer was refused: {0}")]
    Refused(ErrorCode),
    #[error("the answer cannot be written: {0}")]
    Encode(#[from] EncodeError),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServedApi {
    pub(crate) key: ApiKey,
    pub(crate) versions: VersionRange,
}

/// What a handler has to say.
#[derive(Debug)]
pub(crate) enum Answer<R> {
    Response(R),
    /// The client wants no answer.
    Nothing,
    /// The client wants no answer, and must be told all the same that it was refused.
    Close(ErrorCode),
}

impl<R> From<R> for Answer<R> {
    fn from(response: R) -> Self {
        Self::Response(response)
    }
}

macro_rules! served {
    ($($module:ident => $request:ty),* $(,)?) => {
        /// Every API that is served.
        pub(crate) const SERVED: &[ServedApi] = &[
            $(ServedApi { key: <$request as Request>::API_KEY, versions: $module::VERSIONS }),*
        ];

        /// The version of the header that a request has; 1 for what is not served, whose fields
        /// every header begins with.
        pub(crate) fn header_version(key: i16, version: i16) -> i16 {
            match ApiKey::try_from(key) {
                $(Ok(<$request as Request>::API_KEY) => {
                    <$request as Request>::request_header_version(version)
                })*
                _ => 1,
            }
        }

        /// Serves one request; the answer is a whole frame, `None` if the client wants none.
        ///
        /// What a request changes is changed, in order, before the future first waits.
        pub(crate) async fn serve(
            context: RequestContext,
            key: ApiKey,
            body: Reader,
        ) -> Result<Option<Vec<Bytes>>, RequestFault> {
            $(
                if key == <$request as Request>::API_KEY {
                    let mut request: $request = decode(&context, body, $module::VERSIONS)?;
                    let (version, correlation_id) = (context.version, context.correlation_id);
                    let verdict = match Access::of(&context) {
                        Some(access) => request.authorize(&access),
                        None => Verdict::Allowed,
                    };
                    let response = match verdict {
                        Verdict::Refused(response) => response,
                        Verdict::Closed(code) => return Err(RequestFault::Refused(code)),
                        verdict => {
                            // Handlers return a response, or one of the rarer answers.
                            let answer: Answer<<$request as Request>::Response> =
                                Box::pin($module::handle(context, request)).await.into();
                            match completed(answer, verdict)? {
                                Some(response) => response,
                                None => return Ok(None),
                            }
                        }
                    };
                    let frame = encode_response_chunks::<$request>(
                        &response,
                        version,
                        correlation_id,
                        SHARED_FIELD_BYTES_MIN,
                    )?;
                    return Ok(Some(frame));
                }
            )*
            Err(RequestFault::Unsupported(key))
        }
    };
}

served! {
    produce => farlog_wire::messages::produce_request::ProduceRequest,
    fetch => farlog_wire::messages::fetch_request::FetchRequest,
    list_offsets => farlog_wire::messages::list_offsets_request::ListOffsetsRequest,
    metadata => farlog_wire::messages::metadata_request::MetadataRequest,
    api_versions => farlog_wire::messages::api_versions_request::ApiVersionsRequest,
    create_topics => farlog_wire::messages::create_topics_request::CreateTopicsRequest,
    delete_topics => farlog_wire::messages::delete_topics_request::DeleteTopicsRequest,
    delete_records => farlog_wire::messages::delete_records_request::DeleteRecordsRequest,
    init_producer_id => farlog_wire::messages::init_producer_id_request::InitProducerIdRequest,
    offset_for_leader_epoch =>
        farlog_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest,
    describe_configs => farlog_wire::messages::describe_configs_request::DescribeConfigsRequest,
    alter_configs => farlog_wire::messages::alter_configs_request::AlterConfigsRequest,
    create_partitions => farlog_wire::messages::create_partitions_request::CreatePartitionsRequest,
    incremental_alter_configs =>
        farlog_wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest,
    describe_log_dirs => farlog_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest,
    elect_leaders => farlog_wire::messages::elect_leaders_request::ElectLeadersRequest,
    describe_cluster => farlog_wire::messages::describe_cluster_request::DescribeClusterRequest,
    describe_producers =>
        farlog_wire::messages::describe_producers_request::DescribeProducersRequest,
    add_partitions_to_txn =>
        farlog_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnRequest,
    add_offsets_to_txn =>
        farlog_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest,
    end_txn => farlog_wire::messages::end_txn_request::EndTxnRequest,
    write_txn_markers => farlog_wire::messages::write_txn_markers_request::WriteTxnMarkersRequest,
    txn_offset_commit => farlog_wire::messages::txn_offset_commit_request::TxnOffsetCommitRequest,
    describe_transactions =>
        farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest,
    list_transactions => farlog_wire::messages::list_transactions_request::ListTransactionsRequest,
    find_coordinator => farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest,
    join_group => farlog_wire::messages::join_group_request::JoinGroupRequest,
    sync_group => farlog_wire::messages::sync_group_request::SyncGroupRequest,
    heartbeat => farlog_wire::messages::heartbeat_request::HeartbeatRequest,
    leave_group => farlog_wire::messages::leave_group_request::LeaveGroupRequest,
    offset_commit => farlog_wire::messages::offset_commit_request::OffsetCommitRequest,
    offset_fetch => farlog_wire::messages::offset_fetch_request::OffsetFetchRequest,
    offset_delete => farlog_wire::messages::offset_delete_request::OffsetDeleteRequest,
    list_groups => farlog_wire::messages::list_groups_request::ListGroupsRequest,
    describe_groups => farlog_wire::messages::describe_groups_request::DescribeGroupsRequest,
    delete_groups => farlog_wire::messages::delete_groups_request::DeleteGroupsRequest,
    consumer_group_heartbeat =>
        farlog_wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest,
    consumer_group_describe =>
        farlog_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest,
    describe_client_quotas =>
        farlog_wire::messages::describe_client_quotas_request::DescribeClientQuotasRequest,
    alter_client_quotas =>
        farlog_wire::messages::alter_client_quotas_request::AlterClientQuotasRequest,
    create_acls => farlog_wire::messages::create_acls_request::CreateAclsRequest,
    describe_acls => farlog_wire::messages::describe_acls_request::DescribeAclsRequest,
    delete_acls => farlog_wire::messages::delete_acls_request::DeleteAclsRequest,
    sasl_handshake => farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest,
    sasl_authenticate => farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest,
    describe_user_scram_credentials =>
        farlog_wire::messages::describe_user_scram_credentials_request::
            DescribeUserScramCredentialsRequest,
    alter_user_scram_credentials =>
        farlog_wire::messages::alter_user_scram_credentials_request::
            AlterUserScramCredentialsRequest,
}

/// The answer with what its request was not allowed to ask; `None` if the client wants none.
fn completed<R>(answer: Answer<R>, verdict: Verdict<R>) -> Result<Option<R>, RequestFault> {
    match (answer, verdict) {
        (Answer::Response(mut response), Verdict::Partly { complete, .. }) => {
            complete(&mut response);
            Ok(Some(response))
        }
        (Answer::Response(response), _) => Ok(Some(response)),
        (Answer::Close(code), _) => Err(RequestFault::Refused(code)),
        // The client awaits no answer, and must be told all the same.
        (Answer::Nothing, Verdict::Partly { code, .. }) if code.is_error() => {
            Err(RequestFault::Refused(code))
        }
        (Answer::Nothing, _) => Ok(None),
    }
}

/// Whether an API is served in a version.
pub(crate) fn serves(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|api| api.key == key && api.versions.contains(version))
}

/// What a client of a version of ApiVersions that we do not know is told.
pub(crate) fn unsupported_api_versions(correlation_id: i32) -> Result<Vec<Bytes>, EncodeError> {
    let response = api_versions::unsupported();
    encode_response_chunks::<farlog_wire::messages::api_versions_request::ApiVersionsRequest>(
        &response,
        0,
        correlation_id,
        SHARED_FIELD_BYTES_MIN,
    )
}

fn decode<R: Request>(
    context: &RequestContext,
    mut body: Reader,
    served: VersionRange,
) -> Result<R, RequestFault> {
    let version = context.version;
    if !served.contains(version) {
        let VersionRange { min, max } = served;
        return Err(RequestFault::Version { key: R::API_KEY, version, min, max });
    }
    // What follows a request is ignored, as Kafka does: librdkafka's metadata requests of all
    // topics are three bytes too long.
    Ok(R::decode(&mut body, version)?)
}
