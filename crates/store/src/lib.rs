//! Bytes that must survive: the logs of one broker, behind the narrowest seam that Kafka's
//! semantics need.
//!
//! A [`Store`] holds many logs. A log is a sequence of record batches with rising offsets, gaps
//! allowed; the store looks at nothing of a batch but its extent. What was appended is visible to
//! readers when it is durable, in the order of the appends.
//!
//! On disk, `docs/adr/0007` says why: all logs share one write-ahead log (`wal/`), written by one
//! thread that syncs everything waiting at once. `logs` knows where every batch is, `queue` is what
//! stands between those who append and the one who writes, `recover` reads it all again at start.

mod bucket;
mod buffers;
mod chance;
mod disk_logs;
mod error;
mod extent;
mod fields;
mod limits;
mod logs;
mod memory;
mod mover;
mod objects;
mod options;
mod piece;
mod queue;
mod read;
mod recover;
mod rewrite;
mod section_read;
mod segment;
mod store;
mod wal;

pub use bucket::BucketError;
pub use error::{AppendError, ReadError, RewriteError, StoreError};
pub use extent::{Batch, Checkpoint, Extent, LogId, RecoveredLog, SegmentFacts};
pub use objects::ObjectPlace;
pub use options::{LogPlace, OpenError, Recovery, RecoveryReport, StoreOptions};
pub use rewrite::Rewrite;
pub use store::{Durable, Store};
