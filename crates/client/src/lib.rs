//! groups.
//!
//! - [`Cluster`]: a cheap handle that finds brokers and routes requests.
//! - [`Connection`]: one TCP connection with requests in a pipeline; lanes dial their own.
//! - [`ProduceRequestBuilder`]: produce requests that cannot name a partition twice.
//! - [`ClusterOptions`]: what a caller decides.
//!
//! The clock is tokio's, randomness comes in with the options, and the network is reached in
//! [`Connection::dial`] only.

pub mod admin;
pub mod backoff;
mod broker_name;
mod buffer_pool;
mod cluster;
mod connection;
mod error;
mod frame_reader;
pub mod group;
pub mod limits;
pub mod options;
mod produce;
pub mod sasl;
mod socket;
pub mod tls;
mod topic;
mod topic_partition;

pub use broker_name::{BrokerName, ServerAddress, ServerAddressError};
pub use buffer_pool::BufferPool;
pub use cluster::{
    BrokerMetadata, Cluster, ClusterMetadata, ConnectError, PartitionMetadata, RequestError,
    TopicMetadata, TopicSelection,
};
pub use connection::{ClientRequest, Connection, PendingResponse};
pub use error::{BrokerError, ConnectionError, ConnectionFailure, SendError, UnsupportedVersion};
pub use options::{ClusterOptions, ConnectionOptions};
pub use produce::{InsertError, ProduceRequestBuilder, ProduceTopic};
pub use topic::{Appended, FetchOptions, Fetched, ReadError};
pub use topic_partition::TopicPartition;
