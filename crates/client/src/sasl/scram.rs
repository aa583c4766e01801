//! SCRAM (RFC 5802, RFC 7677), client side, without channel binding: what Kafka's brokers offer.
//!
//! Kafka does not apply SASLprep to names and passwords, so neither do we: other bytes than the
//! ones that were stored would be refused.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use bytes::Bytes;
use farlog_wire::base64;

use super::{SaslCredentials, SaslError, SaslMechanism};
use crate::limits::{SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN, SCRAM_SALT_BYTES_MAX};

/// `n,,`: no channel binding, no other authorisation identity.
const GS2_HEADER: &str = "n,,";

/// The hash a mechanism is built on.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScramHash {
    Sha256,
    Sha512,
}

/// One exchange under way.
pub(super) struct Scram {
    hash: ScramHash,
    mechanism: SaslMechanism,
    password: Vec<u8>,
    client_first_bare: String,
    client_nonce: String,
    state: State,
}

enum State {
    /// Waiting for salt and iteration count.
    ServerFirst,
    /// Waiting for the server's proof.
    ServerFinal {
        signature: Vec<u8>,
    },
    Done,
}

// === impl ScramHash ===

impl ScramHash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            ScramHash::Sha256 => hmac::HMAC_SHA256,
            ScramHash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            ScramHash::Sha256 => &digest::SHA256,
            ScramHash::Sha512 => &digest::SHA512,
        }
    }

    /// `Hi` of RFC 5802 §2.2.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            ScramHash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramHash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut out = vec![0; self.digest().output_len()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut out);
        out
    }

    fn sign(self, key: &[u8], message: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hmac(), key), message)
    }
}

// === impl Scram ===

impl Scram {
    pub(super) fn new(
        hash: ScramHash,
        mechanism: SaslMechanism,
        credentials: &SaslCredentials,
        client_nonce: String,
    ) -> Scram {
        let name = credentials.username.replace('=', "=3D").replace(',', "=2C");
        Scram {
            hash,
            mechanism,
            password: credentials.password.as_bytes().to_vec(),
            client_first_bare: format!("n={name},r={client_nonce}"),
            client_nonce,
            state: State::ServerFirst,
        }
    }

    pub(super) fn client_first(&self) -> Bytes {
        Bytes::from(format!("{GS2_HEADER}{}", self.client_first_bare))
    }

    pub(super) fn step(&mut self, server: &[u8]) -> Result<Option<Bytes>, SaslError> {
        let text = std::str::from_utf8(server).map_err(|_| self.malformed("it is not UTF-8"))?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::ServerFirst => self.answer_challenge(text).map(Some),
            State::ServerFinal { signature } => {
                self.check_server(text, &signature)?;
                Ok(None)
            }
            State::Done => Err(SaslError::OutOfStep { mechanism: self.mechanism }),
        }
    }

    /// RFC 5802 §3: from salt and iteration count to our proof.
    fn answer_challenge(&mut self, server_first: &str) -> Result<Bytes, SaslError> {
        let mechanism = self.mechanism;
        if let Some(reason) = server_first.strip_prefix("e=") {
            return Err(SaslError::Refused { mechanism, reason: reason.to_owned() });
        }
        let mut fields = server_first.split(',');
        let nonce = self.field(fields.next(), "r=", "the nonce is missing")?;
        let salt = self.field(fields.next(), "s=", "the salt is missing")?;
        let iterations = self.field(fields.next(), "i=", "the iteration count is missing")?;
        // A server that repeats only our part would let an old conversation be replayed.
        if nonce.len() <= self.client_nonce.len() || !nonce.starts_with(&self.client_nonce) {
            return Err(self.malformed("its nonce does not continue ours"));
        }
        let salt = base64::decode(salt)
            .filter(|salt| (1..=SCRAM_SALT_BYTES_MAX).contains(&salt.len()))
            .ok_or_else(|| self.malformed("the salt is not base64 of a sane length"))?;
        let iterations = iterations
            .parse::<u32>()
            .ok()
            .filter(|count| (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(count))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| self.malformed("the iteration count is outside 4096..=1000000"))?;

        let salted = self.hash.salted_password(&self.password, &salt, iterations);
        let client_key = self.hash.sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), client_key.as_ref());
        let without_proof = format!("c={},r={nonce}", base64::encode(GS2_HEADER.as_bytes()));
        let message = format!("{},{server_first},{without_proof}", self.client_first_bare);
        let client_signature = self.hash.sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(client_signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = self.hash.sign(&salted, b"Server Key");
        let signature = self.hash.sign(server_key.as_ref(), message.as_bytes());
        self.state = State::ServerFinal { signature: signature.as_ref().to_vec() };
        Ok(Bytes::from(format!("{without_proof},p={}", base64::encode(&proof))))
    }

    fn check_server(&self, server_final: &str, signature: &[u8]) -> Result<(), SaslError> {
        let mechanism = self.mechanism;
        if let Some(reason) = server_final.strip_prefix("e=") {
            let reason = reason.split(',').next().unwrap_or(reason).to_owned();
            return Err(SaslError::Refused { mechanism, reason });
        }
        let first = server_final.split(',').next();
        let proof = self.field(first, "v=", "the server's proof is missing")?;
        let proof =
            base64::decode(proof).ok_or_else(|| self.malformed("the proof is not base64"))?;
        constant_time::verify_slices_are_equal(&proof, signature)
            .map_err(|_| SaslError::ServerNotAuthenticated { mechanism })
    }

    fn field<'a>(
        &self,
        field: Option<&'a str>,
        prefix: &str,
        missing: &'static str,
    ) -> Result<&'a str, SaslError> {
        field.and_then(|field| field.strip_prefix(prefix)).ok_or_else(|| self.malformed(missing))
    }

    fn malformed(&self, reason: &'static str) -> SaslError {
        SaslError::Malformed { mechanism: self.mechanism, reason }
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the password nor anything derived from it.
        f.debug_struct("Scram").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scram(user: &str, password: &str, nonce: &str) -> Scram {
        let mechanism = SaslMechanism::ScramSha256;
        let credentials =
            SaslCredentials { mechanism, username: user.into(), password: password.into() };
        Scram::new(ScramHash::Sha256, mechanism, &credentials, nonce.to_owned())
    }

    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn rfc_7677() -> Scram {
        scram("user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    }

    #[test]
    fn the_conversation_of_rfc_7677() {
        let mut scram = rfc_7677();
        assert_eq!(&scram.client_first()[..], b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let reply = scram.step(SERVER_FIRST.as_bytes()).unwrap().unwrap();
        assert_eq!(
            std::str::from_utf8(&reply).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.step(SERVER_FINAL.as_bytes()).unwrap(), None);
        assert!(matches!(scram.step(b"v="), Err(SaslError::OutOfStep { .. })));
    }

    #[test]
    fn names_are_escaped() {
        let first = scram("a=b,c", "x", "n").client_first();
        assert_eq!(&first[..], b"n,,n=a=3Db=2Cc,r=n");
    }

    #[test]
    fn a_server_without_the_password_is_unmasked() {
        let mut scram = rfc_7677();
        scram.step(SERVER_FIRST.as_bytes()).unwrap();
        let wrong = format!("v={}", base64::encode(&[7; 32]));
        let error = scram.step(wrong.as_bytes()).unwrap_err();
        assert!(matches!(error, SaslError::ServerNotAuthenticated { .. }));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let mut scram = rfc_7677();
        scram.step(SERVER_FIRST.as_bytes()).unwrap();
        let error = scram.step(b"e=invalid-proof").unwrap_err();
        assert_eq!(error.to_string(), "SCRAM-SHA-256 was refused: invalid-proof");
    }

    #[test]
    fn hostile_challenges_are_refused() {
        for challenge in [
            "",
            "r=x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        ] {
            let error = rfc_7677().step(challenge.as_bytes()).unwrap_err();
            assert!(matches!(error, SaslError::Malformed { .. }), "{challenge}");
        }
        assert!(rfc_7677().step(&[0xff]).is_err());
    }
}
