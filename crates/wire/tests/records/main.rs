//! Record batches, against a naive model, the `kafka-protocol` crate, and Apache Kafka itself.
//!
//! - `batches`: reading, writing, passing through.
//! - `merge`: what merging a log makes of it.
//! - `kafka`: batches that Kafka wrote, and what Kafka makes of ours.
//! - `hostile`: bytes that lie.
//! - `seeds`: what the fuzzers start from (ignored unless asked for).

#![allow(clippy::unwrap_used)]

mod batches;
mod hostile;
mod kafka;
mod merge;
mod model;
mod seeds;
