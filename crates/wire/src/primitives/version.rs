//! Ranges of message versions.

use std::fmt;

use super::{DecodeError, EncodeError};

/// The versions from `min` to `max`, both included. Empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl VersionRange {
    /// Whether `version` is one of these.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions in both ranges, or `None` if there is none: what two peers can speak.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// Refuses to encode `message` in a version that is not one of these.
    pub(crate) fn check_encode(
        self,
        message: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        if self.contains(version) {
            return Ok(());
        }
        Err(EncodeError::UnknownVersion { message, version, known: self })
    }

    /// Refuses to decode `message` in a version that is not one of these.
    pub(crate) fn check_decode(
        self,
        message: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        if self.contains(version) {
            return Ok(());
        }
        Err(DecodeError::UnknownVersion { message, version, known: self })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..={}", self.min, self.max)
    }
}
