//! The binary as people start it, and the pages that people read.

// A fixture that fails has failed its test.
#![allow(clippy::unwrap_used)]

mod bench;
mod binary;
mod broker_kills;
mod buckets;
mod check;
mod demo;
mod denied;
mod elections;
mod embedded;
mod kept_access;
mod kill;
mod observe;
mod operations_page;
mod releases;
mod rotation;
mod run;
mod usage;
