//! Farlog beside MirrorMaker 2 between two real Kafka clusters, and the machine's own ceiling.
//!
//! Every run of a tool begins with an empty target and a link name never used before. Farlog and
//! MirrorMaker 2 are given the same file. Figures are medians; MirrorMaker 2 is slow and steady,
//! so it runs fewer times.
//!
//! [`measure`] does all of it: the clusters and the tools are child processes that end with it,
//! however it ends. It wants a multi-threaded runtime of tokio, and blocks some of its threads.

mod batches;
pub mod broker;
mod catch_up;
mod clusters;
mod consumer;
mod dataset;
mod disk;
mod error;
mod failover;
mod latency;
mod limits;
mod load;
mod needs;
mod options;
mod plan;
mod preload;
mod progress;
mod relay;
mod report;
mod run;
mod statistics;
mod table;
mod tools;
mod values;

use farlog_testkit::jars::KafkaVersion;

pub use error::BenchError;
pub use farlog_testkit::jars::Jars;
pub use needs::{Missing, provide};
pub use options::Arguments;
pub use plan::Plan;
pub use progress::{Doing, Progress};
pub use report::Report;
pub use run::{Surroundings, measure};

/// Release of the brokers and of MirrorMaker 2, if none is named.
pub const KAFKA: KafkaVersion = KafkaVersion::V4_3;

/// The oldest Java that this Kafka runs on.
const JAVA_RELEASE_MIN: u32 = 17;
