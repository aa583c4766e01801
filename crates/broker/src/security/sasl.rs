//! SASL mechanisms, server side: tokens of the client in, tokens for the client out.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::scram::{Scram, ScramCredential, ScramError, ScramHash};
use super::{Principal, Users};

/// A SASL mechanism that the broker can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaslMechanism {
    /// RFC 4616; the password travels as it is, so use it over TLS only.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// SCRAM with SHA-512, as Kafka names it.
    ScramSha512,
}

/// No such mechanism.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SASL mechanism {name} is not known (PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are)")]
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
    /// A token when everything was said.
    #[error("a token out of step")]
    OutOfStep,
}

/// What a client's token leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SaslProgress {
    /// This is said, and another token awaited.
    Continue(Bytes),
    /// This is said, and it is done.
    Done(Bytes, Principal),
}

/// Where credentials come from.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) users: &'a Users,
    /// What the catalog knows of a user.
    pub(crate) scram: &'a (dyn Fn(&str, ScramHash) -> Option<ScramCredential> + Sync),
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) enum SaslExchange {
    Plain,
    Scram(ScramHash),
    ScramBegun(Box<Scram>),
    Over,
}

impl SaslMechanism {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
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
            Self::Plain => Ok(SaslProgress::Done(Bytes::new(), plain(token, credentials.users)?)),
            Self::Scram(hash) => {
                let known = |name: &str| find(name, hash, credentials);
                let (scram, told) = Scram::begin(hash, token, known)?;
                *self = Self::ScramBegun(Box::new(scram));
                Ok(SaslProgress::Continue(told.into()))
            }
            Self::ScramBegun(scram) => {
                let principal = Principal::user(&scram.username);
                Ok(SaslProgress::Done(scram.finish(token)?.into(), principal))
            }
            Self::Over => Err(SaslFailure::OutOfStep),
        }
    }
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
        exchange.step(token, Credentials { users: &users, scram: &|_, _| None })
    }

    fn plain_of(token: &[u8]) -> Result<SaslProgress, SaslFailure> {
        step(&mut SaslExchange::new("PLAIN".parse().unwrap()), token)
    }

    #[test]
    fn plain_knows_users_by_their_passwords() {
        let done = SaslProgress::Done(Bytes::new(), Principal::user("alice"));
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
