//! Produce connections to the target's brokers, shared by the partitions of a link.
//!
//! They are closed with a reset, also when the process dies: what was not yet on the wire must
//! never arrive after another instance has taken over.

use std::collections::HashMap;
use std::time::Duration;

use farlog_client::{Cluster, Connection, RequestError};

use crate::limits::LANES_PER_BROKER;

/// The produce connections of a link.
#[derive(Debug)]
pub(crate) struct TargetLanes {
    /// Data that the peer does not acknowledge for this long ends the connection.
    user_timeout: Duration,
    open: tokio::sync::Mutex<HashMap<(i32, usize), Connection>>,
}

impl TargetLanes {
    pub(crate) fn new(user_timeout: Duration) -> Self {
        Self { user_timeout, open: tokio::sync::Mutex::default() }
    }

    /// A live connection to a broker for a partition.
    pub(crate) async fn connection(
        &self,
        cluster: &Cluster,
        broker: i32,
        partition: i32,
    ) -> Result<Connection, RequestError> {
        let key = (broker, partition as usize % LANES_PER_BROKER);
        let mut open = self.open.lock().await;
        if let Some(connection) = open.get(&key).filter(|connection| connection.failure().is_none())
        {
            return Ok(connection.clone());
        }
        let mut options = cluster.connection_options();
        options.socket.reset_on_close = true;
        options.socket.user_timeout = Some(self.user_timeout);
        let connection = cluster.dial(broker, &options).await?;
        open.insert(key, connection.clone());
        Ok(connection)
    }

    /// Resets every connection: nothing that waits to be sent is sent.
    pub(crate) async fn reset(&self) {
        for (_, connection) in self.open.lock().await.drain() {
            connection.close_with_reset().await;
        }
    }
}
