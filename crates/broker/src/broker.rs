//! The broker as a whole: open, bind, run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use farlog_store::{Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::FetchSessions;
use crate::catalog::{Catalog, CatalogError};
use crate::clock::Clock;
use crate::groups::{Groups, ReplayError};
use crate::listener::{ListenerOptions, SecurityProtocol};
use crate::options::{BrokerOptions, HostPort};
use crate::request_memory::RequestMemory;
use crate::security::quota::Rates;
use crate::security::{
    AuthorizerOptions, SaslMechanism, TlsServer, TlsServerError, TokenOptions, Users,
};
use crate::settings::BrokerSettings;
use crate::transactions::{TransactionLogError, Transactions};
use crate::{cleaner, groups, maintenance, server, transactions};

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no way in.
    #[error("there is nothing to listen on")]
    NoListener,
    /// A way in that needs certificates, and there are none.
    #[error("listener {listener} needs a certificate and its key")]
    NoCertificate {
        /// The listener.
        listener: ListenerOptions,
    },
    /// Tokens are offered, and nothing is said of what they must be.
    #[error("OAUTHBEARER is offered, and it is not said which tokens are taken")]
    NoTokens,
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsServerError),
    /// What the cluster knows of itself cannot be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The groups cannot be read back.
    #[error(transparent)]
    Groups(#[from] ReplayError),
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What transactions there were cannot be read.
    #[error(transparent)]
    Transactions(#[from] TransactionLogError),
}

/// What every connection and background task shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    /// The ways in, in the order of the options.
    pub(crate) listeners: Vec<Listening>,
    pub(crate) tls: Option<TlsServer>,
    pub(crate) mechanisms: BTreeSet<SaslMechanism>,
    pub(crate) users: Users,
    /// What tokens must be; if `None`, OAUTHBEARER is not offered.
    pub(crate) tokens: Option<TokenOptions>,
    /// `None` if everybody may do everything.
    pub(crate) authorizer: Option<AuthorizerOptions>,
    /// Of clients that have quotas.
    pub(crate) rates: Rates,
    /// Of all connections.
    pub(crate) request_memory: RequestMemory,
    pub(crate) auto_create_topics: bool,
    pub(crate) default_partitions: i32,
    pub(crate) settings: BrokerSettings,
    pub(crate) clock: Clock,
    pub(crate) catalog: Catalog,
    pub(crate) transactions: Transactions,
    pub(crate) groups: Groups,
    pub(crate) fetch_sessions: FetchSessions,
}

/// One way in.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) protocol: SecurityProtocol,
    pub(crate) advertised: HostPort,
}

/// A broker that listens, and serves once it is run.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// Looks at a broker from elsewhere; cheap to clone.
#[derive(Clone, Debug)]
pub struct BrokerHandle {
    addresses: Vec<SocketAddr>,
    cluster_id: String,
}

impl Broker {
    /// Reads what the store holds and takes the address.
    ///
    /// # Errors
    /// If the address cannot be had, or the store's logs cannot be read.
    pub async fn open(options: BrokerOptions) -> Result<Self, OpenError> {
        let tls = options.security.tls.as_ref().map(TlsServer::new).transpose()?;
        let offers_tokens = options.security.mechanisms.contains(&SaslMechanism::OauthBearer);
        if offers_tokens && options.security.tokens.is_none() {
            return Err(OpenError::NoTokens);
        }
        let (mut sockets, mut addresses, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for listener in options.listeners {
            if listener.protocol.has_tls() && tls.is_none() {
                return Err(OpenError::NoCertificate { listener });
            }
            let (socket, address, listening) = listen(listener).await?;
            sockets.push(socket);
            addresses.push(address);
            listeners.push(listening);
        }
        if listeners.is_empty() {
            return Err(OpenError::NoListener);
        }
        let store: Store = options.store;
        let catalog =
            Catalog::open(store, options.recovered, options.cluster_id, options.clock.clone())
                .await?;
        let transactions = Transactions::open(&catalog).await?;
        let groups =
            Groups::open(&catalog, options.settings.clone(), options.clock.clone()).await?;
        let shared = Shared {
            cluster_id: catalog.cluster_id(),
            node_id: options.node_id,
            listeners,
            tls,
            mechanisms: options.security.mechanisms,
            users: options.security.users,
            tokens: options.security.tokens,
            authorizer: options.security.authorizer,
            rates: Rates::default(),
            request_memory: RequestMemory::new(options.settings.queued_max_request_bytes),
            auto_create_topics: options.auto_create_topics,
            default_partitions: options.default_partitions,
            settings: options.settings,
            clock: options.clock,
            catalog,
            transactions,
            groups,
            fetch_sessions: FetchSessions::default(),
        };
        Ok(Self { shared: Arc::new(shared), sockets, addresses })
    }

    /// A handle for looking at it.
    pub fn handle(&self) -> BrokerHandle {
        let cluster_id = self.shared.cluster_id.clone();
        BrokerHandle { addresses: self.addresses.clone(), cluster_id }
    }

    /// Serves until `shutdown` turns true.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let maintaining = maintenance::run(Arc::clone(&self.shared), shutdown.clone());
        let compacting = cleaner::run(Arc::clone(&self.shared), shutdown.clone());
        let ending = transactions::run(Arc::clone(&self.shared), shutdown.clone());
        let coordinating = groups::run(Arc::clone(&self.shared), shutdown.clone());
        let serving = server::run(self.sockets, Arc::clone(&self.shared), shutdown);
        tokio::join!(serving, maintaining, compacting, ending, coordinating);
        maintenance::checkpoint_all(&self.shared);
    }
}

async fn listen(
    options: ListenerOptions,
) -> Result<(TcpListener, SocketAddr, Listening), OpenError> {
    let bind = |source| OpenError::Bind { address: options.address, source };
    let socket = TcpListener::bind(options.address).await.map_err(bind)?;
    let address = socket.local_addr().map_err(bind)?;
    let advertised = options
        .advertised
        .unwrap_or_else(|| HostPort { host: address.ip().to_string(), port: address.port() });
    Ok((socket, address, Listening { protocol: options.protocol, advertised }))
}

impl BrokerHandle {
    /// Where it listens first.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where it listens, in the order of the options.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }
}
