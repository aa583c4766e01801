//! What can go wrong between us and a broker. Each error carries the nouns of its sentence: which
//! broker, which API, which topic-partition, what Kafka said.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use farlog_wire::ApiKey;
use farlog_wire::ErrorCode;
use farlog_wire::{DecodeError, EncodeError, VersionRange};

use crate::broker_name::BrokerName;
use crate::sasl::{SaslError, SaslMechanism};

/// A connection that could not be made, or that died. Every request that waited on it gets the
/// same cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{broker}: {failure}")]
pub struct ConnectionError {
    /// Whom we talked to.
    pub broker: BrokerName,
    /// What happened.
    pub failure: Arc<ConnectionFailure>,
}

/// What ended a connection, or kept it from beginning.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionFailure {
    /// No TCP connection.
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    /// Connecting, TLS, negotiation and SASL took too long together.
    #[error("no usable connection within {} ms ({stage})", .after.as_millis())]
    ConnectTimedOut {
        /// The time that was allowed.
        after: Duration,
        /// What was under way.
        stage: &'static str,
    },
    /// No TLS session.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// A host that no certificate can name.
    #[error("`{host}` is neither a host name nor an IP address, so TLS cannot check it")]
    TlsServerName {
        /// The host as configured.
        host: String,
    },
    /// The peer ended the connection between two responses.
    #[error("the broker closed the connection{}", hint(.while_authenticating))]
    ClosedByBroker {
        /// It happened before the connection was ready, where it often means a wrong protocol.
        while_authenticating: bool,
    },
    /// The peer ended the connection within a response.
    #[error("the broker closed the connection in the middle of a response")]
    Truncated,
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Io(io::Error),
    /// A response larger than allowed.
    #[error("the broker announced a response of {declared} bytes; the limit is {max}")]
    FrameTooLarge {
        /// Bytes announced.
        declared: i64,
        /// Bytes allowed.
        max: usize,
    },
    /// A size that no response can have.
    #[error("the broker announced a response of {declared} bytes, too few to be one")]
    FrameTooSmall {
        /// Bytes announced.
        declared: i64,
    },
    /// A plaintext client on a TLS port.
    #[error("the port answers with TLS; security protocol SSL or SASL_SSL is needed")]
    PeerSpeaksTls,
    /// A response that nobody asked for.
    #[error("the broker sent a response with correlation id {received} to no request")]
    ResponseWithoutRequest {
        /// Its correlation id.
        received: i32,
    },
    /// A response out of order.
    #[error("the broker answered {api} {expected} with correlation id {received}")]
    CorrelationMismatch {
        /// The oldest request without an answer.
        api: ApiKey,
        /// Its correlation id.
        expected: i32,
        /// What came.
        received: i32,
    },
    /// The oldest request was not answered in time.
    #[error("{api} was not answered within {} ms", .after.as_millis())]
    RequestTimedOut {
        /// The request.
        api: ApiKey,
        /// The time that was allowed.
        after: Duration,
    },
    /// A request of the handshake could not be written.
    #[error("{api}: {source}")]
    Encode {
        /// The request.
        api: ApiKey,
        /// What is wrong.
        source: EncodeError,
    },
    /// A response of the handshake could not be read.
    #[error("unreadable {api} response: {source}")]
    Decode {
        /// The request.
        api: ApiKey,
        /// What is wrong.
        source: DecodeError,
    },
    /// The peer is too old, too new, or no Kafka broker.
    #[error("{0}")]
    Unsupported(UnsupportedVersion),
    /// The broker refused to say which versions it speaks.
    #[error("version negotiation failed: {0}")]
    Negotiation(ErrorCode),
    /// The broker does not offer our mechanism on this listener.
    #[error("SASL mechanism {mechanism} is not offered ({code}); the broker offers: {offered}")]
    MechanismRefused {
        /// What we asked for.
        mechanism: SaslMechanism,
        /// Kafka's code.
        code: ErrorCode,
        /// What it has, comma-separated.
        offered: String,
    },
    /// Wrong user or password.
    #[error("authentication of `{username}` with {mechanism} failed: {code}{}", said(.message))]
    AuthenticationFailed {
        /// How.
        mechanism: SaslMechanism,
        /// Who.
        username: Arc<str>,
        /// Kafka's code.
        code: ErrorCode,
        /// Kafka's message.
        message: Option<String>,
    },
    /// The SASL conversation went wrong on our side.
    #[error(transparent)]
    Sasl(SaslError),
    /// We closed it.
    #[error("the connection was closed on our side")]
    ClosedLocally,
    /// The task that served it is gone, as when the runtime shuts down.
    #[error("the connection's task has ended")]
    TaskEnded,
}

/// An API, or the versions of it that we speak, that a broker does not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{api} is not supported in versions {}..={}{}", .ours.min, .ours.max, offers(.theirs))]
pub struct UnsupportedVersion {
    /// The API.
    pub api: ApiKey,
    /// What we speak.
    pub ours: VersionRange,
    /// What the broker speaks; `None` when it does not know the API at all.
    pub theirs: Option<VersionRange>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The connection died. Whether the broker acted on the request is unknown.
    #[error("{api} to {source}")]
    Connection {
        /// The request.
        api: ApiKey,
        /// What happened to the connection.
        source: ConnectionError,
    },
    /// The broker does not have the API. Nothing was sent.
    #[error("{broker}: {source}")]
    Unsupported {
        /// Whom we talked to.
        broker: BrokerName,
        /// What is missing.
        source: UnsupportedVersion,
    },
    /// The request cannot be said in the agreed version. Nothing was sent.
    #[error("{api} v{version} to {broker}: {source}")]
    Encode {
        /// Whom we talked to.
        broker: BrokerName,
        /// The request.
        api: ApiKey,
        /// The agreed version.
        version: i16,
        /// What is wrong.
        source: EncodeError,
    },
    /// The broker answered, but not in Kafka's words.
    #[error("unreadable {api} v{version} response of {broker}: {source}")]
    Decode {
        /// Whom we talked to.
        broker: BrokerName,
        /// The request.
        api: ApiKey,
        /// The agreed version.
        version: i16,
        /// What is wrong.
        source: DecodeError,
    },
    /// Too much waits to be sent already. Nothing was sent.
    #[error("{api} to {broker}: {requests} requests ({bytes} bytes) already wait to be sent")]
    QueueFull {
        /// Whom we talked to.
        broker: BrokerName,
        /// The request.
        api: ApiKey,
        /// Requests waiting.
        requests: usize,
        /// Their bytes.
        bytes: usize,
    },
}

/// An error code that a broker answered with, and what it was about.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{broker} answered {api}{} with {code}{}", about(.subject), said(.message))]
pub struct BrokerError {
    /// Who said it.
    pub broker: BrokerName,
    /// To which request.
    pub api: ApiKey,
    /// About what: a topic, `topic-partition`, group or broker; empty for the request as such.
    pub subject: String,
    /// Kafka's code.
    pub code: ErrorCode,
    /// Kafka's message, where it sent one.
    pub message: Option<String>,
}

// === impl ConnectionError ===

impl ConnectionError {
    pub(crate) fn new(broker: &BrokerName, failure: ConnectionFailure) -> ConnectionError {
        ConnectionError { broker: broker.clone(), failure: Arc::new(failure) }
    }

    /// Whether another attempt can go better without anybody changing a setting.
    pub fn is_retriable(&self) -> bool {
        self.failure.is_retriable()
    }
}

// === impl ConnectionFailure ===

impl ConnectionFailure {
    fn is_retriable(&self) -> bool {
        match self {
            ConnectionFailure::Unreachable(_)
            | ConnectionFailure::ConnectTimedOut { .. }
            | ConnectionFailure::ClosedByBroker { .. }
            | ConnectionFailure::Truncated
            | ConnectionFailure::Io(_)
            | ConnectionFailure::ResponseWithoutRequest { .. }
            | ConnectionFailure::CorrelationMismatch { .. }
            | ConnectionFailure::RequestTimedOut { .. }
            | ConnectionFailure::ClosedLocally
            | ConnectionFailure::Negotiation(_) => true,
            // A handshake that the network cut looks like this; a certificate that nobody trusts
            // comes as `InvalidData`.
            ConnectionFailure::Tls(error) => error.kind() != io::ErrorKind::InvalidData,
            ConnectionFailure::TlsServerName { .. }
            | ConnectionFailure::FrameTooLarge { .. }
            | ConnectionFailure::FrameTooSmall { .. }
            | ConnectionFailure::PeerSpeaksTls
            | ConnectionFailure::Encode { .. }
            | ConnectionFailure::Decode { .. }
            | ConnectionFailure::Unsupported(_)
            | ConnectionFailure::MechanismRefused { .. }
            | ConnectionFailure::AuthenticationFailed { .. }
            | ConnectionFailure::Sasl(_)
            | ConnectionFailure::TaskEnded => false,
        }
    }
}

// === impl SendError ===

impl SendError {
    /// Whether the same request can succeed later. It says nothing about whether sending it twice
    /// is harmless: that is for the caller to know.
    pub fn is_retriable(&self) -> bool {
        match self {
            SendError::Connection { source, .. } => source.is_retriable(),
            SendError::QueueFull { .. } => true,
            SendError::Unsupported { .. } | SendError::Encode { .. } | SendError::Decode { .. } => {
                false
            }
        }
    }

    /// Whether it is certain that the broker never saw the request.
    pub fn was_not_sent(&self) -> bool {
        matches!(
            self,
            SendError::Unsupported { .. } | SendError::Encode { .. } | SendError::QueueFull { .. }
        )
    }
}

fn said(message: &Option<String>) -> String {
    message
        .as_ref()
        .filter(|text| !text.is_empty())
        .map_or_else(String::new, |text| format!(": {text}"))
}

fn about(subject: &str) -> String {
    if subject.is_empty() { String::new() } else { format!(" for {subject}") }
}

fn offers(theirs: &Option<VersionRange>) -> impl fmt::Display {
    match theirs {
        Some(range) => format!(" (the broker speaks {}..={})", range.min, range.max),
        None => " (the broker does not know it)".to_owned(),
    }
}

fn hint(while_authenticating: &bool) -> &'static str {
    if *while_authenticating {
        " before it was ready for use; is the security protocol right?"
    } else {
        ""
    }
}
