//! Keys that sign tokens: a JWK set (RFC 7517), and what is verified with them (RFC 7518).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use farlog_wire::base64;
use serde::Deserialize;

use super::TokenError;
use crate::limits::TOKEN_KEYS_MAX;

/// The keys of those who issue tokens. Clones share them, so that they can be replaced while a
/// broker runs.
#[derive(Clone)]
pub struct TokenKeys(Arc<RwLock<Arc<[Key]>>>);

/// A JWK set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeysError {
    /// Another form.
    #[error("this is not a JWK set: {0}")]
    Form(String),
    /// A key that should be usable, and is not.
    #[error("key {index} of the JWK set (counted from 0): {why}")]
    Key {
        /// Counted from 0.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Nothing to verify with.
    #[error(
        "the JWK set has no key for signatures of a kind that is known: RSA, or EC with P-256, \
         P-384 or P-521"
    )]
    NoKey,
    /// More than anybody has.
    #[error("the JWK set has {count} keys, more than {TOKEN_KEYS_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// A public key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// What it is for, if that is said.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// The curve's name, and a point on it, uncompressed.
    Ec(&'static str, Vec<u8>),
}

/// An algorithm of RFC 7518.
enum Algorithm {
    Rsa(&'static RsaParameters),
    Ec(&'static str, &'static EcdsaVerificationAlgorithm),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Curves with the bytes of a coordinate.
const CURVES: [(&str, usize); 3] = [("P-256", 32), ("P-384", 48), ("P-521", 66)];

impl TokenKeys {
    /// Reads a JWK set. Keys of other kinds and for other uses are left out.
    ///
    /// # Errors
    /// If it is none, or has no key that can be used.
    pub fn parse(text: &str) -> Result<Self, TokenKeysError> {
        Ok(Self(Arc::new(RwLock::new(parse(text)?))))
    }

    /// Replaces the keys; those before stay if these cannot be used.
    ///
    /// # Errors
    /// As [`TokenKeys::parse`].
    pub fn replace(&self, text: &str) -> Result<(), TokenKeysError> {
        let keys = parse(text)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Whether one of the keys that a token may mean has signed it.
    pub(super) fn verify(
        &self,
        (algorithm, id): (&str, Option<&str>),
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let keys = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let using = Algorithm::of(algorithm).ok_or(TokenError::Algorithm)?;
        let mut is_known = false;
        for key in keys.iter() {
            let is_meant = id.is_none_or(|id| key.id.as_deref().is_none_or(|known| known == id));
            let is_for_it = key.algorithm.as_deref().is_none_or(|only| only == algorithm);
            let verified = (is_meant && is_for_it).then(|| using.verify(key, signed, signature));
            match verified.flatten() {
                Some(true) => return Ok(()),
                Some(false) => is_known = true,
                None => {}
            }
        }
        Err(if is_known { TokenError::Signature } else { TokenError::UnknownKey })
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        out.debug_list().entries(keys.iter().map(|key| key.id.as_deref())).finish()
    }
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Self::Rsa(&RSA_PSS_2048_8192_SHA256),
            "PS384" => Self::Rsa(&RSA_PSS_2048_8192_SHA384),
            "PS512" => Self::Rsa(&RSA_PSS_2048_8192_SHA512),
            "ES256" => Self::Ec("P-256", &ECDSA_P256_SHA256_FIXED),
            "ES384" => Self::Ec("P-384", &ECDSA_P384_SHA384_FIXED),
            "ES512" => Self::Ec("P-521", &ECDSA_P521_SHA512_FIXED),
            _ => return None,
        })
    }

    /// Whether a key has signed this; `None` if it is of another kind.
    fn verify(&self, key: &Key, signed: &[u8], signature: &[u8]) -> Option<bool> {
        match (self, &key.material) {
            (Self::Rsa(parameters), Material::Rsa(components)) => {
                Some(components.verify(parameters, signed, signature).is_ok())
            }
            (Self::Ec(curve, algorithm), Material::Ec(of, point)) if curve == of => {
                let key = UnparsedPublicKey::new(*algorithm, point);
                Some(key.verify(signed, signature).is_ok())
            }
            _ => None,
        }
    }
}

fn parse(text: &str) -> Result<Arc<[Key]>, TokenKeysError> {
    let form = |error: serde_json::Error| TokenKeysError::Form(error.to_string());
    let document: Document = serde_json::from_str(text).map_err(form)?;
    let count = document.keys.len();
    if count > TOKEN_KEYS_MAX {
        return Err(TokenKeysError::TooMany { count });
    }
    let mut keys = Vec::new();
    for (index, value) in document.keys.into_iter().enumerate() {
        let written: Written = serde_json::from_value(value).map_err(form)?;
        let found = key(written).map_err(|why| TokenKeysError::Key { index, why })?;
        keys.extend(found);
    }
    if keys.is_empty() {
        return Err(TokenKeysError::NoKey);
    }
    Ok(keys.into())
}

/// `None` for keys of other kinds, or for other uses.
fn key(written: Written) -> Result<Option<Key>, &'static str> {
    if written.purpose.is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let bytes = |text: Option<String>, why| {
        text.and_then(|text| base64::decode_url(&text)).filter(|bytes| !bytes.is_empty()).ok_or(why)
    };
    let material = match written.kty.as_str() {
        "RSA" => {
            let modulus = without_zeros(bytes(written.n, "n is missing or not base64url")?);
            if !(256..=1_024).contains(&modulus.len()) {
                return Err("an RSA key must have from 2048 to 8192 bits");
            }
            let exponent = without_zeros(bytes(written.e, "e is missing or not base64url")?);
            Material::Rsa(RsaPublicKeyComponents { n: modulus, e: exponent })
        }
        "EC" => {
            let curve = CURVES.iter().find(|(name, _)| written.crv.as_deref() == Some(name));
            let Some((curve, coordinate_bytes)) = curve else { return Ok(None) };
            let x = bytes(written.x, "x is missing or not base64url")?;
            let y = bytes(written.y, "y is missing or not base64url")?;
            if x.len() != *coordinate_bytes || y.len() != *coordinate_bytes {
                return Err("x and y must be as long as the curve's coordinates");
            }
            Material::Ec(curve, [&[4], &x[..], &y[..]].concat())
        }
        _ => return Ok(None),
    };
    Ok(Some(Key { id: written.kid, algorithm: written.alg, material }))
}

fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes[zeros..].to_vec()
}
