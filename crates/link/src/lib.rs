//! The data plane: one-way flows of raw record batches from a source cluster to a target cluster.
//!
//! A mirror partition is a deterministic function of its source partition, and every batch is
//! appended by compare-and-swap on the sequence of a producer id that the link chose, so that no
//! record is mirrored twice or not at all. This crate knows nothing of runbooks, HTTP or people.
//! Its pure parts (`identity`, `position`, `pipeline`, `source`) take values and return values.
//! Start reading at `link`, then `partition`.

pub mod identity;
pub mod limits;
pub mod status;
pub mod topics;
