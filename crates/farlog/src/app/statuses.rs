//! What all links say at one moment, for everyone who shows it.

use std::fmt;
use std::sync::Arc;

use farlog_link::status::LinkStatus;

/// The links' words and the time at which they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Now, in milliseconds since the epoch.
    pub at_ms: i64,
    /// In order of the settings file.
    pub links: Vec<LinkStatus>,
}

/// Asks all links of this process; cheap to clone.
#[derive(Clone)]
pub struct Statuses(Arc<dyn Fn() -> Snapshot + Send + Sync>);

impl Statuses {
    /// From whatever knows the links and the time.
    pub fn from_fn(ask: impl Fn() -> Snapshot + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// What they say now.
    pub fn now(&self) -> Snapshot {
        (self.0)()
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Statuses")
    }
}

#[cfg(test)]
pub(crate) mod samples;
