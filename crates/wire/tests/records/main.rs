//! Record batches, against a naive model, the `kafka-protocol` crate, and batches of real Kafka.

#![allow(clippy::unwrap_used)]

mod batches;
mod merge;
mod model;
