//! MirrorMaker 2 as others see it: the records in its internal topics, byte for byte, their names,
//! and what its own reader makes of them; pure.
//! `observe` looks at a running one; `emission` and the checkpoint writer write what it would.
//!
//! Every record is an unversioned or version 0 `Struct` of Kafka's protocol types (KIP-382). Java's
//! readers fail on a null value, so nothing here writes a tombstone; ours skip one.

pub mod checkpoint;
mod checkpoint_writer;
mod checkpoints;
mod emission;
pub mod heartbeat;
mod internal_topic;
pub mod names;
pub mod observe;
pub mod offset_sync;
pub mod offset_sync_store;
mod record_bytes;
pub mod source_offset;
mod spacing;

pub use checkpoint::Checkpoint;
pub use checkpoint_writer::{CheckpointError, CheckpointWriter};
pub(crate) use emission::Emission;
pub use emission::{HeartbeatPair, MirrorMakerTopics};
pub use heartbeat::Heartbeat;
pub use internal_topic::InternalWriteError;
pub use names::{OffsetSyncsLocation, Pair};
pub use offset_sync::OffsetSync;
pub use offset_sync_store::OffsetSyncStore;
pub use record_bytes::{TextTooLong, Unreadable};
pub use source_offset::SourceOffset;
