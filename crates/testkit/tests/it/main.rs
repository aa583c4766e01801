//! The fixtures against the real processes they start.

use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, SharedKafka};

mod faults;
mod history;
mod kafka;
mod mm2;
mod process;
mod proxy;
mod security;
mod tools;

/// For tests that only need some cluster and topics of their own.
static SHARED: SharedKafka = SharedKafka::new(|| KafkaOptions::new(KafkaVersion::V4_3));
