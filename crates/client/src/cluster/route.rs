//! Which broker a request goes to, and what to do when it cannot go there.
//!
//! A request is sent again only after a connection failed, when the broker may or may not have
//! acted on it: callers of these functions send what may be repeated (reads, and admin requests
//! whose repetition is answered with "already so"). Lanes that must not repeat use
//! [`Cluster::dial`] and see every failure themselves.

use std::future::Future;

use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::find_coordinator_response::FindCoordinatorResponse;
use farlog_wire::{ApiKey, ErrorCode};

use super::metadata::{BrokerMetadata, ClusterMetadata, TopicSelection};
use super::{Cluster, ConnectError, RequestError, Retry};
use crate::broker_name::BrokerName;
use crate::connection::{ClientRequest, Connection};
use crate::error::{BrokerError, ConnectionError, ConnectionFailure, SendError};
use crate::options::{ClusterOptions, ConnectionOptions};

/// Coordinators remembered at once; groups of one process are far fewer.
const COORDINATORS_MAX: usize = 1_000;

/// `key_type` of a consumer group.
const GROUP: i8 = 0;

impl Cluster {
    /// Sends to one broker.
    pub async fn send_to<R: ClientRequest>(
        &self,
        broker_id: i32,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.send_to_from(broker_id, request).await.map(|(_, response)| response)
    }

    /// Like [`Cluster::send_to`]; says how it was reached.
    pub(crate) async fn send_to_from<R: ClientRequest>(
        &self,
        broker_id: i32,
        request: &R,
    ) -> Result<(Connection, R::Response), RequestError> {
        self.retrying(|| async {
            let connection = self.connection(broker_id).await?;
            let response = connection.send(request).await?;
            Ok((connection, response))
        })
        .await
    }

    /// Sends to whichever broker answers, preferably one that we are connected to.
    pub async fn send_any<R: ClientRequest>(
        &self,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.send_any_from(request).await.map(|(_, response)| response)
    }

    /// Like [`Cluster::send_any`]; says who answered.
    pub(crate) async fn send_any_from<R: ClientRequest>(
        &self,
        request: &R,
    ) -> Result<(Connection, R::Response), RequestError> {
        self.retrying(|| async {
            let connection = self.any_connection().await?;
            let response = connection.send(request).await?;
            Ok((connection, response))
        })
        .await
    }

    /// Sends to the controller. `NOT_CONTROLLER` in the answer is for the caller to see; a
    /// metadata refresh then finds the new one.
    pub async fn send_controller<R: ClientRequest>(
        &self,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.send_controller_from(request).await.map(|(_, response)| response)
    }

    pub(crate) async fn send_controller_from<R: ClientRequest>(
        &self,
        request: &R,
    ) -> Result<(Connection, R::Response), RequestError> {
        self.retrying(|| async {
            let connection = self.controller().await?;
            match connection.send(request).await {
                Ok(response) => Ok((connection, response)),
                Err(error) => {
                    self.forget_controller();
                    Err(error.into())
                }
            }
        })
        .await
    }

    /// Sends to the leader of a partition, as the cached metadata knows it.
    /// `NOT_LEADER_OR_FOLLOWER` in the answer is for the caller to see.
    pub async fn send_leader<R: ClientRequest>(
        &self,
        topic: &str,
        partition: i32,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.retrying(|| async {
            let leader = self.leader(topic, partition).await?;
            let sent = match self.shared_connection(&leader.name).await {
                Ok(connection) => connection.send(request).await.map_err(RequestError::from),
                Err(error) => Err(error.into()),
            };
            if sent.is_err() {
                self.forget_topic(topic);
            }
            sent
        })
        .await
    }

    /// Sends to the coordinator of a group. `NOT_COORDINATOR` in the answer is for the caller to
    /// see; [`Cluster::forget_coordinator`] then has it looked up again.
    pub async fn send_group_coordinator<R: ClientRequest>(
        &self,
        group: &str,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.retrying(|| async {
            let connection = self.group_coordinator(group).await?;
            let sent = connection.send(request).await;
            if sent.is_err() {
                self.forget_coordinator(group);
            }
            Ok(sent?)
        })
        .await
    }

    /// The shared connection to the coordinator of a group.
    pub async fn group_coordinator(&self, group: &str) -> Result<Connection, RequestError> {
        let id = self.group_coordinator_id(group).await?;
        let connection = self.connection(id).await;
        if connection.is_err() {
            self.forget_coordinator(group);
        }
        connection
    }

    /// The node id of the coordinator of a group.
    pub async fn group_coordinator_id(&self, group: &str) -> Result<i32, RequestError> {
        let known = self.coordinators().get(group).copied();
        match known {
            Some(id) => Ok(id),
            None => self.find_coordinator(group).await,
        }
    }

    /// Looks the coordinator of a group up again next time.
    pub fn forget_coordinator(&self, group: &str) {
        self.coordinators().remove(group);
    }

    async fn find_coordinator(&self, group: &str) -> Result<i32, RequestError> {
        // Version 4 asks for several groups at once (KIP-699); fields of the other form are left
        // out by either version.
        let connection = self.any_connection().await?;
        let version = connection.version_of::<FindCoordinatorRequest>();
        let batched = version.is_ok_and(|version| version >= 4);
        let request = FindCoordinatorRequest {
            key: if batched { String::new() } else { group.to_owned() },
            key_type: GROUP,
            coordinator_keys: if batched { vec![group.to_owned()] } else { Vec::new() },
        };
        let response = connection.send(&request).await?;
        let id = coordinator_of(connection.broker(), group, response)?;
        let mut coordinators = self.coordinators();
        if coordinators.len() >= COORDINATORS_MAX {
            coordinators.clear();
        }
        coordinators.insert(group.to_owned(), id);
        Ok(id)
    }

    /// The leader of a partition, asked for when it is not known.
    pub async fn leader(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<BrokerMetadata, RequestError> {
        if let Some(leader) = self.cached_metadata().leader(topic, partition) {
            return Ok(leader.clone());
        }
        let metadata = self.metadata(&TopicSelection::one(topic)).await?;
        if let Some(leader) = metadata.leader(topic, partition) {
            return Ok(leader.clone());
        }
        Err(self.leaderless(&metadata, topic, partition))
    }

    /// Why a partition has no leader: for the moment, or because it does not exist.
    pub(crate) fn leaderless(
        &self,
        metadata: &ClusterMetadata,
        topic: &str,
        partition: i32,
    ) -> RequestError {
        let known = metadata.topics.get(topic);
        let exists = known.is_some_and(|known| {
            known.partitions.contains_key(&partition)
                || known.error == ErrorCode::LEADER_NOT_AVAILABLE
        });
        let topic = topic.to_owned();
        if exists {
            return RequestError::NoLeader { topic, partition };
        }
        let cluster_id = self.cluster_id().to_owned();
        RequestError::UnknownPartition { topic, partition, cluster_id }
    }

    /// Sends to the coordinator again and again until `code_of` finds nothing to try again for:
    /// the coordinator moved, is loading, or is not there yet.
    pub async fn send_group_retrying<R: ClientRequest>(
        &self,
        group: &str,
        request: &R,
        code_of: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, RequestError> {
        let mut retry = self.retry();
        loop {
            let response = self.send_group_coordinator(group, request).await?;
            let code = code_of(&response);
            if code == ErrorCode::NOT_COORDINATOR || code == ErrorCode::COORDINATOR_NOT_AVAILABLE {
                self.forget_coordinator(group);
            }
            if !is_coordinator_moving(code) || !retry.wait().await {
                return Ok(response);
            }
        }
    }

    /// Runs an operation until it succeeds, cannot succeed, or the retry options give up.
    async fn retrying<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, RequestError> {
        let mut retry = self.retry();
        loop {
            match attempt().await {
                Err(error) if error.is_retriable() && retry.wait().await => {
                    tracing::debug!(%error, "trying again");
                }
                outcome => return outcome,
            }
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        Retry::new(&self.options().retry, self.options().jitter.clone())
    }

    /// A connection to any broker: one we have, else one of the known brokers starting anywhere,
    /// else the bootstrap servers, which also find a cluster whose brokers have all moved.
    async fn any_connection(&self) -> Result<Connection, RequestError> {
        if let Some(connection) = self.inner.brokers.any_connected() {
            return Ok(connection);
        }
        let known: Vec<BrokerName> =
            self.cached_metadata().brokers.values().map(|broker| broker.name.clone()).collect();
        let start = (self.options().jitter.next() * known.len() as f64) as usize;
        for index in 0..known.len() {
            let broker = &known[(start + index) % known.len()];
            match self.shared_connection(broker).await {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_retriable() => {
                    tracing::debug!(%error, "trying the next broker");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (connection, metadata) = bootstrap(self.options(), &self.connection_options()).await?;
        check_cluster_id(connection.broker(), self.cluster_id(), &metadata)?;
        self.remember(&TopicSelection::None, &metadata);
        Ok(connection)
    }

    pub(crate) async fn controller(&self) -> Result<Connection, RequestError> {
        let mut metadata = self.cached_metadata();
        if metadata.controller_id.is_none() {
            metadata = self.metadata(&TopicSelection::None).await?.into();
        }
        let Some(id) = metadata.controller_id else {
            let cluster_id = self.cluster_id().to_owned();
            return Err(RequestError::NoController { cluster_id });
        };
        let connection = self.connection(id).await;
        if connection.is_err() {
            self.forget_controller();
        }
        connection
    }

    pub(super) async fn broker_name(&self, id: i32) -> Result<BrokerName, RequestError> {
        if let Some(broker) = self.cached_metadata().brokers.get(&id) {
            return Ok(broker.name.clone());
        }
        let metadata = self.metadata(&TopicSelection::None).await?;
        let cluster_id = || self.cluster_id().to_owned();
        metadata
            .brokers
            .get(&id)
            .map(|broker| broker.name.clone())
            .ok_or_else(|| RequestError::UnknownBroker { id, cluster_id: cluster_id() })
    }
}

/// Connects to the first usable bootstrap server and asks it for the brokers.
pub(super) async fn bootstrap(
    options: &ClusterOptions,
    connection: &ConnectionOptions,
) -> Result<(Connection, ClusterMetadata), ConnectError> {
    let mut failures: Vec<ConnectionError> = Vec::new();
    let mut unanswered = None;
    for server in &options.bootstrap_servers {
        let broker = BrokerName::bootstrap(server.clone());
        match Connection::dial(broker, connection).await {
            Err(error) => failures.push(error),
            Ok(connection) => match connection.send(&TopicSelection::None.request()).await {
                Ok(response) => return Ok((connection, ClusterMetadata::new(response))),
                Err(SendError::Connection { source, .. }) => failures.push(unready(source)),
                Err(error) => unanswered = Some(ConnectError::Send(error)),
            },
        }
    }
    if failures.is_empty() && unanswered.is_none() {
        return Err(ConnectError::NoServers);
    }
    Err(unanswered.unwrap_or(ConnectError::NoneUsable { failures }))
}

/// A listener with SASL lets everybody negotiate versions and closes at the first other request.
fn unready(error: ConnectionError) -> ConnectionError {
    match &*error.failure {
        ConnectionFailure::ClosedByBroker { .. } => {
            let while_authenticating = true;
            let failure = ConnectionFailure::ClosedByBroker { while_authenticating };
            ConnectionError::new(&error.broker, failure)
        }
        _ => error,
    }
}

/// Refuses answers of another cluster: a recycled address must never become a source or a target.
pub(super) fn check_cluster_id(
    broker: &BrokerName,
    expected: &str,
    metadata: &ClusterMetadata,
) -> Result<(), ConnectError> {
    match &metadata.cluster_id {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(ConnectError::OtherCluster {
            server: broker.to_string(),
            expected: expected.to_owned(),
            found: found.clone(),
        }),
        None => Err(ConnectError::NoClusterId { server: broker.address.clone() }),
    }
}

fn coordinator_of(
    broker: &BrokerName,
    group: &str,
    response: FindCoordinatorResponse,
) -> Result<i32, RequestError> {
    let of_group = response.coordinators.into_iter().find(|coordinator| coordinator.key == group);
    let (code, message, id) = match of_group {
        Some(found) => (found.error_code, found.error_message, found.node_id),
        None => (response.error_code, response.error_message, response.node_id),
    };

    if code == ErrorCode::NONE {
        return Ok(id);
    }
    let broker = broker.clone();
    let subject = format!("group {group}");
    let error = BrokerError { broker, api: ApiKey::FindCoordinator, subject, code, message };
    Err(error.into())
}

/// Codes that mean "ask again, perhaps somebody else".
pub(crate) fn is_coordinator_moving(code: ErrorCode) -> bool {
    [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ]
    .contains(&code)
}
