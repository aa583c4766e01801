//! Who may see, make, change and delete topics, and look at configs.

use farlog_wire::ErrorCode;
use farlog_wire::messages::alter_configs_request::AlterConfigsRequest;
use farlog_wire::messages::alter_configs_response::{self, AlterConfigsResponse};
use farlog_wire::messages::create_partitions_request::CreatePartitionsRequest;
use farlog_wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use farlog_wire::messages::create_topics_request::CreateTopicsRequest;
use farlog_wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use farlog_wire::messages::describe_configs_request::DescribeConfigsRequest;
use farlog_wire::messages::describe_configs_response::{
    DescribeConfigsResponse, DescribeConfigsResult,
};
use farlog_wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use farlog_wire::messages::incremental_alter_configs_response::{
    self, IncrementalAlterConfigsResponse,
};
use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};

use super::super::describe_configs::{RESOURCE_BROKER, RESOURCE_TOPIC};
use super::super::{CLUSTER_OPERATIONS, OPERATIONS_UNKNOWN, TOPIC_OPERATIONS};
use super::{Access, Authorize, Verdict};
use crate::security::acl::{CLUSTER_NAME, Operation, ResourceType};

const CODE: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

/// The resource type of a group's configs.
const RESOURCE_GROUP: i8 = 32;

impl Authorize for MetadataRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<MetadataResponse> {
        let may_create = self.allow_auto_topic_creation;
        let asked = self.topics.iter_mut();
        let refused: Vec<MetadataResponseTopic> = asked
            .flat_map(|asked| asked.extract_if(.., |topic| !may_see(access, topic, may_create)))
            .map(refused_topic)
            .collect();
        let nothing_left = self.topics.as_ref().is_some_and(Vec::is_empty) && !refused.is_empty();
        let access = access.clone();
        Verdict::after(move |response: &mut MetadataResponse| {
            if nothing_left {
                // In version 0 the empty list that is left means all topics.
                response.topics.clear();
            }
            // Of all topics those are told that one may see.
            response.topics.retain(|topic| {
                let name = topic.name.as_deref().unwrap_or_default();
                topic.error_code.is_error() || access.topic(Operation::Describe, name)
            });
            for topic in &mut response.topics {
                if topic.topic_authorized_operations != OPERATIONS_UNKNOWN {
                    let name = topic.name.as_deref().unwrap_or_default();
                    topic.topic_authorized_operations =
                        access.operations(ResourceType::Topic, name, TOPIC_OPERATIONS);
                }
            }
            response.topics.extend(refused);
            let operations = &mut response.cluster_authorized_operations;
            *operations = cluster_operations(&access, *operations);
        })
    }
}

/// What the sender may do to the cluster, if that was asked.
pub(super) fn cluster_operations(access: &Access, told: i32) -> i32 {
    match told {
        OPERATIONS_UNKNOWN => OPERATIONS_UNKNOWN,
        _ if !access.cluster(Operation::Describe) => 0,
        _ => access.operations(ResourceType::Cluster, CLUSTER_NAME, CLUSTER_OPERATIONS),
    }
}

fn may_see(access: &Access, asked: &MetadataRequestTopic, may_create: bool) -> bool {
    let catalog = &access.broker.catalog;
    let Some(name) = &asked.name else {
        return access.named(Operation::Describe, "", asked.topic_id);
    };
    let creates =
        || may_create && access.broker.auto_create_topics && catalog.topic(name).is_none();
    access.topic(Operation::Describe, name)
        && (!creates()
            || access.cluster(Operation::Create)
            || access.topic(Operation::Create, name))
}

fn refused_topic(asked: MetadataRequestTopic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: CODE,
        topic_authorized_operations: OPERATIONS_UNKNOWN,
        // Who asks by name learns no id.
        topic_id: if asked.name.is_some() { Default::default() } else { asked.topic_id },
        name: asked.name,
        ..MetadataResponseTopic::default()
    }
}

impl Authorize for CreateTopicsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<CreateTopicsResponse> {
        let creates_all = access.cluster(Operation::Create);
        let refused = self
            .topics
            .extract_if(.., |topic| !creates_all && !access.topic(Operation::Create, &topic.name));
        let refused: Vec<_> = refused
            .map(|topic| CreatableTopicResult {
                name: topic.name,
                error_code: CODE,
                error_message: Some("Authorization failed.".to_owned()),
                num_partitions: -1,
                replication_factor: -1,
                configs: Some(Vec::new()),
                ..CreatableTopicResult::default()
            })
            .collect();
        let access = access.clone();
        Verdict::after(move |response: &mut CreateTopicsResponse| {
            for topic in response.topics.iter_mut().filter(|topic| !topic.error_code.is_error()) {
                if !access.topic(Operation::DescribeConfigs, &topic.name) {
                    topic.topic_config_error_code = CODE;
                    (topic.num_partitions, topic.replication_factor) = (-1, -1);
                    topic.configs = Some(Vec::new());
                }
            }
            response.topics.extend(refused);
        })
    }
}

impl Authorize for DeleteTopicsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DeleteTopicsResponse> {
        let by_name = std::mem::take(&mut self.topic_names).into_iter();
        let by_name = by_name
            .map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() });
        self.topics.extend(by_name);
        let may = |topic: &DeleteTopicState| {
            let name = topic.name.as_deref().unwrap_or_default();
            access.named(Operation::Delete, name, topic.topic_id)
        };
        let refused = self.topics.extract_if(.., |topic| !may(topic));
        let refused = refused.map(|topic| {
            // By its id: who may not even see it does not learn its name.
            let found = topic.name.or_else(|| {
                let name = access.name_of("", topic.topic_id)?;
                access.topic(Operation::Describe, &name).then_some(name)
            });
            DeletableTopicResult {
                name: found,
                topic_id: topic.topic_id,
                error_code: CODE,
                error_message: Some(CODE.message().to_owned()),
            }
        });
        Verdict::without(refused.collect(), |response: &mut DeleteTopicsResponse, refused| {
            response.responses.extend(refused);
        })
    }
}

impl Authorize for CreatePartitionsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<CreatePartitionsResponse> {
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Alter, &topic.name));
        let refused = refused.map(|topic| CreatePartitionsTopicResult {
            name: topic.name,
            error_code: CODE,
            error_message: Some(CODE.message().to_owned()),
        });
        Verdict::without(refused.collect(), |response: &mut Self::Response, refused| {
            response.results.extend(refused);
        })
    }
}

/// Why somebody may not do this to the configs of a resource; `None` if they may.
fn refusal(access: &Access, operation: Operation, kind: i8, name: &str) -> Option<ErrorCode> {
    let (may, code) = match kind {
        RESOURCE_TOPIC => (access.topic(operation, name), CODE),
        RESOURCE_GROUP => (access.group(operation, name), ErrorCode::GROUP_AUTHORIZATION_FAILED),
        RESOURCE_BROKER => (access.cluster(operation), ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
        // Nothing else has configs here.
        _ => return None,
    };
    (!may).then_some(code)
}

/// Takes out the resources whose configs somebody may not do this to, and answers for each of them.
fn take_refused<T, R>(
    access: &Access,
    operation: Operation,
    resources: &mut Vec<T>,
    named: impl Fn(&T) -> (i8, &String),
    answer: impl Fn(ErrorCode, i8, String) -> R,
) -> Vec<R> {
    let mut refused = Vec::new();
    resources.retain(|resource| {
        let (kind, name) = named(resource);
        let code = refusal(access, operation, kind, name);
        refused.extend(code.map(|code| answer(code, kind, name.clone())));
        code.is_none()
    });
    refused
}

impl Authorize for DescribeConfigsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeConfigsResponse> {
        let refused = take_refused(
            access,
            Operation::DescribeConfigs,
            &mut self.resources,
            |resource| (resource.resource_type, &resource.resource_name),
            |error_code, resource_type, resource_name| DescribeConfigsResult {
                error_code,
                error_message: Some(error_code.message().to_owned()),
                resource_type,
                resource_name,
                ..DescribeConfigsResult::default()
            },
        );
        Verdict::without(refused, |response: &mut DescribeConfigsResponse, refused| {
            response.results.extend(refused);
        })
    }
}

impl Authorize for AlterConfigsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<AlterConfigsResponse> {
        use alter_configs_response::AlterConfigsResourceResponse;
        let refused = take_refused(
            access,
            Operation::AlterConfigs,
            &mut self.resources,
            |resource| (resource.resource_type, &resource.resource_name),
            |error_code, resource_type, resource_name| AlterConfigsResourceResponse {
                error_code,
                error_message: Some(error_code.message().to_owned()),
                resource_type,
                resource_name,
            },
        );
        Verdict::without(refused, |response: &mut AlterConfigsResponse, refused| {
            response.responses.extend(refused);
        })
    }
}

impl Authorize for IncrementalAlterConfigsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<IncrementalAlterConfigsResponse> {
        use incremental_alter_configs_response::AlterConfigsResourceResponse;
        let refused = take_refused(
            access,
            Operation::AlterConfigs,
            &mut self.resources,
            |resource| (resource.resource_type, &resource.resource_name),
            |error_code, resource_type, resource_name| AlterConfigsResourceResponse {
                error_code,
                error_message: Some(error_code.message().to_owned()),
                resource_type,
                resource_name,
            },
        );
        Verdict::without(refused, |response: &mut IncrementalAlterConfigsResponse, refused| {
            response.responses.extend(refused);
        })
    }
}
