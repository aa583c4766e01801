//! The write-ahead log: one sequence of entries for all logs, in files that only grow.

pub(crate) mod disk;
pub(crate) mod entry;
pub(crate) mod file_name;
pub(crate) mod head;
pub(crate) mod marks;
pub(crate) mod scan;
pub(crate) mod writer;
