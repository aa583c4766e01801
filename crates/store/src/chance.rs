//! Numbers that nobody else has.

use std::hash::{BuildHasher, RandomState};

/// A number that is different each time. Not for secrets: it need only differ from what others
/// choose, and from what a payload written before can contain.
pub(crate) fn fresh() -> u64 {
    RandomState::new().hash_one(0)
}
