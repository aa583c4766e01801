//! Somebody who issues tokens: JSON Web Tokens (RFC 7519) and the set of keys that they are
//! verified with (RFC 7517).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use farlog_wire::base64;
use serde_json::{Value, json};

/// An issuer with one key, made for it.
#[derive(Debug)]
pub struct Issuer {
    key_id: String,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Issuer {
    /// Signs with RS256.
    pub fn rs256(key_id: &str) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { key_id: key_id.to_owned(), key: Key::Rsa(key) }
    }

    /// Signs with ES256.
    pub fn es256(key_id: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { key_id: key_id.to_owned(), key: Key::Ec(key) }
    }

    /// The public key, as a JWK.
    pub fn key(&self) -> Value {
        let kid = &self.key_id;
        match &self.key {
            Key::Rsa(pair) => {
                let n = pair.public_key().modulus().big_endian_without_leading_zero();
                let e = pair.public_key().exponent().big_endian_without_leading_zero();
                let (n, e) = (base64_url(n), base64_url(e));
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": e })
            }
            Key::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (base64_url(&point[1..33]), base64_url(&point[33..]));
                json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": x, "y": y })
            }
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let alg = match self.key {
            Key::Rsa(_) => "RS256",
            Key::Ec(_) => "ES256",
        };
        self.token_with(&json!({ "alg": alg, "typ": "JWT", "kid": self.key_id }), claims)
    }

    /// A token with this header, right or wrong.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let signature = match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    signed.as_bytes(),
                    &mut signature,
                )
                .expect("a signature");
                signature
            }
            Key::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), signed.as_bytes());
                signature.expect("a signature").as_ref().to_vec()
            }
        };
        format!("{signed}.{}", base64_url(&signature))
    }
}

/// The keys of these issuers, as a JWK set.
pub fn key_set<'a>(issuers: impl IntoIterator<Item = &'a Issuer>) -> String {
    let keys: Vec<Value> = issuers.into_iter().map(Issuer::key).collect();
    json!({ "keys": keys }).to_string()
}

/// A token that nobody has signed (RFC 7515, appendix A.5).
pub fn unsecured(claims: &Value) -> String {
    format!("{}.", signed_part(&json!({ "alg": "none" }), claims))
}

fn signed_part(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64_url(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn base64_url(bytes: &[u8]) -> String {
    base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}
