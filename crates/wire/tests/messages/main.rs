//! The generated messages: every one, in every version.
//!
//! - `round_trip`: what is encoded comes back when it is decoded.
//! - `oracle`: an independent codec (the crate `kafka-protocol`) reads and writes the same bytes.
//! - `java`: so does Apache Kafka itself, in the versions that the crate does not know, too.
//! - `golden`: a few frames byte by byte, as the protocol guide has them.
//! - `hostile`: bytes that lie cost an error, and neither a panic nor memory.
//! - `seeds`: what the fuzzers start from (ignored unless asked for).
//! - `rules`: what versions cannot carry, and how old brokers' answers to `ApiVersions` are read.

mod dice;
mod golden;
mod hostile;
mod java;
mod oracle;
mod round_trip;
mod rules;
mod samples;
mod seeds;
