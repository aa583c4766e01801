//! What can go wrong in a history that is not a finding.

use std::time::Duration;

use farlog_client::{ConnectError, RequestError};
use farlog_wire::ErrorCode;

/// What can go wrong between a history and a cluster.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No cluster to talk to.
    #[error("connecting to {bootstrap}: {source}")]
    Connect {
        /// Where it should be.
        bootstrap: String,
        /// Why not.
        source: Box<ConnectError>,
    },
    /// No address.
    #[error("{bootstrap} is no list of servers")]
    Bootstrap {
        /// What was given.
        bootstrap: String,
    },
    /// A request that found no answer.
    #[error("{what}: {source}")]
    Request {
        /// What was being done.
        what: String,
        /// Why not.
        source: Box<RequestError>,
    },
    /// An answer that is an error.
    #[error("{what}: {code}")]
    Kafka {
        /// What was being done.
        what: String,
        /// What Kafka said.
        code: ErrorCode,
    },
    /// An answer that leaves out what was asked for.
    #[error("{what}: the answer leaves it out")]
    Unanswered {
        /// What was being done.
        what: String,
    },
    /// A log that cannot be decoded.
    #[error("{topic}-{partition} at offset {offset}: {problem}")]
    Log {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The batch's base offset, or where it was looked for.
        offset: i64,
        /// What is wrong.
        problem: String,
    },
    /// Something that should have happened by itself did not.
    #[error("{what} did not happen within {} s", .patience.as_secs())]
    Patience {
        /// What was waited for.
        what: String,
        /// For how long.
        patience: Duration,
    },
    /// A process or file of the test's own.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The test's own fixtures.
    #[error("{what}: {problem}")]
    Fixture {
        /// What was being done.
        what: String,
        /// Why not.
        problem: String,
    },
}
