//! What a caller decides about a cluster and its connections.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::backoff::{Jitter, RetryOptions};
use crate::broker_name::ServerAddress;
use crate::buffer_pool::BufferPool;
use crate::limits;
use crate::sasl::SaslCredentials;
use crate::tls::{TlsClient, TlsOptions, TlsOptionsError};

/// One cluster: where it is, how to prove who we are, how patient to be.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Any brokers of the cluster; the others are found through them.
    pub bootstrap_servers: Vec<ServerAddress>,
    /// Settings of every connection, unless a caller dials with others.
    pub connection: ConnectionOptions,
    /// Back-off of connection attempts and of admin requests.
    pub retry: RetryOptions,
    /// Randomness for the back-off.
    pub jitter: Jitter,
    /// The cluster id that must be found; another one is an error, never a surprise.
    pub cluster_id_expected: Option<String>,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// `client.id`: what brokers write in their logs and apply quotas to.
    pub client_id: String,
    /// TLS and SASL.
    pub security: Security,
    /// Longest time for resolving, connecting, TLS, version negotiation and SASL together.
    pub connect_timeout: Duration,
    /// A connection whose oldest request is not answered after this is given up. It must be longer
    /// than the longest wait that a request asks for (`max_wait_ms` of a fetch).
    pub request_timeout: Duration,
    /// Requests written and not answered; further ones wait in order.
    pub in_flight_requests_max: usize,
    /// Requests waiting to be written; further ones fail.
    pub queued_requests_max: usize,
    /// Bytes of the requests waiting to be written; further ones fail.
    pub queued_bytes_max: usize,
    /// Largest response, in bytes, after authentication.
    pub frame_bytes_max: usize,
    /// The TCP socket.
    pub socket: SocketOptions,
    /// Where response frames are read into.
    pub buffer_pool: BufferPool,
}

/// One TCP socket. Nagle's delay is always off.
#[derive(Clone, Debug, Default)]
pub struct SocketOptions {
    /// `SO_LINGER` 0: however the connection ends, what was not yet sent is thrown away and the
    /// broker sees a reset. For lanes whose late writes would do harm.
    pub reset_on_close: bool,
    /// `TCP_USER_TIMEOUT`: the kernel gives up when sent data stays unacknowledged for this long
    /// (Linux only; elsewhere the request timeout has to do).
    pub user_timeout: Option<Duration>,
    /// `SO_SNDBUF` in bytes; `None` leaves it to the kernel.
    pub send_buffer_bytes: Option<usize>,
    /// `SO_RCVBUF` in bytes; `None` leaves it to the kernel.
    pub receive_buffer_bytes: Option<usize>,
}

/// `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither TLS nor SASL.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

/// TLS and SASL, ready to use. `Default` is plaintext.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// TLS, or plaintext.
    pub tls: Option<TlsClient>,
    /// SASL, or none.
    pub sasl: Option<SaslCredentials>,
}

/// A contradiction between `security.protocol` and the other security settings.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecurityError {
    /// No such protocol.
    #[error(
        "security protocol `{name}` is not known (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL are)"
    )]
    UnknownProtocol {
        /// What was asked for.
        name: String,
    },
    /// SASL without credentials.
    #[error("security protocol {protocol} needs a SASL mechanism, a user name and a password")]
    CredentialsMissing {
        /// What was asked for.
        protocol: SecurityProtocol,
    },
    /// Unusable certificates.
    #[error(transparent)]
    Tls(#[from] TlsOptionsError),
}

// === impl ClusterOptions ===

impl ClusterOptions {
    /// Defaults for a plaintext cluster.
    pub fn new(bootstrap_servers: Vec<ServerAddress>) -> ClusterOptions {
        ClusterOptions {
            bootstrap_servers,
            connection: ConnectionOptions::default(),
            retry: RetryOptions::default(),
            jitter: Jitter::system(),
            cluster_id_expected: None,
        }
    }
}

// === impl ConnectionOptions ===

impl Default for ConnectionOptions {
    fn default() -> Self {
        ConnectionOptions {
            client_id: "farlog".to_owned(),
            security: Security::default(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            in_flight_requests_max: limits::IN_FLIGHT_REQUESTS_MAX,
            queued_requests_max: limits::QUEUED_REQUESTS_MAX,
            queued_bytes_max: limits::QUEUED_BYTES_MAX,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            socket: SocketOptions::default(),
            buffer_pool: BufferPool::new(limits::POOL_RETAINED_BYTES_MAX),
        }
    }
}

// === impl SecurityProtocol ===

impl SecurityProtocol {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether it runs over TLS.
    pub fn uses_tls(self) -> bool {
        matches!(self, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
    }

    /// Whether it authenticates with SASL.
    pub fn uses_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SecurityProtocol {
    type Err = SecurityError;

    fn from_str(name: &str) -> Result<SecurityProtocol, SecurityError> {
        [
            SecurityProtocol::Plaintext,
            SecurityProtocol::Ssl,
            SecurityProtocol::SaslPlaintext,
            SecurityProtocol::SaslSsl,
        ]
        .into_iter()
        .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| SecurityError::UnknownProtocol { name: name.to_owned() })
    }
}

// === impl Security ===

impl Security {
    /// Combines the settings as `security.protocol` asks. TLS options and credentials that the
    /// protocol does not use are left alone, as Kafka's clients do.
    pub fn new(
        protocol: SecurityProtocol,
        tls: &TlsOptions,
        sasl: Option<SaslCredentials>,
    ) -> Result<Security, SecurityError> {
        let tls = if protocol.uses_tls() { Some(TlsClient::new(tls)?) } else { None };
        if !protocol.uses_sasl() {
            return Ok(Security { tls, sasl: None });
        }
        let sasl = sasl.ok_or(SecurityError::CredentialsMissing { protocol })?;
        Ok(Security { tls, sasl: Some(sasl) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_and_settings_must_agree() {
        let tls = TlsOptions::default();
        let protocol: SecurityProtocol = "sasl_plaintext".parse().unwrap();
        let error = Security::new(protocol, &tls, None).unwrap_err();
        assert!(error.to_string().contains("SASL_PLAINTEXT needs"));
        assert!("TLS".parse::<SecurityProtocol>().is_err());
        let plain = Security::new(SecurityProtocol::Plaintext, &tls, None).unwrap();
        assert!(plain.tls.is_none() && plain.sasl.is_none());
    }
}
