//! The client against real Kafka brokers of every version that tests run.

// A failure to prepare a test is a failure of the test.
#![allow(clippy::unwrap_used)]

mod admin;
mod cluster;
mod faults;
mod fixture;
mod group;
mod produce;
mod security;
