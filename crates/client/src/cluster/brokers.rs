//! The shared connections, one for each broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker_name::BrokerName;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::options::ConnectionOptions;

/// Shared connections by node id.
#[derive(Debug, Default)]
pub(super) struct Brokers(Mutex<BTreeMap<i32, Slot>>);

/// Held while a connection is being made, so that callers who come meanwhile share it.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

// === impl Brokers ===

impl Brokers {
    /// The living connection to a broker, or a new one when there is none, or when the broker has
    /// moved to another address.
    pub(super) async fn connection(
        &self,
        broker: &BrokerName,
        options: impl FnOnce() -> ConnectionOptions,
    ) -> Result<Connection, ConnectionError> {
        let Some(id) = broker.id else {
            return Connection::dial(broker.clone(), &options()).await;
        };
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        if let Some(connection) = &*slot
            && connection.failure().is_none()
            && connection.broker().address == broker.address
        {
            return Ok(connection.clone());
        }
        let connection = Connection::dial(broker.clone(), &options()).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// A broker that we are connected to, if any.
    pub(super) fn any_connected(&self) -> Option<Connection> {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        slots.iter().find_map(|slot| {
            let slot = slot.try_lock().ok()?;
            slot.as_ref().filter(|connection| connection.failure().is_none()).cloned()
        })
    }

    fn slot(&self, id: i32) -> Slot {
        self.slots().entry(id).or_default().clone()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
