//! Why a member is not, or no longer, in its group.

use std::time::Duration;

use farlog_wire::ErrorCode;

use crate::cluster::RequestError;
use crate::error::{BrokerError, SendError};

/// What keeps a member out of its group.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GroupError {
    /// The coordinator could not be found or asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The coordinator refused.
    #[error(transparent)]
    Refused(#[from] BrokerError),
    /// A coordinator that keeps silent.
    #[error("a heartbeat of group {group_id} was not answered within {} ms", .after.as_millis())]
    HeartbeatUnanswered {
        /// The group.
        group_id: String,
        /// How long we waited.
        after: Duration,
    },
    /// No heartbeat got through for a whole session timeout: by now the group has gone on
    /// without us.
    #[error(
        "no heartbeat of group {group_id} was answered within {} ms; last: {last}",
        .within.as_millis()
    )]
    SessionExpired {
        /// The group.
        group_id: String,
        /// The session timeout.
        within: Duration,
        /// The last attempt.
        last: String,
    },
    /// [`join`](super::GroupMember::join) has not been called, or has not succeeded.
    #[error("not in a group")]
    NotJoined,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// The coordinator told us how to go on.
    AtOnce,
    /// After a while, perhaps with another coordinator.
    Later,
    /// Somebody has to change something first.
    Never,
}

// === impl GroupError ===

impl From<SendError> for GroupError {
    fn from(error: SendError) -> GroupError {
        GroupError::Request(error.into())
    }
}

impl GroupError {
    /// Whether joining again can help without anybody changing a setting.
    pub fn is_retriable(&self) -> bool {
        self.retry() != Retry::Never
    }

    pub(super) fn retry(&self) -> Retry {
        match self {
            GroupError::Request(error) if error.is_retriable() => Retry::Later,
            GroupError::Request(_) => Retry::Never,
            GroupError::Refused(error) => match error.code {
                ErrorCode::MEMBER_ID_REQUIRED
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::ILLEGAL_GENERATION => Retry::AtOnce,
                code if code.is_retriable() => Retry::Later,
                _ => Retry::Never,
            },
            GroupError::HeartbeatUnanswered { .. }
            | GroupError::SessionExpired { .. }
            | GroupError::NotJoined => Retry::Later,
        }
    }
}
