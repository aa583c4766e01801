//! The target side of a link: produce connections, and what the target says of a mirror.

pub(crate) mod configs;
pub(crate) mod lanes;
pub(crate) mod tail;
