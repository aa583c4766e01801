//! Who acts: `User:NAME`, as Kafka writes it down.

use std::fmt;
use std::sync::Arc;

/// The type of every principal here.
const USER: &str = "User:";

/// Somebody who was authenticated, or `User:ANONYMOUS`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Principal(Arc<str>);

impl Principal {
    /// Who does not say who they are.
    pub(crate) fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// A user of this name.
    pub(crate) fn user(name: &str) -> Self {
        Self(format!("{USER}{name}").into())
    }

    /// The name alone.
    pub(crate) fn name(&self) -> &str {
        &self.0[USER.len()..]
    }

    /// `User:NAME`.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
