//! One Kafka cluster seen from inside: a broker that real clients cannot tell from Kafka for what
//! it serves, and that says *unsupported* for what it does not.
//!
//! - [`BrokerOptions`] → [`Broker::open`] → [`Broker::run`].
//! - `api/`: one file for each API; its first lines say which versions and KIPs it serves.
//! - `partition/`: what appending to a log means: sequences, transactions, epochs.
//! - `transactions/`: the transaction coordinator.
//! - `groups/`: who consumes together, and how far they are.
//! - `security/`: who is on the other side, and what they may do.
//! - `catalog/`: topics and what else the cluster knows of itself, kept in a log of its own.
//!
//! It meets the rest of Farlog in Kafka's bytes only.

mod api;
mod broker;
mod catalog;
mod cleaner;
mod clock;
mod connection;
mod groups;
mod limits;
mod listener;
mod maintenance;
mod name_pattern;
mod options;
mod partition;
mod request_memory;
mod security;
mod server;
mod settings;
mod settling;
mod topic_configs;
mod transactions;

pub use broker::{Broker, BrokerHandle, OpenError};
pub use clock::Clock;
pub use groups::ReplayError;
pub use listener::{ListenerError, ListenerOptions, SecurityProtocol};
pub use options::{BrokerOptions, HostPort};
pub use security::{
    AuthorizerOptions, ClientCertificates, SaslMechanism, SecurityOptions, TlsServerError,
    TlsServerOptions, TokenKeys, TokenKeysError, TokenOptions, TokenTrust, Users, UsersError,
};
pub use settings::{BrokerSettings, SettingError};
pub use transactions::TransactionLogError;
