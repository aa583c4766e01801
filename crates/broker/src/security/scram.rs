//! SCRAM (RFC 5802, RFC 7677), server side, without channel binding, as Kafka has it: names and
//! passwords are taken as they are, without SASLprep.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use farlog_wire::base64;
use serde::{Deserialize, Serialize};

/// Iterations that a credential may have, as Kafka's mechanisms have it.
pub(crate) const ITERATIONS_MIN: u32 = 4_096;
/// As above.
pub(crate) const ITERATIONS_MAX: u32 = 16_384;

/// Bytes of the salts and nonces that we make.
const SALT_BYTES: usize = 24;

/// The hash that a mechanism is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum ScramHash {
    /// SCRAM-SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// SCRAM-SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

/// What a server keeps of a password. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ScramCredential {
    #[serde(with = "as_base64")]
    salt: Vec<u8>,
    #[serde(with = "as_base64")]
    stored_key: Vec<u8>,
    #[serde(with = "as_base64")]
    server_key: Vec<u8>,
    pub(crate) iterations: u32,
}

/// What is wrong with a client's message, or with the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("a SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    #[error("the user is not known")]
    UnknownUser,
    #[error("the proof is wrong")]
    WrongProof,
    #[error("no random numbers")]
    NoRandomness,
}

/// A conversation after the client's first message.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: ScramHash,
    pub(crate) username: String,
    gs2_header: String,
    credential: ScramCredential,
    nonce: String,
    /// `client-first-message-bare,server-first-message,`.
    signed: String,
}

impl ScramHash {
    /// Kafka's number of the mechanism (`ScramMechanism`).
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The mechanism of that number.
    pub(crate) fn of_code(code: i8) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.code() == code)
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn sign(self, key: &[u8], message: &[u8]) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message)
    }
}

impl ScramCredential {
    /// From what clients send when they set a password: `Hi(password, salt, iterations)`.
    pub(crate) fn salted(hash: ScramHash, salt: &[u8], salted: &[u8], iterations: u32) -> Self {
        let client_key = hash.sign(salted, b"Client Key");
        Self {
            salt: salt.to_vec(),
            stored_key: digest::digest(hash.digest(), client_key.as_ref()).as_ref().to_vec(),
            server_key: hash.sign(salted, b"Server Key").as_ref().to_vec(),
            iterations,
        }
    }

    /// From a password, with a salt of our own.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub(crate) fn of_password(hash: ScramHash, password: &str) -> Result<Self, ScramError> {
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| ScramError::NoRandomness)?;
        let algorithm = match hash {
            ScramHash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramHash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let iterations = NonZeroU32::new(ITERATIONS_MIN).expect("a constant above zero");
        let mut salted = vec![0; hash.digest().output_len()];
        pbkdf2::derive(algorithm, iterations, &salt, password.as_bytes(), &mut salted);
        Ok(Self::salted(hash, &salt, &salted, ITERATIONS_MIN))
    }
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ScramCredential").finish_non_exhaustive()
    }
}

impl Scram {
    /// Takes the client's first message; the conversation, and what the client is told.
    ///
    /// # Errors
    /// If the message is none, or nobody has this name.
    pub(crate) fn begin(
        hash: ScramHash,
        message: &[u8],
        credential: impl FnOnce(&str) -> Option<ScramCredential>,
    ) -> Result<(Self, String), ScramError> {
        let mut nonce = [0; SALT_BYTES];
        rand::fill(&mut nonce).map_err(|_| ScramError::NoRandomness)?;
        Self::begin_with(hash, message, credential, &base64::encode(&nonce))
    }

    fn begin_with(
        hash: ScramHash,
        message: &[u8],
        credential: impl FnOnce(&str) -> Option<ScramCredential>,
        server_nonce: &str,
    ) -> Result<(Self, String), ScramError> {
        let malformed = ScramError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
        let mut parts = text.splitn(3, ',');
        let (flag, authorization) = (parts.next(), parts.next());
        let (Some("n" | "y"), Some(authorization)) = (flag, authorization) else {
            return Err(malformed("channel binding is not supported"));
        };
        let bare = parts.next().ok_or_else(|| malformed("it has no name"))?;
        let gs2_header = text[..text.len() - bare.len()].to_owned();
        let mut fields = bare.split(',');
        let name = fields.next().and_then(|field| field.strip_prefix("n="));
        let client_nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        let username = name.and_then(unescape).ok_or_else(|| malformed("its name is none"))?;
        let client_nonce = client_nonce.ok_or_else(|| malformed("it has no nonce"))?;
        if username.is_empty() || client_nonce.is_empty() {
            return Err(malformed("its name or nonce is empty"));
        }
        let acts_as = match authorization.strip_prefix("a=") {
            Some(escaped) => unescape(escaped),
            None => authorization.is_empty().then(|| username.clone()),
        };
        if acts_as.is_none_or(|acts_as| acts_as != username) {
            return Err(malformed("it wants to act as somebody else"));
        }
        let credential = credential(&username).ok_or(ScramError::UnknownUser)?;
        let nonce = format!("{client_nonce}{server_nonce}");
        let (salt, iterations) = (base64::encode(&credential.salt), credential.iterations);
        let first = format!("r={nonce},s={salt},i={iterations}");
        let signed = format!("{bare},{first},");
        Ok((Self { hash, username, gs2_header, credential, nonce, signed }, first))
    }

    /// Takes the client's last message; what the client is told, which proves us.
    ///
    /// # Errors
    /// If the message is none, or the client does not know the password.
    pub(crate) fn finish(self, message: &[u8]) -> Result<String, ScramError> {
        let malformed = ScramError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or_else(|| malformed("it has no proof"))?;
        let mut fields = without_proof.split(',');
        let header = fields.next().and_then(|field| field.strip_prefix("c="));
        if header.and_then(base64::decode).is_none_or(|found| found != self.gs2_header.as_bytes()) {
            return Err(malformed("its header is not that of the first"));
        }
        // librdkafka 2.0.2 (Debian 12's kcat) sends more before it. As long as it ends so, nothing
        // that was said before can be said again; what was signed is compared as it came.
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if nonce.is_none_or(|nonce| !nonce.ends_with(&self.nonce)) {
            return Err(malformed("its nonce is not ours"));
        }
        let proof = base64::decode(proof).ok_or_else(|| malformed("its proof is not base64"))?;
        let (hash, credential) = (self.hash, &self.credential);
        let message = format!("{}{without_proof}", self.signed);
        let signature = hash.sign(&credential.stored_key, message.as_bytes());
        if proof.len() != signature.as_ref().len() {
            return Err(ScramError::WrongProof);
        }
        let pairs = proof.iter().zip(signature.as_ref());
        let client_key: Vec<u8> = pairs.map(|(proof, signature)| proof ^ signature).collect();
        let stored_key = digest::digest(hash.digest(), &client_key);
        constant_time::verify_slices_are_equal(stored_key.as_ref(), &credential.stored_key)
            .map_err(|_| ScramError::WrongProof)?;
        let ours = hash.sign(&credential.server_key, message.as_bytes());
        Ok(format!("v={}", base64::encode(ours.as_ref())))
    }
}

/// A name as RFC 5802 writes it: `=2C` for a comma, `=3D` for an equals sign.
fn unescape(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (letter, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(letter);
        name.push_str(rest);
    }
    Some(name)
}

/// Bytes in JSON.
mod as_base64 {
    use farlog_wire::base64;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&base64::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        base64::decode(&text).ok_or_else(|| D::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credential of RFC 7677 §3: user `user`, password `pencil`.
    fn pencil() -> ScramCredential {
        let salt = base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut salted = [0; 32];
        let iterations = NonZeroU32::new(4_096).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, b"pencil", &mut salted);
        ScramCredential::salted(ScramHash::Sha256, &salt, &salted, 4_096)
    }

    fn begin(message: &str) -> Result<(Scram, String), ScramError> {
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let known = |name: &str| ["user", "a,b=c"].contains(&name).then(pencil);
        Scram::begin_with(ScramHash::Sha256, message.as_bytes(), known, nonce)
    }

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_conversation_of_rfc_7677() {
        let (scram, first) = begin(FIRST).unwrap();
        assert_eq!(
            first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let told = scram.finish(format!("{FINAL},p={PROOF}").as_bytes()).unwrap();
        assert_eq!(told, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn who_does_not_know_the_password_is_refused() {
        let (scram, _) = begin(FIRST).unwrap();
        let wrong = format!("{FINAL},p={}", base64::encode(&[1; 32]));
        assert_eq!(scram.finish(wrong.as_bytes()).unwrap_err(), ScramError::WrongProof);
        let unknown = begin("n,,n=nobody,r=x").unwrap_err();
        assert_eq!(unknown, ScramError::UnknownUser);
        let (scram, _) = begin(FIRST).unwrap();
        let short = format!("{FINAL},p=AAAA");
        assert_eq!(scram.finish(short.as_bytes()).unwrap_err(), ScramError::WrongProof);
    }

    #[test]
    fn names_are_unescaped_and_others_are_not_impersonated() {
        assert_eq!(begin("n,,n=a=2Cb=3Dc,r=x").unwrap().0.username, "a,b=c");
        assert!(begin("n,a=user,n=user,r=x").is_ok());
        for bad in [
            "",
            "n,,",
            "p=tls-unique,,n=user,r=x",
            "n,a=root,n=user,r=x",
            "n,,n=user",
            "n,,n=us=er,r=x",
            "n,,n=user,r=",
            "n,,n=,r=x",
            "n,,n=a=é,r=x",
        ] {
            assert!(matches!(begin(bad), Err(ScramError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn last_messages_must_continue_the_first() {
        for bad in [
            "",
            "c=biws,r=x,p=AAAA",
            "c=eSws,r=rOprNGfwEbeRWgbNEkqO,p=AAAA",
            "p=AAAA",
            "c=biws,p=AAAA",
            "c=biws",
        ] {
            let (scram, _) = begin(FIRST).unwrap();
            assert!(matches!(scram.finish(bad.as_bytes()), Err(ScramError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn credentials_survive_as_json_and_show_nothing() {
        let credential = ScramCredential::of_password(ScramHash::Sha512, "secret").unwrap();
        let json = serde_json::to_string(&credential).unwrap();
        assert_eq!(serde_json::from_str::<ScramCredential>(&json).unwrap(), credential);
        assert_eq!(format!("{credential:?}"), "ScramCredential { .. }");
    }
}
