//! The requests of a member and what their answers mean. Without IO.
//!
//! KIP-394: a new member is first given an id and has to join again with it. KIP-345: a static
//! member names its instance in every request. KIP-814: a static leader that comes back may be
//! told to leave the assignments as they are.

use bytes::Bytes;
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use farlog_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use farlog_wire::messages::sync_group_response::SyncGroupResponse;
use farlog_wire::{ApiKey, ErrorCode};

use super::error::GroupError;
use super::{Assignment, Assignments, GroupOptions, JoinedMember};
use crate::connection::Connection;
use crate::error::BrokerError;

/// From this version on, LeaveGroup names members in a list (KIP-345).
const LEAVE_LIST_FROM: i16 = 3;

/// Who we are in the group.
#[derive(Debug)]
pub(super) struct Membership {
    options: GroupOptions,
    member_id: String,
    generation_id: i32,
}

/// A group that has gathered its members.
#[derive(Debug)]
pub(super) enum Joined {
    Leader { members: Vec<JoinedMember> },
    Follower,
}

// === impl Membership ===

impl Membership {
    pub(super) fn new(options: GroupOptions) -> Membership {
        Membership { options, member_id: String::new(), generation_id: -1 }
    }

    pub(super) fn has_joined(&self) -> bool {
        !self.member_id.is_empty()
    }

    pub(super) fn join_request(&self, metadata: &Bytes) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol {
            name: self.options.protocol.clone(),
            metadata: metadata.clone(),
        };
        JoinGroupRequest {
            group_id: self.options.group_id.clone(),
            session_timeout_ms: millis(self.options.session_timeout),
            rebalance_timeout_ms: millis(self.options.rebalance_timeout),
            member_id: self.member_id.clone(),
            group_instance_id: self.options.instance_id.clone(),
            protocol_type: self.options.protocol_type.clone(),
            protocols: vec![protocol],
            reason: None,
        }
    }

    pub(super) fn on_joined(
        &mut self,
        connection: &Connection,
        response: JoinGroupResponse,
    ) -> Result<Joined, GroupError> {
        match response.error_code {
            ErrorCode::NONE => {}
            code => {
                if code == ErrorCode::MEMBER_ID_REQUIRED {
                    self.member_id = response.member_id;
                }
                return Err(self.refused(connection, ApiKey::JoinGroup, code));
            }
        }
        self.member_id = response.member_id;
        self.generation_id = response.generation_id;
        if response.leader != self.member_id || response.skip_assignment {
            return Ok(Joined::Follower);
        }
        let members = response.members.into_iter().map(|member| JoinedMember {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
            metadata: member.metadata,
        });
        Ok(Joined::Leader { members: members.collect() })
    }

    pub(super) fn sync_request(&self, assignments: Assignments) -> SyncGroupRequest {
        let assignment =
            |(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment };
        SyncGroupRequest {
            group_id: self.options.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.options.instance_id.clone(),
            protocol_type: Some(self.options.protocol_type.clone()),
            protocol_name: Some(self.options.protocol.clone()),
            assignments: assignments.into_iter().map(assignment).collect(),
        }
    }

    pub(super) fn on_synced(
        &mut self,
        connection: &Connection,
        joined: &Joined,
        response: SyncGroupResponse,
    ) -> Result<Assignment, GroupError> {
        if response.error_code != ErrorCode::NONE {
            return Err(self.refused(connection, ApiKey::SyncGroup, response.error_code));
        }
        Ok(Assignment {
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            is_leader: matches!(joined, Joined::Leader { .. }),
            assignment: response.assignment,
        })
    }

    pub(super) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.options.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.options.instance_id.clone(),
        }
    }

    pub(super) fn leave_request(&self, version: i16) -> LeaveGroupRequest {
        let group_id = self.options.group_id.clone();
        let member_id = self.member_id.clone();
        if version < LEAVE_LIST_FROM {
            return LeaveGroupRequest { group_id, member_id, members: Vec::new() };
        }
        let identity = MemberIdentity {
            member_id,
            group_instance_id: self.options.instance_id.clone(),
            reason: None,
        };
        LeaveGroupRequest { group_id, member_id: String::new(), members: vec![identity] }
    }

    /// An error code as an error. A member that the group does not know starts anew.
    pub(super) fn refused(
        &mut self,
        connection: &Connection,
        api: ApiKey,
        code: ErrorCode,
    ) -> GroupError {
        if code == ErrorCode::UNKNOWN_MEMBER_ID {
            self.member_id.clear();
        }
        refusal(connection, api, &self.options.group_id, code)
    }
}

pub(super) fn refusal(
    connection: &Connection,
    api: ApiKey,
    group_id: &str,
    code: ErrorCode,
) -> GroupError {
    let subject = format!("group {group_id}");
    let broker = connection.broker().clone();
    GroupError::Refused(BrokerError { broker, api, subject, code, message: None })
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
