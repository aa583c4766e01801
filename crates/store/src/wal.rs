//! The write-ahead log: one sequence of entries for all logs, in files that only grow.

pub(crate) mod bucket_disk;
pub(crate) mod chain;
pub(crate) mod chunk;
pub(crate) mod disk;
pub(crate) mod entry;
pub(crate) mod file_name;
pub(crate) mod head;
pub(crate) mod marks;
pub(crate) mod patience;
pub(crate) mod scan;
pub(crate) mod writer;
