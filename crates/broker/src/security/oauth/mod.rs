//! OAUTHBEARER (RFC 7628, KIP-255, KIP-768): whoever bears a token that somebody trusted has signed
//! is whom the token names. Tokens are JSON Web Tokens (RFC 7519) in their compact form.
//!
//! What is checked, as Kafka's validators do: the signature, or that there is none where tokens
//! without are taken; `exp`, which must be there, and `nbf`, both with some patience for clocks
//! that differ; `iss` and `aud` if they are expected; and that there is a name.

mod keys;
mod message;

use farlog_wire::base64;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Principal;
pub use keys::{TokenKeys, TokenKeysError};

/// What a token must be to let in its bearer.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Whose word is taken.
    pub trust: TokenTrust,
    /// `iss` of the tokens; any if `None`.
    pub issuer: Option<String>,
    /// `aud` of the tokens must have one of these; not looked at if there is none.
    pub audiences: Vec<String>,
    /// The claim that names the bearer.
    pub principal_claim: String,
}

/// Whose word is taken.
#[derive(Clone, Debug)]
pub enum TokenTrust {
    /// Of who has signed with one of these keys.
    Signed(TokenKeys),
    /// Anybody's (RFC 7515, appendix A.5): for trials only. Signed tokens are refused then.
    Unsecured,
}

/// Why a token lets nobody in. Says nothing of what is in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is not three parts in base64url with dots between them")]
    Form,
    #[error("the token's header or claims are not what they should be")]
    Json,
    #[error("the token has a critical header, and none is known")]
    Critical,
    #[error("the token's algorithm is not taken")]
    Algorithm,
    #[error("the token means a key that is not known")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token's claim {0} is missing or of the wrong kind")]
    Claim(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("the token was issued after it expires")]
    Order,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token names nobody")]
    Nobody,
}

/// The time, and how far others' clocks may be from it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenTime {
    pub(crate) now_ms: i64,
    pub(crate) skew_ms: i64,
}

/// Who bears a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) principal: Principal,
    /// `exp`.
    pub(crate) expires_at_ms: i64,
}

/// What came of a client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Borne {
    /// It is known who is there.
    Valid(Bearer),
    /// The client is to be told, to say that it has heard, and to be told again.
    Refused(TokenError),
}

/// Why the first message leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstMessageError {
    /// It is none.
    Malformed(&'static str),
    /// The client wants to act as somebody else.
    OtherPrincipal,
}

/// What a client is told whose token is refused, as Kafka has it.
pub(crate) const INVALID_TOKEN: &str = r#"{"status":"invalid_token"}"#;

/// What a client says to that.
pub(crate) const HEARD: &[u8] = &[message::SEPARATOR as u8];

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl TokenOptions {
    /// Takes the first message of a client.
    pub(crate) fn take(&self, message: &[u8], time: TokenTime) -> Result<Borne, FirstMessageError> {
        let first = message::parse(message).map_err(FirstMessageError::Malformed)?;
        match self.validate(first.token, time) {
            Ok(bearer) if first.may_act(bearer.principal.name()) => Ok(Borne::Valid(bearer)),
            Ok(_) => Err(FirstMessageError::OtherPrincipal),
            Err(why) => Ok(Borne::Refused(why)),
        }
    }

    fn validate(&self, token: &str, time: TokenTime) -> Result<Bearer, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Form)?;
        let decode = |part| base64::decode_url(part).ok_or(TokenError::Form);
        let (header, claims) = (decode(header)?, decode(claims)?);
        let signature = decode(signature)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Json)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        match &self.trust {
            TokenTrust::Signed(keys) => {
                let means = (header.alg.as_str(), header.kid.as_deref());
                keys.verify(means, signed.as_bytes(), &signature)?;
            }
            TokenTrust::Unsecured if header.alg != "none" => return Err(TokenError::Algorithm),
            TokenTrust::Unsecured if !signature.is_empty() => return Err(TokenError::Signature),
            TokenTrust::Unsecured => {}
        }
        let claims: Map<String, Value> =
            serde_json::from_slice(&claims).map_err(|_| TokenError::Json)?;
        self.check(&claims, time)
    }

    fn check(&self, claims: &Map<String, Value>, time: TokenTime) -> Result<Bearer, TokenError> {
        let expires_at_ms = time_of(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
        if time.now_ms >= expires_at_ms.saturating_add(time.skew_ms) {
            return Err(TokenError::Expired);
        }
        let begins_at_ms = time_of(claims, "nbf")?;
        if begins_at_ms.is_some_and(|at_ms| time.now_ms < at_ms.saturating_sub(time.skew_ms)) {
            return Err(TokenError::Early);
        }
        let issued_at_ms = time_of(claims, "iat")?;
        if issued_at_ms.is_none() && matches!(self.trust, TokenTrust::Signed(_)) {
            return Err(TokenError::Claim("iat"));
        }
        if issued_at_ms.is_some_and(|at_ms| at_ms > expires_at_ms) {
            return Err(TokenError::Order);
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenError::Issuer);
        }
        if !self.audiences.is_empty() && !self.is_for_us(claims.get("aud")) {
            return Err(TokenError::Audience);
        }
        let name = claims.get(&self.principal_claim).and_then(Value::as_str).map(str::trim);
        let name = name.filter(|name| !name.is_empty()).ok_or(TokenError::Nobody)?;
        Ok(Bearer { principal: Principal::user(name), expires_at_ms })
    }

    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        let is_ours = |audience: &Value| {
            audience.as_str().is_some_and(|name| self.audiences.iter().any(|ours| ours == name))
        };
        match audience {
            Some(Value::Array(several)) => several.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
    }
}

/// A time of a token, which has it in seconds, perhaps with a fraction; here in milliseconds.
fn time_of(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // Beyond what can be written the nearest that can: an end of all times.
    value.as_f64().map(|seconds| Some((seconds * 1_000.0) as i64)).ok_or(TokenError::Claim(name))
}

#[cfg(test)]
mod tests;
