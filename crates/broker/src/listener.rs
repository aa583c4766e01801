//! The ways into a broker, as operators write them: `sasl_ssl://0.0.0.0:9093`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::options::HostPort;

/// `security.protocol` of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither TLS nor SASL.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

/// One way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// How to speak there.
    pub protocol: SecurityProtocol,
    /// What clients that come this way are told to connect to; `None` for the address listened on.
    pub advertised: Option<HostPort>,
}

/// A text that is not a listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// No such protocol.
    #[error("{name} is not a protocol: plaintext, ssl, sasl_plaintext or sasl_ssl")]
    Protocol {
        /// What was asked for.
        name: String,
    },
    /// No address.
    #[error("{text} is not IP:PORT, for instance 0.0.0.0:9092")]
    Address {
        /// What was given.
        text: String,
    },
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether it runs over TLS.
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether it authenticates with SASL.
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl FromStr for SecurityProtocol {
    type Err = ListenerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|protocol| protocol.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| ListenerError::Protocol { name: name.to_owned() })
    }
}

impl ListenerOptions {
    /// Without TLS and SASL.
    pub fn plaintext(address: SocketAddr) -> Self {
        Self { address, protocol: SecurityProtocol::Plaintext, advertised: None }
    }
}

impl fmt::Display for ListenerOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.protocol.name(), self.address)
    }
}

impl FromStr for ListenerOptions {
    type Err = ListenerError;

    /// `IP:PORT`, or `PROTOCOL://IP:PORT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (protocol, address) = match text.split_once("://") {
            Some((protocol, address)) => (protocol.parse()?, address),
            None => (SecurityProtocol::Plaintext, text),
        };
        let wrong = |_| ListenerError::Address { text: address.to_owned() };
        Ok(Self { address: address.parse().map_err(wrong)?, protocol, advertised: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_and_written() {
        let plain: ListenerOptions = "127.0.0.1:9092".parse().unwrap();
        assert_eq!(plain, "plaintext://127.0.0.1:9092".parse().unwrap());
        let secure: ListenerOptions = "Sasl_SSL://[::1]:0".parse().unwrap();
        assert_eq!(secure.to_string(), "SASL_SSL://[::1]:0");
        assert!(secure.protocol.has_tls() && secure.protocol.has_sasl());
        assert!("tls://127.0.0.1:1".parse::<ListenerOptions>().is_err());
        assert!("ssl://host:1".parse::<ListenerOptions>().is_err());
    }
}
