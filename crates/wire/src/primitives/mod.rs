//! The types that messages are made of, and how they are read and written.
//!
//! Source: the Kafka protocol guide (<https://kafka.apache.org/protocol.html>, "Protocol Primitive
//! Types"), KIP-482 (flexible versions and tagged fields).

mod reader;
mod uuid;
mod version;
mod writer;

pub use reader::{DecodeError, Reader};
pub use uuid::{ParseUuidError, Uuid};
pub use version::VersionRange;
pub use writer::{EncodeError, TaggedFields, Writer};
