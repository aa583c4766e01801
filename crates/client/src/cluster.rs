//! A cluster seen from outside: a cheap handle that finds brokers, keeps one shared connection to
//! each for admin traffic, routes requests, and tries again where that can help.

mod brokers;
mod error;
mod metadata;
mod retry;
mod route;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use error::{ConnectError, RequestError};
pub use metadata::{
    BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicMetadata, TopicSelection,
};
pub(crate) use retry::Retry;
pub(crate) use route::is_coordinator_moving;

use crate::broker_name::BrokerName;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::options::{ClusterOptions, ConnectionOptions, Security};
use brokers::Brokers;

/// A handle on one cluster; cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    cluster_id: String,
    /// Replaced when credentials or certificates are rotated; new connections use the new ones.
    security: RwLock<Security>,
    /// What the latest answers said; topics of different answers side by side.
    cache: RwLock<Arc<ClusterMetadata>>,
    brokers: Brokers,
    /// Group → node id of its coordinator.
    coordinators: Mutex<BTreeMap<String, i32>>,
}

// === impl Cluster ===

impl Cluster {
    /// Finds the cluster through its bootstrap servers, one after the other, again and again until
    /// the retry options give up. Wrong credentials or certificates are an error at once.
    pub async fn connect(options: ClusterOptions) -> Result<Cluster, ConnectError> {
        let mut retry = Retry::new(&options.retry, options.jitter.clone());
        loop {
            match Self::try_connect(&options).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) if error.is_retriable() && retry.wait().await => {
                    tracing::debug!(%error, "cannot connect yet");
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_connect(options: &ClusterOptions) -> Result<Cluster, ConnectError> {
        let (connection, metadata) = route::bootstrap(options, &options.connection).await?;
        let server = connection.broker().address.clone();
        let cluster_id = metadata.cluster_id.clone().ok_or(ConnectError::NoClusterId { server })?;
        if let Some(expected) = &options.cluster_id_expected {
            route::check_cluster_id(connection.broker(), expected, &metadata)?;
        }
        Ok(Cluster {
            inner: Arc::new(Inner {
                security: RwLock::new(options.connection.security.clone()),
                options: options.clone(),
                cluster_id,
                cache: RwLock::new(Arc::new(metadata)),
                brokers: Brokers::default(),
                coordinators: Mutex::default(),
            }),
        })
    }

    /// The id that the cluster gave itself.
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// The options it was built with.
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    /// The options of a new connection, with the latest security settings: a start for
    /// [`Cluster::dial`].
    pub fn connection_options(&self) -> ConnectionOptions {
        let security = self.inner.security.read().unwrap_or_else(PoisonError::into_inner).clone();
        ConnectionOptions { security, ..self.inner.options.connection.clone() }
    }

    /// Uses other credentials or certificates from the next connection on. Living connections go
    /// on with those they were made with.
    pub fn set_security(&self, security: Security) {
        *self.inner.security.write().unwrap_or_else(PoisonError::into_inner) = security;
    }

    /// What the latest answers said, without asking. Topics appear once they have been asked for.
    pub fn cached_metadata(&self) -> Arc<ClusterMetadata> {
        self.inner.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the cluster about itself and about some topics, and remembers the answer.
    pub async fn metadata(&self, topics: &TopicSelection) -> Result<ClusterMetadata, RequestError> {
        let (connection, response) = self.send_any_from(&topics.request()).await?;
        let metadata = ClusterMetadata::new(response);
        route::check_cluster_id(connection.broker(), &self.inner.cluster_id, &metadata)?;
        self.remember(topics, &metadata);
        Ok(metadata)
    }

    /// A connection of the caller's own to one broker, beside the shared one.
    pub async fn dial(
        &self,
        broker_id: i32,
        options: &ConnectionOptions,
    ) -> Result<Connection, RequestError> {
        let broker = self.broker_name(broker_id).await?;
        let dialled = Connection::dial(broker, options).await;
        if dialled.is_err() {
            self.forget_broker(broker_id);
        }
        Ok(dialled?)
    }

    /// The shared connection to one broker, made when there is none.
    pub async fn connection(&self, broker_id: i32) -> Result<Connection, RequestError> {
        let broker = self.broker_name(broker_id).await?;
        Ok(self.shared_connection(&broker).await?)
    }

    pub(crate) async fn shared_connection(
        &self,
        broker: &BrokerName,
    ) -> Result<Connection, ConnectionError> {
        let options = || self.connection_options();
        let connection = self.inner.brokers.connection(broker, options).await;
        if connection.is_err()
            && let Some(id) = broker.id
        {
            self.forget_broker(id);
        }
        connection
    }

    /// How long a broker may work on an admin request: less than we wait for its answer.
    pub(crate) fn broker_timeout_ms(&self) -> i32 {
        let timeout = self.inner.options.connection.request_timeout.mul_f64(0.9);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Merges an answer into what is known. An answer about all topics replaces the list; one
    /// about some replaces those, so a deleted topic does not linger.
    fn remember(&self, asked: &TopicSelection, metadata: &ClusterMetadata) {
        let mut cache = self.inner.cache.write().unwrap_or_else(PoisonError::into_inner);
        let mut merged = metadata.clone();
        if *asked != TopicSelection::All {
            for (name, topic) in &cache.topics {
                merged.topics.entry(name.clone()).or_insert_with(|| topic.clone());
            }
        }
        *cache = Arc::new(merged);
    }

    /// Has the controller looked up again before the next request to it.
    pub(crate) fn forget_controller(&self) {
        self.edit_cache(|metadata| metadata.controller_id = None);
    }

    /// Has the address of a broker looked up again: it may have come back somewhere else.
    fn forget_broker(&self, id: i32) {
        self.edit_cache(|metadata| {
            metadata.brokers.remove(&id);
        });
    }

    /// Has the leaders of a topic looked up again before the next request to one.
    pub fn forget_topic(&self, topic: &str) {
        self.edit_cache(|metadata| {
            metadata.topics.remove(topic);
        });
    }

    fn edit_cache(&self, edit: impl FnOnce(&mut ClusterMetadata)) {
        let mut cache = self.inner.cache.write().unwrap_or_else(PoisonError::into_inner);
        edit(Arc::make_mut(&mut cache));
    }

    fn coordinators(&self) -> MutexGuard<'_, BTreeMap<String, i32>> {
        self.inner.coordinators.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
