//! SASL mechanisms as state machines without IO: bytes from the server in, bytes for the server
//! out. The same machine serves the first authentication and each later one (KIP-368).

mod scram;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use farlog_wire::base64;

use scram::{Scram, ScramHash};

/// The SASL mechanisms that Farlog speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616; the password travels as it is, so use it over TLS only.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// SCRAM with SHA-512, as Kafka names it.
    ScramSha512,
}

/// A mechanism name that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SASL mechanism `{name}` is not supported (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 are)")]
pub struct SaslMechanismError {
    /// What was asked for.
    pub name: String,
}

/// Who we are. Its `Debug` never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslCredentials {
    /// How to prove it.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: Arc<str>,
    /// Password.
    pub password: Arc<str>,
}

/// Why an exchange failed on our side; what the broker said is in its own error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The server's message does not follow the mechanism.
    #[error("the broker's {mechanism} message is malformed: {reason}")]
    Malformed {
        /// The mechanism under way.
        mechanism: SaslMechanism,
        /// What is wrong.
        reason: &'static str,
    },
    /// The server refused us inside the mechanism (SCRAM's `e=`).
    #[error("{mechanism} was refused: {reason}")]
    Refused {
        /// The mechanism under way.
        mechanism: SaslMechanism,
        /// The server's word.
        reason: String,
    },
    /// The server could not prove that it knows the password: it is not who we want to talk to.
    #[error("the broker did not prove that it knows the {mechanism} password")]
    ServerNotAuthenticated {
        /// The mechanism under way.
        mechanism: SaslMechanism,
    },
    /// The server goes on although the mechanism is over, or ends too early.
    #[error("{mechanism} ended out of step")]
    OutOfStep {
        /// The mechanism under way.
        mechanism: SaslMechanism,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers for {mechanism}")]
    NoRandomness {
        /// The mechanism under way.
        mechanism: SaslMechanism,
    },
}

/// One exchange under way.
#[derive(Debug)]
pub(crate) struct SaslExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    PlainStart(SaslCredentials),
    PlainSent,
    Scram(Box<Scram>),
}

// === impl SaslMechanism ===

impl SaslMechanism {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SaslMechanism {
    type Err = SaslMechanismError;

    fn from_str(name: &str) -> Result<SaslMechanism, SaslMechanismError> {
        [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512]
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
            .ok_or_else(|| SaslMechanismError { name: name.to_owned() })
    }
}

// === impl SaslCredentials ===

impl fmt::Debug for SaslCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslCredentials")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

// === impl SaslExchange ===

impl SaslExchange {
    /// Starts an exchange with a fresh nonce.
    pub(crate) fn new(credentials: &SaslCredentials) -> Result<SaslExchange, SaslError> {
        let hash = match credentials.mechanism {
            SaslMechanism::Plain => {
                return Ok(SaslExchange { state: State::PlainStart(credentials.clone()) });
            }
            SaslMechanism::ScramSha256 => ScramHash::Sha256,
            SaslMechanism::ScramSha512 => ScramHash::Sha512,
        };
        let mechanism = credentials.mechanism;
        let mut nonce = [0; 24];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SaslError::NoRandomness { mechanism })?;
        let scram = Scram::new(hash, mechanism, credentials, base64::encode(&nonce));
        Ok(SaslExchange { state: State::Scram(Box::new(scram)) })
    }

    /// The first message to the server.
    pub(crate) fn start(&mut self) -> Bytes {
        match &mut self.state {
            State::PlainStart(credentials) => {
                let text = format!("\0{}\0{}", credentials.username, credentials.password);
                self.state = State::PlainSent;
                Bytes::from(text)
            }
            State::PlainSent => Bytes::new(),
            State::Scram(scram) => scram.client_first(),
        }
    }

    /// Takes the server's answer; `None` when the exchange is complete and both sides are proven
    /// as far as the mechanism goes.
    pub(crate) fn step(&mut self, server: &[u8]) -> Result<Option<Bytes>, SaslError> {
        match &mut self.state {
            State::PlainStart(_) => Err(SaslError::OutOfStep { mechanism: SaslMechanism::Plain }),
            // RFC 4616 has no server message; brokers answer with an empty one.
            State::PlainSent => Ok(None),
            State::Scram(scram) => scram.step(server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_one_message() {
        let credentials = SaslCredentials {
            mechanism: "PLAIN".parse().unwrap(),
            username: "tim".into(),
            password: "tanstaaf".into(),
        };
        let mut exchange = SaslExchange::new(&credentials).unwrap();
        assert_eq!(&exchange.start()[..], b"\0tim\0tanstaaf");
        assert_eq!(exchange.step(b"").unwrap(), None);
        assert!(!format!("{credentials:?}").contains("tanstaaf"));
    }

    #[test]
    fn unknown_mechanisms_are_named() {
        let error = "GSSAPI".parse::<SaslMechanism>().unwrap_err();
        assert!(error.to_string().contains("GSSAPI"));
    }
}
