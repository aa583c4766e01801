//! Consumer groups: which there are, and who is in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_wire::messages::describe_groups_request::DescribeGroupsRequest;
use farlog_wire::messages::describe_groups_response::DescribedGroup;
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::{ApiKey, ErrorCode};

use super::topics::outcome;
use crate::cluster::{Cluster, RequestError, TopicSelection};
use crate::error::BrokerError;

/// A group as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Group id.
    pub group_id: String,
    /// `consumer` for consumers, `connect` for Connect workers; empty for groups that only commit.
    pub protocol_type: String,
    /// Kafka's word for its state; `None` from brokers older than 2.6.
    pub state: Option<String>,
    /// `classic`, `consumer`, `share`, `streams`; `None` from brokers older than 3.8.
    pub group_type: Option<String>,
}

/// A classic group in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Kafka's word for its state: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`,
    /// `Dead`.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The chosen assignor.
    pub protocol: String,
    /// Members.
    pub members: Vec<GroupMemberDescription>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMemberDescription {
    /// Member id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address as the broker sees it.
    pub client_host: String,
    /// What it told the group, in the group's own format.
    pub metadata: Bytes,
    /// What it was assigned, in the group's own format.
    pub assignment: Bytes,
}

// === impl Cluster ===

impl Cluster {
    /// The groups of all coordinators. A broker that cannot be asked is an error: a list with
    /// holes would look complete.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, RequestError> {
        let metadata = self.metadata(&TopicSelection::None).await?;
        let brokers: Vec<i32> = metadata.brokers.into_keys().collect();
        let request = ListGroupsRequest::default();
        let mut groups = Vec::new();
        for id in brokers {
            let (connection, response) = self.send_to_from(id, &request).await?;
            let (api, code) = (ApiKey::ListGroups, response.error_code);
            outcome(connection.broker(), api, "", code, None)?;
            groups.extend(response.groups.into_iter().map(|group| GroupListing {
                group_id: group.group_id,
                protocol_type: group.protocol_type,
                state: Some(group.group_state).filter(|state| !state.is_empty()),
                group_type: Some(group.group_type).filter(|group_type| !group_type.is_empty()),
            }));
        }
        Ok(groups)
    }

    /// Classic groups in detail, each from its coordinator. A group that does not exist is
    /// described as `Dead`, or from Kafka 4.0 on as `GROUP_ID_NOT_FOUND`.
    pub async fn describe_groups(
        &self,
        groups: &[String],
    ) -> Result<BTreeMap<String, Result<GroupDescription, BrokerError>>, RequestError> {
        let mut results = BTreeMap::new();
        for group in groups {
            let request =
                DescribeGroupsRequest { groups: vec![group.clone()], ..Default::default() };
            let response = self
                .send_group_retrying(group, &request, |response| {
                    response.groups.first().map_or(ErrorCode::NONE, |group| group.error_code)
                })
                .await?;
            let coordinator = self.group_coordinator(group).await?;
            for described in response.groups {
                let (api, code) = (ApiKey::DescribeGroups, described.error_code);
                let (broker, message) = (coordinator.broker(), described.error_message.clone());
                let result = outcome(broker, api, group, code, message);
                let description = GroupDescription::new(&described);
                results.insert(described.group_id, result.map(|()| description));
            }
        }
        Ok(results)
    }
}

// === impl GroupDescription ===

impl GroupDescription {
    fn new(group: &DescribedGroup) -> GroupDescription {
        let members = group.members.iter().map(|member| GroupMemberDescription {
            member_id: member.member_id.clone(),
            instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.member_metadata.clone(),
            assignment: member.member_assignment.clone(),
        });
        GroupDescription {
            state: group.group_state.clone(),
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol_data.clone(),
            members: members.collect(),
        }
    }
}
