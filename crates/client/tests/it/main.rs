//! The client against real Kafka brokers of every version that tests run.

mod cluster;
mod fixture;
