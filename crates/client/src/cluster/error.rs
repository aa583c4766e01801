//! What can go wrong on the way from a cluster handle to an answer.

use crate::broker_name::ServerAddress;
use crate::error::{BrokerError, ConnectionError, SendError};

/// A cluster that could not be connected to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing to connect to.
    #[error("no bootstrap server is configured")]
    NoServers,
    /// None of the servers gave a usable connection.
    #[error("no server of the cluster can be used: {}", list(.failures))]
    NoneUsable {
        /// One cause for each server tried.
        failures: Vec<ConnectionError>,
    },
    /// A server did not answer the first request.
    #[error(transparent)]
    Send(SendError),
    /// The servers belong to another cluster than expected.
    #[error("{server} belongs to cluster `{found}`, expected `{expected}`")]
    OtherCluster {
        /// Who said so.
        server: String,
        /// The cluster id that was expected.
        expected: String,
        /// The cluster id that was found.
        found: String,
    },
    /// A server that does not say which cluster it belongs to.
    #[error("{server} does not say which cluster it belongs to")]
    NoClusterId {
        /// Who was asked.
        server: ServerAddress,
    },
}

/// A request that could not be brought to an answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// No usable connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No usable connection to the one broker that it had to be.
    #[error(transparent)]
    Dial(#[from] ConnectionError),
    /// The request failed on its way, or its answer cannot be read.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The broker answered with an error for the request as a whole.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A node id that the cluster does not list.
    #[error("broker {id} is not among the brokers of cluster `{cluster_id}`")]
    UnknownBroker {
        /// The node id.
        id: i32,
        /// The cluster.
        cluster_id: String,
    },
    /// The cluster has no controller just now.
    #[error("cluster `{cluster_id}` has no controller just now")]
    NoController {
        /// The cluster.
        cluster_id: String,
    },
    /// A partition without a leader just now.
    #[error("{topic}-{partition} has no leader just now")]
    NoLeader {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// A topic or partition that does not exist, or that we may not see.
    #[error("{topic}-{partition} does not exist in cluster `{cluster_id}` (or may not be seen)")]
    UnknownPartition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The cluster.
        cluster_id: String,
    },
    /// An answer that leaves out what was asked for.
    #[error("{broker} left {subject} out of its answer to {api}")]
    Unanswered {
        /// Who was asked.
        broker: crate::broker_name::BrokerName,
        /// The request.
        api: farlog_wire::ApiKey,
        /// What is missing.
        subject: String,
    },
}

// === impl ConnectError ===

impl ConnectError {
    /// Whether another attempt can go better without anybody changing a setting.
    pub fn is_retriable(&self) -> bool {
        match self {
            ConnectError::NoneUsable { failures } => {
                failures.iter().all(ConnectionError::is_retriable)
            }
            ConnectError::Send(error) => error.is_retriable(),
            ConnectError::NoServers
            | ConnectError::OtherCluster { .. }
            | ConnectError::NoClusterId { .. } => false,
        }
    }
}

// === impl RequestError ===

impl RequestError {
    /// Whether the same request can succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            RequestError::Connect(error) => error.is_retriable(),
            RequestError::Dial(error) => error.is_retriable(),
            RequestError::Send(error) => error.is_retriable(),
            RequestError::Broker(error) => error.code.is_retriable(),
            // A broker is not listed while it is being restarted.
            RequestError::NoController { .. }
            | RequestError::NoLeader { .. }
            | RequestError::UnknownBroker { .. } => true,
            RequestError::UnknownPartition { .. } | RequestError::Unanswered { .. } => false,
        }
    }
}

fn list(failures: &[ConnectionError]) -> String {
    let causes: Vec<String> = failures.iter().map(ToString::to_string).collect();
    causes.join("; ")
}
