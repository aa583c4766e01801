//! Who is on the other side of a connection, and what they may do.
//!
//! - `sasl`, `scram`, `oauth`: mechanisms as state machines without IO.
//! - `quota`: how much they may take.
//! - `users`: who is known from a file; SCRAM credentials that clients set are in the catalog.
//! - `acl`, `authorizer`: who may do what.
//! - `tls`, `subject`: certificates, and the names in them.

pub(crate) mod acl;
mod authorizer;
pub(crate) mod oauth;
mod principal;
pub(crate) mod quota;
pub(crate) mod sasl;
pub(crate) mod scram;
mod subject;
mod tls;
mod users;

use std::collections::BTreeSet;

pub use authorizer::AuthorizerOptions;
pub(crate) use authorizer::{Acls, Asker};
pub use oauth::{TokenKeys, TokenKeysError, TokenOptions, TokenTrust};
pub(crate) use principal::Principal;
pub use sasl::SaslMechanism;
pub use tls::{ClientCertificates, TlsServerError, TlsServerOptions};
pub(crate) use tls::{TlsServer, principal_of};
pub use users::{Users, UsersError};

/// What a broker is told about security; all of it is off by default, as in Kafka.
#[derive(Clone, Debug)]
pub struct SecurityOptions {
    /// Mechanisms that listeners with SASL offer.
    pub mechanisms: BTreeSet<SaslMechanism>,
    /// Users with their passwords, for PLAIN and for SCRAM: so that one can begin.
    pub users: Users,
    /// What tokens must be, for OAUTHBEARER.
    pub tokens: Option<TokenOptions>,
    /// Certificates, for listeners with TLS.
    pub tls: Option<TlsServerOptions>,
    /// Who may do everything; `None` if everybody may.
    pub authorizer: Option<AuthorizerOptions>,
}

impl Default for SecurityOptions {
    fn default() -> Self {
        Self {
            mechanisms: SaslMechanism::WITH_PASSWORDS.into_iter().collect(),
            users: Users::default(),
            tokens: None,
            tls: None,
            authorizer: None,
        }
    }
}
