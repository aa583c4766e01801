//! SASL mechanisms, server side: tokens of the client in, tokens for the client out.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::oauth::{Borne, FirstMessageError, HEARD, INVALID_TOKEN, TokenError, TokenTime};
use super::scram::{Scram, ScramCredential, ScramError, ScramHash};
use super::{Principal, TokenOptions, Users};

/// A SASL mechanism that the broker can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaslMechanism {
    /// RFC 4616; the password travels as it is, so use it over TLS only.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// SCRAM with SHA-512, as Kafka names it.
    ScramSha512,
    /// RFC 7628; the token travels as it is, so use it over TLS only.
    OauthBearer,
}

/// No such mechanism.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SASL mechanism {name} is not known (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are)"
)]
pub struct SaslMechanismError {
    name: String,
}

/// Why somebody was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslFailure {
    /// What the client may be told, too.
    #[error("{0}")]
    Told(&'static str),
    /// What is for the log only: clients are told that their credentials are invalid.
    #[error("{0}")]
    Scram(#[from] ScramError),
    /// As above, in the words of RFC 7628.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// As above.
    #[error("the client's first message is malformed: {0}")]
    Malformed(&'static str),
    /// A token when everything was said.
    #[error("a token out of step")]
    OutOfStep,
}

/// What a client's token leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SaslProgress {
    /// This is said, and another token awaited.
    Continue(Bytes),
    /// It is done.
    Done(Known),
}

/// What is known then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// This is said.
    pub(crate) told: Bytes,
    pub(crate) principal: Principal,
    /// When what the client has shown expires, if it does.
    pub(crate) expires_at_ms: Option<i64>,
}

/// Where credentials come from.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) users: &'a Users,
    pub(crate) tokens: Option<&'a TokenOptions>,
    pub(crate) time: TokenTime,
    /// What the catalog knows of a user.
    pub(crate) scram: &'a (dyn Fn(&str, ScramHash) -> Option<ScramCredential> + Sync),
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) enum SaslExchange {
    Plain,
    Scram(ScramHash),
    ScramBegun(Box<Scram>),
    OauthBearer,
    /// The client has been told, and must say that it has heard.
    OauthRefused(TokenError),
    Over,
}

impl SaslMechanism {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    /// Those that need nothing but users and their passwords.
    pub const WITH_PASSWORDS: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for SaslMechanism {
    type Err = SaslMechanismError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.name() == name);
        found.ok_or_else(|| SaslMechanismError { name: name.to_owned() })
    }
}

impl SaslExchange {
    pub(crate) fn new(mechanism: SaslMechanism) -> Self {
        match mechanism {
            SaslMechanism::Plain => Self::Plain,
            SaslMechanism::ScramSha256 => Self::Scram(ScramHash::Sha256),
            SaslMechanism::ScramSha512 => Self::Scram(ScramHash::Sha512),
            SaslMechanism::OauthBearer => Self::OauthBearer,
        }
    }

    /// Takes a token of the client.
    ///
    /// # Errors
    /// If it does not prove what it should: the exchange is over then.
    pub(crate) fn step(
        &mut self,
        token: &[u8],
        credentials: Credentials<'_>,
    ) -> Result<SaslProgress, SaslFailure> {
        match std::mem::replace(self, Self::Over) {
            Self::Plain => {
                let principal = plain(token, credentials.users)?;
                Ok(SaslProgress::Done(Known::for_ever(Bytes::new(), principal)))
            }
            Self::Scram(hash) => {
                let known = |name: &str| find(name, hash, credentials);
                let (scram, told) = Scram::begin(hash, token, known)?;
                *self = Self::ScramBegun(Box::new(scram));
                Ok(SaslProgress::Continue(told.into()))
            }
            Self::ScramBegun(scram) => {
                let principal = Principal::user(&scram.username);
                Ok(SaslProgress::Done(Known::for_ever(scram.finish(token)?.into(), principal)))
            }
            Self::OauthRefused(why) if token == HEARD => Err(why.into()),
            // As with Kafka, a client may try another token instead.
            Self::OauthBearer | Self::OauthRefused(_) => match bearer(token, credentials)? {
                Borne::Valid(bearer) => Ok(SaslProgress::Done(Known {
                    told: Bytes::new(),
                    principal: bearer.principal,
                    expires_at_ms: Some(bearer.expires_at_ms),
                })),
                Borne::Refused(why) => {
                    *self = Self::OauthRefused(why);
                    Ok(SaslProgress::Continue(Bytes::from_static(INVALID_TOKEN.as_bytes())))
                }
            },
            Self::Over => Err(SaslFailure::OutOfStep),
        }
    }
}

impl Known {
    /// With credentials that do not expire.
    fn for_ever(told: Bytes, principal: Principal) -> Self {
        Self { told, principal, expires_at_ms: None }
    }
}

impl SaslFailure {
    /// What the client is told; `None` if that is only that its credentials are invalid.
    pub(crate) fn told(&self) -> Option<&'static str> {
        match self {
            Self::Told(message) => Some(message),
            Self::Token(_) => Some(INVALID_TOKEN),
            Self::Scram(_) | Self::Malformed(_) | Self::OutOfStep => None,
        }
    }
}

/// RFC 7628, the client's first message.
fn bearer(message: &[u8], credentials: Credentials<'_>) -> Result<Borne, SaslFailure> {
    // A mechanism that is offered has them: else the broker would not have opened.
    let tokens = credentials.tokens.ok_or(SaslFailure::OutOfStep)?;
    tokens.take(message, credentials.time).map_err(|error| match error {
        FirstMessageError::Malformed(why) => SaslFailure::Malformed(why),
        FirstMessageError::OtherPrincipal => SaslFailure::Told(
            "Authentication failed: Client requested an authorization id that is different from \
             the token's principal name",
        ),
    })
}

/// What clients set wins over what the file says.
fn find(name: &str, hash: ScramHash, credentials: Credentials<'_>) -> Option<ScramCredential> {
    (credentials.scram)(name, hash).or_else(|| {
        let password = credentials.users.password(name)?;
        ScramCredential::of_password(hash, password).ok()
    })
}

/// RFC 4616, with Kafka's words for what is wrong.
fn plain(token: &[u8], users: &Users) -> Result<Principal, SaslFailure> {
    let told = SaslFailure::Told;
    let form = "Invalid SASL/PLAIN response: expected three texts with zero bytes between them";
    let text = std::str::from_utf8(token).map_err(|_| told(form))?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [acts_as, name, password] = parts[..] else { return Err(told(form)) };
    if name.is_empty() {
        return Err(told("Authentication failed: username not specified"));
    }
    if password.is_empty() {
        return Err(told("Authentication failed: password not specified"));
    }
    if !users.check(name, password) {
        return Err(told("Authentication failed: Invalid username or password"));
    }
    if !acts_as.is_empty() && acts_as != name {
        let why = "Authentication failed: Client requested an authorization id that is different \
                   from username";
        return Err(told(why));
    }
    Ok(Principal::user(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(exchange: &mut SaslExchange, token: &[u8]) -> Result<SaslProgress, SaslFailure> {
        let users = Users::parse("alice=secret").unwrap();
        let time = TokenTime { now_ms: 0, skew_ms: 0 };
        let credentials = Credentials { users: &users, tokens: None, time, scram: &|_, _| None };
        exchange.step(token, credentials)
    }

    fn plain_of(token: &[u8]) -> Result<SaslProgress, SaslFailure> {
        step(&mut SaslExchange::new("PLAIN".parse().unwrap()), token)
    }

    #[test]
    fn plain_knows_users_by_their_passwords() {
        let alice = Known::for_ever(Bytes::new(), Principal::user("alice"));
        let done = SaslProgress::Done(alice);
        assert_eq!(plain_of(b"\0alice\0secret").unwrap(), done);
        assert_eq!(plain_of(b"alice\0alice\0secret").unwrap(), done);
        for bad in [
            &b"\0alice\0wrong"[..],
            b"\0bob\0secret",
            b"root\0alice\0secret",
            b"",
            b"\0\0",
            b"\0alice\0",
            b"\0alice\0secret\0",
            b"\0alice\0\xff",
        ] {
            assert!(matches!(plain_of(bad), Err(SaslFailure::Told(_))), "{bad:?}");
        }
    }

    #[test]
    fn scram_works_for_users_of_the_file_and_ends() {
        let mut exchange = SaslExchange::new(SaslMechanism::ScramSha512);
        let told = step(&mut exchange, b"n,,n=alice,r=nonce").unwrap();
        assert!(matches!(told, SaslProgress::Continue(_)));
        assert!(step(&mut exchange, b"n,,n=alice,r=nonce").is_err());
        assert_eq!(step(&mut exchange, b"").unwrap_err(), SaslFailure::OutOfStep);
    }
}
