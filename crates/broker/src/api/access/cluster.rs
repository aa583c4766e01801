//! Who may look at the cluster and change it; and what everybody may.

use farlog_wire::ErrorCode;
use farlog_wire::messages::alter_client_quotas_request::AlterClientQuotasRequest;
use farlog_wire::messages::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData, EntryData,
};
use farlog_wire::messages::alter_user_scram_credentials_request::AlterUserScramCredentialsRequest;
use farlog_wire::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::ApiVersionsResponse;
use farlog_wire::messages::create_acls_request::CreateAclsRequest;
use farlog_wire::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use farlog_wire::messages::delete_acls_request::DeleteAclsRequest;
use farlog_wire::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use farlog_wire::messages::describe_acls_request::DescribeAclsRequest;
use farlog_wire::messages::describe_acls_response::DescribeAclsResponse;
use farlog_wire::messages::describe_client_quotas_request::DescribeClientQuotasRequest;
use farlog_wire::messages::describe_client_quotas_response::DescribeClientQuotasResponse;
use farlog_wire::messages::describe_cluster_request::DescribeClusterRequest;
use farlog_wire::messages::describe_cluster_response::DescribeClusterResponse;
use farlog_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use farlog_wire::messages::describe_log_dirs_response::DescribeLogDirsResponse;
use farlog_wire::messages::describe_user_scram_credentials_request as describe_scram;
use farlog_wire::messages::describe_user_scram_credentials_response::{
    DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use farlog_wire::messages::elect_leaders_request::ElectLeadersRequest;
use farlog_wire::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::messages::sasl_handshake_response::SaslHandshakeResponse;

use super::super::find_coordinator::{GROUP, TRANSACTION};
use super::topics::cluster_operations;
use super::{Access, Authorize, Verdict};
use crate::security::acl::Operation;

const CODE: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

fn message() -> Option<String> {
    Some(CODE.message().to_owned())
}

impl Authorize for ApiVersionsRequest {
    /// Everybody's.
    fn authorize(&mut self, _: &Access) -> Verdict<ApiVersionsResponse> {
        Verdict::Allowed
    }
}

impl Authorize for SaslHandshakeRequest {
    /// Everybody's.
    fn authorize(&mut self, _: &Access) -> Verdict<SaslHandshakeResponse> {
        Verdict::Allowed
    }
}

impl Authorize for SaslAuthenticateRequest {
    /// Everybody's.
    fn authorize(&mut self, _: &Access) -> Verdict<SaslAuthenticateResponse> {
        Verdict::Allowed
    }
}

impl Authorize for DescribeClusterRequest {
    /// Everybody may know where the brokers are.
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeClusterResponse> {
        let access = access.clone();
        Verdict::after(move |response: &mut DescribeClusterResponse| {
            let operations = &mut response.cluster_authorized_operations;
            *operations = cluster_operations(&access, *operations);
        })
    }
}

impl Authorize for FindCoordinatorRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<FindCoordinatorResponse> {
        let kind = self.key_type;
        let error_code = match kind {
            GROUP => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            _ => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        };
        let error_message = Some(error_code.message().to_owned());
        let may = |key: &str| match kind {
            GROUP => access.group(Operation::Describe, key),
            TRANSACTION => access.transaction(Operation::Describe, key),
            // Refused for other reasons.
            _ => true,
        };
        if access.version < 4 {
            return Verdict::all_or(may(&self.key), || FindCoordinatorResponse {
                error_code,
                error_message,
                node_id: -1,
                port: -1,
                ..FindCoordinatorResponse::default()
            });
        }
        let refused = self.coordinator_keys.extract_if(.., |key| !may(key));
        let refused = refused.map(|key| Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code,
            error_message: error_message.clone(),
            ..Coordinator::default()
        });
        let refused: Vec<Coordinator> = refused.collect();
        let nothing_left = self.coordinator_keys.is_empty() && !refused.is_empty();
        if nothing_left {
            // Nothing is made for a group that one may not see.
            return Verdict::Refused(FindCoordinatorResponse {
                coordinators: refused,
                ..FindCoordinatorResponse::default()
            });
        }
        Verdict::without(refused, |response: &mut FindCoordinatorResponse, refused| {
            response.coordinators.extend(refused);
        })
    }
}

impl Authorize for DescribeLogDirsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeLogDirsResponse> {
        Verdict::all_or(access.cluster(Operation::Describe), || DescribeLogDirsResponse {
            // Before version 3 there is no place for it.
            error_code: if access.version >= 3 { CODE } else { ErrorCode::NONE },
            ..DescribeLogDirsResponse::default()
        })
    }
}

impl Authorize for ElectLeadersRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ElectLeadersResponse> {
        Verdict::all_or(access.cluster(Operation::Alter), || {
            let asked = self.topic_partitions.iter().flatten();
            let results = asked.map(|asked| {
                let partitions = asked.partitions.iter().map(|&partition_id| PartitionResult {
                    partition_id,
                    error_code: CODE,
                    error_message: message(),
                });
                let partition_result = partitions.collect();
                ReplicaElectionResult { topic: asked.topic.clone(), partition_result }
            });
            ElectLeadersResponse {
                error_code: if access.version >= 1 { CODE } else { ErrorCode::NONE },
                replica_election_results: results.collect(),
                ..ElectLeadersResponse::default()
            }
        })
    }
}

impl Authorize for describe_scram::DescribeUserScramCredentialsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeUserScramCredentialsResponse> {
        Verdict::all_or(access.cluster(Operation::Describe), || {
            // As Kafka has it: for each user, without their name.
            let users = self.users.iter().flatten();
            let results = users.map(|_| DescribeUserScramCredentialsResult {
                error_code: CODE,
                error_message: message(),
                ..DescribeUserScramCredentialsResult::default()
            });
            DescribeUserScramCredentialsResponse {
                error_code: CODE,
                error_message: message(),
                results: results.collect(),
                ..DescribeUserScramCredentialsResponse::default()
            }
        })
    }
}

impl Authorize for AlterUserScramCredentialsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<AlterUserScramCredentialsResponse> {
        Verdict::all_or(access.cluster(Operation::Alter), || {
            let deleted = self.deletions.iter().map(|deletion| deletion.name.clone());
            let set = self.upsertions.iter().map(|upsertion| upsertion.name.clone());
            let users: std::collections::BTreeSet<String> = deleted.chain(set).collect();
            let results = users.into_iter().map(|user| AlterUserScramCredentialsResult {
                user,
                error_code: CODE,
                error_message: message(),
            });
            AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
        })
    }
}

impl Authorize for DescribeClientQuotasRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeClientQuotasResponse> {
        Verdict::all_or(access.cluster(Operation::DescribeConfigs), || {
            DescribeClientQuotasResponse {
                error_code: CODE,
                error_message: message(),
                entries: None,
                ..DescribeClientQuotasResponse::default()
            }
        })
    }
}

impl Authorize for AlterClientQuotasRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<AlterClientQuotasResponse> {
        Verdict::all_or(access.cluster(Operation::AlterConfigs), || {
            let entries = self.entries.iter().map(|entry| {
                let entity = entry.entity.iter().map(|part| EntityData {
                    entity_type: part.entity_type.clone(),
                    entity_name: part.entity_name.clone(),
                });
                let entity = entity.collect();
                EntryData { error_code: CODE, error_message: message(), entity }
            });
            AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
        })
    }
}

impl Authorize for DescribeAclsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeAclsResponse> {
        Verdict::all_or(access.cluster(Operation::Describe), || DescribeAclsResponse {
            error_code: CODE,
            error_message: message(),
            ..DescribeAclsResponse::default()
        })
    }
}

impl Authorize for CreateAclsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<CreateAclsResponse> {
        Verdict::all_or(access.cluster(Operation::Alter), || {
            let results = self.creations.iter();
            let results =
                results.map(|_| AclCreationResult { error_code: CODE, error_message: message() });
            CreateAclsResponse { results: results.collect(), ..Default::default() }
        })
    }
}

impl Authorize for DeleteAclsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DeleteAclsResponse> {
        Verdict::all_or(access.cluster(Operation::Alter), || {
            let results = self.filters.iter().map(|_| DeleteAclsFilterResult {
                error_code: CODE,
                error_message: message(),
                ..DeleteAclsFilterResult::default()
            });
            DeleteAclsResponse { filter_results: results.collect(), ..Default::default() }
        })
    }
}
