//! Real Kafka clusters (KRaft) as child processes.
//!
//! [`KafkaOptions`] says what to start, [`KafkaCluster`] is one that runs, [`Broker`] one of its
//! processes. One broker is one process, broker and controller in one; two brokers stand beside a
//! third process that is only the controller, so that either broker can be killed while the other
//! goes on.

mod cluster;
mod layout;
mod node;
mod options;
mod ready;
mod shared;

pub use crate::jars::KafkaVersion;
pub use cluster::KafkaCluster;
pub use node::{Broker, KafkaError};
pub use options::{JvmMode, KafkaOptions, Listener};
pub use shared::{SharedKafka, SharedKafkaGuard};
