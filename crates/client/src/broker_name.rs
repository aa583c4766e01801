//! How messages and errors name a broker, and how an address is written.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// `host:port`, as in `bootstrap.servers`. An IPv6 address is written in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerAddress {
    /// Host name or IP address, without brackets.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// A text that is no `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a server address: {reason} (expected host:port)")]
pub struct ServerAddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One broker: its node id where it is known, and where it was reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerName {
    /// Node id; `None` for a bootstrap server that has not yet said who it is.
    pub id: Option<i32>,
    /// Where it listens.
    pub address: ServerAddress,
}

// === impl ServerAddress ===

impl ServerAddress {
    /// An address from its parts.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> ServerAddress {
        ServerAddress { host: host.into(), port }
    }

    /// Parses a comma-separated list as in `bootstrap.servers`; empty entries are skipped.
    pub fn parse_list(text: &str) -> Result<Vec<ServerAddress>, ServerAddressError> {
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<ServerAddress, ServerAddressError> {
        let wrong = |reason| ServerAddressError { text: text.to_owned(), reason };
        let text = text.trim();
        // `PLAINTEXT://host:port` is how brokers write their listeners; Kafka's clients take it.
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
        let port =
            port.parse::<u16>().map_err(|_| wrong("the port is not a number below 65536"))?;
        if port == 0 {
            return Err(wrong("port 0 cannot be connected to"));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(wrong("an IPv6 address needs brackets"));
        }
        let host = bare.unwrap_or(host);
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        Ok(ServerAddress::new(host, port))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

// === impl BrokerName ===

impl BrokerName {
    /// A bootstrap server, whose node id is not known.
    pub fn bootstrap(address: ServerAddress) -> BrokerName {
        BrokerName { id: None, address }
    }

    /// A broker of the cluster's metadata.
    pub fn node(id: i32, address: ServerAddress) -> BrokerName {
        BrokerName { id: Some(id), address }
    }
}

impl fmt::Display for BrokerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "broker {id} ({})", self.address),
            None => write!(f, "server {}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_kafka_reads_them() {
        let list = ServerAddress::parse_list("b1:9092, SASL_SSL://b2:9093 ,[::1]:9094,").unwrap();
        let shown: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b1:9092", "b2:9093", "[::1]:9094"]);
        for bad in ["b1", "b1:", "b1:0", "b1:70000", ":9092", "::1:9092"] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad}");
        }
    }
}
