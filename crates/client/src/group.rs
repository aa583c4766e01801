//! Membership in a classic group (JoinGroup, SyncGroup, Heartbeat, LeaveGroup): how instances of
//! one process agree on who owns what, with the cluster as the only coordinator.
//!
//! [`GroupMember::join`] blocks until the group has settled and answers with this member's
//! assignment. From then on a task sends heartbeats; [`GroupMember::event`] says when the
//! assignment has to be given up, and [`Lease`] until when it is certainly ours even if we never
//! hear from the coordinator again. Joining again is the owner's own step, so that it can finish
//! or drop its work first.

mod error;
mod heartbeat;
mod lease;
mod protocol;

use std::time::Duration;

use bytes::Bytes;
use farlog_wire::messages::leave_group_request::LeaveGroupRequest;
use farlog_wire::{ApiKey, ErrorCode};
use tokio::time::Instant;

pub use error::GroupError;
pub use heartbeat::GroupEvent;
pub use lease::Lease;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::options::ConnectionOptions;
use heartbeat::Heartbeats;
use lease::LeaseSource;
use protocol::{Joined, Membership};

/// How much longer than the group itself we wait for the group to settle.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Attempts in a row that do not wait: each step of the protocol can ask for one.
const AT_ONCE_MAX: usize = 4;

/// What a member wants of its group.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// Group id.
    pub group_id: String,
    /// What kind of group it is; members of different kinds refuse each other.
    pub protocol_type: String,
    /// The name of the format of metadata and assignments.
    pub protocol: String,
    /// `session.timeout.ms`: a member that is silent for this long is put out of the group. The
    /// broker's `group.min.session.timeout.ms` (6 s) is the least it accepts.
    pub session_timeout: Duration,
    /// `rebalance.timeout.ms`: how long members may take to give up their work and join again.
    pub rebalance_timeout: Duration,
    /// `heartbeat.interval.ms`; at most a third of the session timeout.
    pub heartbeat_interval: Duration,
    /// `group.instance.id`: a restarted member with the same one gets its assignment back without
    /// a rebalance (KIP-345).
    pub instance_id: Option<String>,
}

/// A member as the leader of the group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Member id.
    pub member_id: String,
    /// `group.instance.id`, if it is static.
    pub instance_id: Option<String>,
    /// What it said when it joined.
    pub metadata: Bytes,
}

/// Assignments by member id; a member that is left out gets none.
pub type Assignments = Vec<(String, Bytes)>;

/// A settled group, from one member's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Goes up with every rebalance.
    pub generation_id: i32,
    /// Who we are in this group.
    pub member_id: String,
    /// Whether we made the assignments.
    pub is_leader: bool,
    /// What is ours; empty when nothing is.
    pub assignment: Bytes,
}

/// One member of one group. Dropping it stops the heartbeats: the group notices after the session
/// timeout. [`GroupMember::leave`] tells it at once.
#[derive(Debug)]
pub struct GroupMember {
    cluster: Cluster,
    options: GroupOptions,
    membership: Membership,
    lease: LeaseSource,
    connection: Option<Connection>,
    heartbeats: Option<Heartbeats>,
}

// === impl GroupOptions ===

impl GroupOptions {
    /// Kafka's own defaults for consumers, with a rebalance timeout of one minute.
    pub fn new(
        group_id: impl Into<String>,
        protocol_type: impl Into<String>,
        protocol: impl Into<String>,
    ) -> GroupOptions {
        GroupOptions {
            group_id: group_id.into(),
            protocol_type: protocol_type.into(),
            protocol: protocol.into(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            instance_id: None,
        }
    }
}

// === impl GroupMember ===

impl GroupMember {
    /// A member that has not joined yet.
    pub fn new(cluster: Cluster, options: GroupOptions) -> GroupMember {
        let lease = LeaseSource::new(options.session_timeout, options.rebalance_timeout);
        let membership = Membership::new(options.clone());
        GroupMember { cluster, options, membership, lease, connection: None, heartbeats: None }
    }

    /// Joins, or joins again after a rebalance, and waits until the group has settled. `metadata`
    /// is what the leader learns about this member; `assign` is called if this member is the
    /// leader. The lease is given up first: whoever joins again has stopped its work.
    ///
    /// Gives up when the coordinator cannot be used for as long as the cluster's retry options
    /// say; calling it again goes on where it stopped. Cancel-safe: a cancelled join leaves a
    /// member behind that times out or is continued by the next call.
    pub async fn join(
        &mut self,
        metadata: Bytes,
        assign: impl Fn(&[JoinedMember]) -> Assignments + Send,
    ) -> Result<Assignment, GroupError> {
        self.heartbeats = None;
        self.lease.give_up();
        let mut retry = self.cluster.retry();
        let mut at_once = 0;
        loop {
            let error = match self.try_join(&metadata, &assign).await {
                Ok(assignment) => return Ok(assignment),
                Err(error) => error,
            };
            match error.retry() {
                error::Retry::Never => return Err(error),
                error::Retry::AtOnce if at_once < AT_ONCE_MAX => at_once += 1,
                error::Retry::AtOnce | error::Retry::Later => {
                    at_once = 0;
                    self.connection = None;
                    self.cluster.forget_coordinator(&self.options.group_id);
                    if !retry.wait().await {
                        return Err(error);
                    }
                    tracing::debug!(group = %self.options.group_id, %error, "joining again");
                }
            }
        }
    }

    async fn try_join(
        &mut self,
        metadata: &Bytes,
        assign: &(impl Fn(&[JoinedMember]) -> Assignments + Send),
    ) -> Result<Assignment, GroupError> {
        let connection = self.coordinator().await?;
        let request = self.membership.join_request(metadata);
        let response = connection.send(&request).await?;
        let joined = self.membership.on_joined(&connection, response)?;
        let assignments = match &joined {
            Joined::Leader { members } => assign(members),
            Joined::Follower => Assignments::new(),
        };
        let request = self.membership.sync_request(assignments);
        let sent_at = Instant::now();
        let response = connection.send(&request).await?;
        let assignment = self.membership.on_synced(&connection, &joined, response)?;
        // The coordinator restarts the session when it hands out assignments, which is later than
        // the moment at which we asked for ours.
        let term = self.lease.begin();
        term.answered(sent_at, true);
        let request = self.membership.heartbeat_request();
        self.heartbeats = Some(Heartbeats::start(
            self.cluster.clone(),
            connection,
            self.options.clone(),
            request,
            term,
        ));
        Ok(assignment)
    }

    /// Waits until the assignment has to be given up. Without a group to be in, at once: not
    /// joined. Cancel-safe.
    pub async fn event(&mut self) -> GroupEvent {
        match &mut self.heartbeats {
            Some(heartbeats) => heartbeats.event().await,
            None => GroupEvent::Lost(GroupError::NotJoined),
        }
    }

    /// Until when the assignment is certainly ours.
    pub fn lease(&self) -> Lease {
        self.lease.reader()
    }

    /// Leaves the group at once, so that others need not wait for the session to run out. Work
    /// must have stopped before.
    pub async fn leave(mut self) -> Result<(), GroupError> {
        self.heartbeats = None;
        self.lease.give_up();
        if !self.membership.has_joined() {
            return Ok(());
        }
        let connection = self.coordinator().await?;
        let version = connection.version_of::<LeaveGroupRequest>().unwrap_or(0);
        let request = self.membership.leave_request(version);
        let response = connection.send(&request).await?;
        let of_member = response.members.first().map(|member| member.error_code);
        let code = of_member.filter(|code| *code != ErrorCode::NONE);
        match code.unwrap_or(response.error_code) {
            // Somebody has put us out already.
            ErrorCode::NONE | ErrorCode::UNKNOWN_MEMBER_ID => Ok(()),
            code => Err(self.membership.refused(&connection, ApiKey::LeaveGroup, code)),
        }
    }

    /// A connection of our own: a broker holds all requests of a connection back while a JoinGroup
    /// waits for the other members.
    async fn coordinator(&mut self) -> Result<Connection, GroupError> {
        if let Some(connection) =
            self.connection.take_if(|connection| connection.failure().is_some())
        {
            tracing::debug!(broker = %connection.broker(), "coordinator connection lost");
        }
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = dial(&self.cluster, &self.options).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }
}

/// Dials the group's coordinator with patience for a rebalance.
async fn dial(cluster: &Cluster, options: &GroupOptions) -> Result<Connection, GroupError> {
    let broker = cluster.group_coordinator_id(&options.group_id).await?;
    let defaults = cluster.connection_options();
    let patience = options.rebalance_timeout + JOIN_PATIENCE;
    let request_timeout = defaults.request_timeout.max(patience);
    let dialled = cluster.dial(broker, &ConnectionOptions { request_timeout, ..defaults }).await;
    if dialled.is_err() {
        cluster.forget_coordinator(&options.group_id);
    }
    Ok(dialled?)
}
