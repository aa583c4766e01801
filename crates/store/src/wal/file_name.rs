//! Names of the log's files: `<number>-<first sequence>-<salt>.wal`, in hexadecimal.
//!
//! All three are needed to judge a file whose first bytes are damaged.

use std::fmt;

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName {
    /// One more than the file before.
    pub(crate) number: u64,
    /// Of its first entry.
    pub(crate) sequence: u64,
    /// What its checksums begin with.
    pub(crate) salt: u32,
}

impl fmt::Display for FileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}-{:016x}-{:08x}.wal", self.number, self.sequence, self.salt)
    }
}

impl FileName {
    /// `None` if it is not the name of a file of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".wal")?.split('-');
        let number = u64::from_str_radix(parts.next()?, 16).ok()?;
        let sequence = u64::from_str_radix(parts.next()?, 16).ok()?;
        let salt = u32::from_str_radix(parts.next()?, 16).ok()?;
        let parsed = Self { number, sequence, salt };
        (parsed.to_string() == name).then_some(parsed)
    }
}
