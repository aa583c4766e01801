//! What has left the write-ahead log: parts of logs in objects, and the manifest that says which.

pub(crate) mod manifest;
pub(crate) mod section;
