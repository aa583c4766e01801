//! What can go wrong, one enum per operation.

use crate::extent::LogId;

/// Something could not be made durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another broker opened the same place after us; nothing of ours is accepted any more.
    #[error("another broker has taken over this store: {by}")]
    Fenced {
        /// What is known of it.
        by: String,
    },
    /// The disk or the bucket refused; the store takes nothing more until it is opened again.
    #[error("{what}: {why}")]
    Failed {
        /// What was being done, with its file or object.
        what: String,
        /// What the system said.
        why: String,
    },
    /// The disk is full or the bucket does not answer; it is tried again, and when it works the
    /// store takes changes again.
    #[error("cannot {what} at the moment: {why}")]
    Unavailable {
        /// What is being done, with its file or object.
        what: String,
        /// What the system said.
        why: String,
    },
    /// The store was closed meanwhile.
    #[error("the store is closed")]
    Closed,
}

/// A batch was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// No log of this name.
    #[error("no log {0:?}")]
    UnknownLog(LogId),
    /// It would overwrite.
    #[error("batch at {base_offset} of log {id:?}, which ends at {end_offset}")]
    Overlap {
        /// The log.
        id: LogId,
        /// Where the batch begins.
        base_offset: i64,
        /// Where the log ends.
        end_offset: i64,
    },
    /// It is not one whole record batch with these offsets.
    #[error("what comes at {base_offset} of log {id:?} is not a batch: {why}")]
    NotABatch {
        /// The log.
        id: LogId,
        /// Where it should begin.
        base_offset: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// Too much waits to be written; tried again later it may be taken.
    #[error("{waiting_bytes} bytes wait to be written, and {waiting_bytes_max} may")]
    Busy {
        /// What waits.
        waiting_bytes: usize,
        /// What may wait.
        waiting_bytes_max: usize,
    },
    /// Nothing is taken any more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The older part of a log was not replaced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RewriteError {
    /// No log of this name.
    #[error("no log {0:?}")]
    UnknownLog(LogId),
    /// It does not come behind the batch before it, or reaches beyond the part to replace.
    #[error("batch at {base_offset} is out of place in what is kept of log {id:?}")]
    Order {
        /// The log.
        id: LogId,
        /// Where the batch begins.
        base_offset: i64,
    },
    /// The part that is replaced must end as it did, so that no offset is given twice.
    #[error("what is kept of log {id:?} ends at {next_offset:?}, not at {end_offset}")]
    End {
        /// The log.
        id: LogId,
        /// Where what is kept ends, if there is anything.
        next_offset: Option<i64>,
        /// Where the part ends.
        end_offset: i64,
    },
    /// The log cannot be replaced up to there: no segment ends there, or none does any more.
    #[error("no segment of log {id:?} ends at {end_offset}")]
    Boundary {
        /// The log.
        id: LogId,
        /// Where the part was to end.
        end_offset: i64,
    },
    /// An object could not be written.
    #[error("{why}")]
    Object {
        /// What the bucket said.
        why: String,
    },
    /// Nothing is taken any more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Bytes could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// No log of this name.
    #[error("no log {0:?}")]
    UnknownLog(LogId),
    /// Below the start or beyond the end.
    #[error("offset {offset} of log {id:?}, which reaches from {start_offset} to {end_offset}")]
    OutOfRange {
        /// The log.
        id: LogId,
        /// The offset.
        offset: i64,
        /// Where the log begins.
        start_offset: i64,
        /// Where its durable part ends.
        end_offset: i64,
    },
    /// The disk or the bucket refused, or what it gave is damaged.
    #[error("{what}: {why}")]
    Failed {
        /// What was being read, with its file or object.
        what: String,
        /// What the system said, or what is wrong with the bytes.
        why: String,
    },
}
