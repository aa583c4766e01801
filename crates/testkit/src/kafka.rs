//! Real Kafka clusters as child processes: KRaft ones, and those of old releases with ZooKeeper.
//!
//! [`KafkaOptions`] says what to start, [`KafkaCluster`] is one that runs, [`Broker`] one of its
//! processes. One broker is one process, broker and controller in one, unless asked otherwise; two
//! brokers stand beside a third process that is only the controller, so that either broker can be
//! killed while the other goes on. ZooKeeper is a process beside its brokers in any case.

mod cluster;
mod layout;
mod log_files;
pub mod mm2;
mod node;
mod options;
mod ready;
mod security;
mod shared;

pub use crate::jars::KafkaVersion;
pub use crate::jvm::JvmMode;
pub use cluster::KafkaCluster;
pub use log_files::Truncated;
pub use node::{Broker, KafkaError};
pub use options::{KafkaOptions, Listener};
pub use security::TlsFiles;
pub use shared::{SharedKafka, SharedKafkaGuard};
