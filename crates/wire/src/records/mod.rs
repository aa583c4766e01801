//! Record batches of format 2: read where they lie, stamped, merged and written.
//!
//! A fetch response is one `Bytes`, and [`batches`] slices it. The hot path touches headers,
//! checksums, and the two deltas of each record: [`pass_through`] stamps a batch with another
//! producer's fields, [`BatchBuilder`] merges small uncompressed batches into large ones. Only
//! [`rewrite_compressed`] and [`RawBatch::decompressed`] look inside compressed data, up to a
//! bound.
//!
//! Source: Kafka's documentation, "Record Batch"; KIP-98, KIP-82, KIP-110, KIP-534.

mod builder;
pub mod compression;
mod control;
mod crc;
mod error;
mod exact;
mod header;
mod outgoing;
mod pool;
mod raw;
mod record;
mod rewrite;
mod runs;
mod varint;
mod writer;

pub use builder::{Appended, BatchBuilder, BuilderLimits};
pub use compression::{CodecError, Compression};
pub use control::{ControlRecord, ControlType, EndMarker, control_record, control_type};
pub use error::{BatchError, Obstacle, RecordFault};
pub use exact::{ExactBuilder, Holes, PHANTOM_KEY, PHANTOMS_PER_BATCH_MAX, empty_batch};
pub use header::{Attributes, BATCH_HEADER_BYTES, BatchHeader, MAGIC, TimestampType};
pub use outgoing::{OutgoingBatch, ProducerStamp, pass_through};
pub use pool::BufferPool;
pub use raw::{Batches, NextFetch, RawBatch, batches, next_fetch};
pub use record::{Header, Record, Records, records};
pub use rewrite::{Rewritten, rewrite_compressed};
pub use runs::{SourceRun, SourceRuns};
pub use writer::BatchWriter;

#[cfg(test)]
mod tests;
