//! Real servers and foreign clients for tests and benches: Apache Kafka and MirrorMaker 2 as
//! child processes, Kafka's own tools, kcat, small Java clients, a bucket, an issuer of tokens,
//! and a TCP proxy that misbehaves on order.
//!
//! Everything here blocks the calling thread (a broker takes about two seconds to start) and none
//! of it needs a tokio runtime: an async test uses `#[tokio::test(flavor = "multi_thread")]` so
//! that its spawned tasks go on meanwhile.
//!
//! No process outlives the test binary that started it, however that ends (see [`process`]), and
//! no directory either, unless the test failed: then its logs stay, and the path is printed.

pub mod broker_kills;
pub mod bucket;
pub mod clients;
pub mod history;
pub mod jars;
pub mod java;
mod jvm;
pub mod kafka;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod scratch;
pub mod tokens;
pub mod tools;
pub mod usage;
