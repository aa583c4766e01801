//! A member of a classic group.

use bytes::Bytes;

use super::{Now, Waiter};
use crate::groups::record::ClassicMemberValue;

/// One way of sharing the work that a member knows, and what it says about itself in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::groups) struct Protocol {
    pub(in crate::groups) name: String,
    pub(in crate::groups) metadata: Bytes,
}

/// A member.
#[derive(Clone, Debug)]
pub(in crate::groups) struct Member {
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    /// What it likes best comes first.
    pub(super) protocols: Vec<Protocol>,
    pub(in crate::groups) assignment: Bytes,
    pub(super) joining: Option<Waiter>,
    pub(super) syncing: Option<Waiter>,
    /// It has not been in a generation yet.
    pub(super) is_new: bool,
    pub(super) deadline_ms: i64,
}

impl Member {
    pub(super) fn from_value(value: &ClassicMemberValue, protocol: String, now: Now) -> Self {
        Self {
            instance_id: value.instance_id.clone(),
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            session_timeout_ms: value.session_timeout_ms,
            protocols: vec![Protocol {
                name: protocol,
                metadata: Bytes::copy_from_slice(&value.subscription),
            }],
            assignment: Bytes::copy_from_slice(&value.assignment),
            joining: None,
            syncing: None,
            is_new: false,
            deadline_ms: now.elapsed_ms + i64::from(value.session_timeout_ms),
        }
    }

    /// What it says about itself in a protocol; empty if it does not know it.
    pub(in crate::groups) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    pub(super) fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    pub(super) fn keep_alive(&mut self, now: Now) {
        self.deadline_ms = now.elapsed_ms + i64::from(self.session_timeout_ms);
    }

    /// Whoever waits for us cannot send heartbeats; who joins for the first time may be gone.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
