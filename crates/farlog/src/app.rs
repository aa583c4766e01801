//! The running product: settings become clusters, clusters become links, links run until a signal.

pub mod statuses;
