//! Bytes that must survive: the logs of one broker, behind the narrowest seam that Kafka's
//! semantics need.
//!
//! A [`Store`] holds many logs. A log is a sequence of record batches with rising offsets, gaps
//! allowed; the store looks at nothing of a batch but its extent. What was appended is visible to
//! readers when it is durable, in the order of the appends.

mod error;
mod extent;
mod memory;
mod store;

pub use error::{AppendError, ReadError, StoreError};
pub use extent::{Batch, Checkpoint, Extent, LogId, RecoveredLog, SegmentFacts};
pub use store::{Durable, Store};
