//! Kafka bytes ↔ values, and nothing else: no sockets, no clock, no runtime.
//!
//! - [`messages`]: every request and response that Farlog sends or serves, generated from Kafka's
//!   own definitions by `cargo xtask codegen`.
//! - [`primitives`]: the bounded [`Reader`] and the [`Writer`] that they are made of.
//! - [`frame`]: requests and responses with their size prefix and header.
//! - [`error_code`]: Kafka's error codes, by name.
//! - [`records`]: record batches: headers, CRC, merging, codecs.
//! - [`group_records`]: committed offsets in `__consumer_offsets`.
//! - [`base64`]: as SASL writes it.
//! - [`limits`]: what bounds the memory that bytes from outside can make us use.

pub mod api_key;
pub mod base64;
pub mod error_code;
pub mod frame;
pub mod group_records;
pub mod limits;
pub mod message;
pub mod messages;
pub mod primitives;
pub mod records;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use message::{Message, Request};
pub use primitives::{DecodeError, EncodeError, Reader, Uuid, VersionRange, Writer};
