//! The task that keeps a member in its group.

use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::{ApiKey, ErrorCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::{GroupError, Retry};
use super::lease::LeaseTerm;
use super::protocol::refusal;
use super::{GroupOptions, dial};
use crate::cluster::Cluster;
use crate::connection::Connection;

/// Why an assignment has to be given up.
#[derive(Clone, Debug)]
pub enum GroupEvent {
    /// The group is being rebalanced: stop the work, then join again. Heartbeats go on meanwhile.
    Rebalance,
    /// The group has gone on without us.
    Lost(GroupError),
}

/// A running task; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Heartbeats {
    events: watch::Receiver<Option<GroupEvent>>,
    task: JoinHandle<()>,
}

struct Task {
    cluster: Cluster,
    connection: Option<Connection>,
    options: GroupOptions,
    request: HeartbeatRequest,
    lease: LeaseTerm,
    events: watch::Sender<Option<GroupEvent>>,
}

// === impl Heartbeats ===

impl Heartbeats {
    pub(super) fn start(
        cluster: Cluster,
        connection: Connection,
        options: GroupOptions,
        request: HeartbeatRequest,
        lease: LeaseTerm,
    ) -> Heartbeats {
        let (events, receiver) = watch::channel(None);
        let connection = Some(connection);
        let task = Task { cluster, connection, options, request, lease, events };
        Heartbeats { events: receiver, task: tokio::spawn(task.run()) }
    }

    pub(super) async fn event(&mut self) -> GroupEvent {
        match self.events.wait_for(Option::is_some).await {
            Ok(event) => event.clone().unwrap_or(GroupEvent::Rebalance),
            // The task ends only after an event, unless the runtime took it away.
            Err(_) => GroupEvent::Lost(GroupError::NotJoined),
        }
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Task ===

impl Task {
    async fn run(mut self) {
        let lost = loop {
            let sent_at = Instant::now();
            let next = sent_at + self.options.heartbeat_interval;
            if let Err(error) = self.beat(sent_at).await
                && let Some(lost) = self.after(error)
            {
                break lost;
            }
            sleep_until(next).await;
        };
        self.lease.give_up();
        self.events.send_replace(Some(GroupEvent::Lost(lost)));
    }

    /// What a failed heartbeat means: nothing yet, or that the group has gone on without us.
    fn after(&mut self, error: GroupError) -> Option<GroupError> {
        if error.retry() != Retry::Later {
            return Some(error);
        }
        if self.lease.valid_until().is_none_or(|until| Instant::now() >= until) {
            return Some(GroupError::SessionExpired {
                group_id: self.options.group_id.clone(),
                within: self.options.session_timeout,
                last: error.to_string(),
            });
        }
        tracing::debug!(group = %self.options.group_id, %error, "heartbeat failed");
        self.connection = None;
        self.cluster.forget_coordinator(&self.options.group_id);
        None
    }

    /// One heartbeat. It is given up after a third of the session timeout, so that a coordinator
    /// that keeps silent is looked for elsewhere in good time.
    async fn beat(&mut self, sent_at: Instant) -> Result<(), GroupError> {
        let after = self.options.session_timeout / 3;
        let stable = timeout_at(sent_at + after, self.exchange()).await.unwrap_or_else(|_| {
            let group_id = self.options.group_id.clone();
            Err(GroupError::HeartbeatUnanswered { group_id, after })
        })?;
        self.lease.answered(sent_at, stable);
        if !stable {
            self.events.send_replace(Some(GroupEvent::Rebalance));
        }
        Ok(())
    }

    /// Whether no rebalance is under way.
    async fn exchange(&mut self) -> Result<bool, GroupError> {
        let connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => {
                let connection = dial(&self.cluster, &self.options).await?;
                self.connection.insert(connection).clone()
            }
        };
        match connection.send(&self.request).await?.error_code {
            ErrorCode::NONE => Ok(true),
            ErrorCode::REBALANCE_IN_PROGRESS => Ok(false),
            code => {
                let group_id = &self.options.group_id;
                Err(refusal(&connection, ApiKey::Heartbeat, group_id, code))
            }
        }
    }
}
