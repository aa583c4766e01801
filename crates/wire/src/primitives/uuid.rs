//! Kafka's 128-bit identifiers: topic ids, member ids, directory ids.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The digits of base64 for URLs (RFC 4648 §5), as Kafka prints identifiers.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of a printed identifier: 128 bits, 6 bits a digit, no padding.
const TEXT_BYTES: usize = 22;

/// A 128-bit identifier, big-endian, shown as Kafka shows it: 22 characters of URL-safe base64.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All bits zero: Kafka's way to say that there is no identifier.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether there is no identifier.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last digit has 2 bits of the value and 4 bits of zero.
        let value = u128::from_be_bytes(self.0);
        let mut text = String::with_capacity(TEXT_BYTES);
        for digit in 0..TEXT_BYTES {
            let shift = 122 - 6 * digit as i32;
            let bits = if shift >= 0 { value >> shift } else { value << -shift };
            text.push(char::from(DIGITS[(bits & 0x3f) as usize]));
        }
        formatter.pad(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Uuid({self})")
    }
}

/// A text that is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}' is not a Kafka id (22 characters of URL-safe base64)")]
pub struct ParseUuidError {
    /// What was given.
    pub text: String,
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseUuidError { text: text.to_owned() };
        if text.len() != TEXT_BYTES {
            return Err(refused());
        }
        let mut value = 0_u128;
        for (index, character) in text.bytes().enumerate() {
            let bits = DIGITS.iter().position(|&digit| digit == character).ok_or_else(refused)?;
            if index < TEXT_BYTES - 1 {
                value = value << 6 | bits as u128;
            } else if bits & 0xf == 0 {
                value = value << 2 | (bits >> 4) as u128;
            } else {
                return Err(refused());
            }
        }
        Ok(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_prints_as_kafka_prints_it() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn ids_print_as_url_safe_base64_without_padding_and_parse_back() {
        let id = Uuid([
            0xfb, 0xff, 0xbf, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
            0x0b, 0xff,
        ]);
        // python3: base64.urlsafe_b64encode(bytes.fromhex('fbffbf000102030405060708090a0bff'))
        assert_eq!(id.to_string(), "-_-_AAECAwQFBgcICQoL_w");
        assert_eq!("-_-_AAECAwQFBgcICQoL_w".parse(), Ok(id));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA+", "ä"] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
