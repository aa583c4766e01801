//! Record batches of magic 2 (KIP-98): read where they lie, stamped, merged and written.
//!
//! A fetch answer is one `Bytes`; [`batches`] slices it. The hot path touches headers and CRCs:
//! [`pass_through`] stamps a batch with other producer fields, [`BatchBuilder`] merges small
//! uncompressed ones. Only [`rewrite_compressed`] and [`RawBatch::decompressed`] look inside
//! compressed data, and only up to a bound.

mod builder;
pub mod compression;
mod error;
mod header;
mod outgoing;
mod raw;
mod record;
mod rewrite;
mod varint;
mod writer;

pub use builder::{Appended, BatchBuilder, BuilderLimits, SourceRun};
pub use error::BatchError;
pub use header::{Attributes, BATCH_HEADER_BYTES, BatchHeader, Compression};
pub use outgoing::{OutgoingBatch, ProducerStamp, pass_through};
pub use raw::{NextFetch, RawBatch, batches, next_fetch};
pub use record::{ControlType, Header, Record, control_type, records};
pub use rewrite::{Rewritten, rewrite_compressed};
pub use writer::BatchWriter;

#[cfg(test)]
mod tests;
