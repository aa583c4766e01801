//! Mirrors whose offsets are those of their source (ADR 0011).
//!
//! Three means make a mirror's log end equal the source offset that comes next, all of them
//! sequenced under the link's one producer id, so that the target's sequence check guards them as
//! it guards data: filler batches up to the first offset, deleted again (`priming`); phantoms in
//! front of a batch's records where offsets are missing between them, and batches of nothing but
//! phantoms where many are (`keeper`). Pure.

mod keeper;
mod priming;

pub use keeper::{HOLE_OFFSETS_MAX, Keeper, KeeperError};
pub use priming::{FILLER_RECORDS_MAX, Filler, SHED_FROM_OFFSETS, filler_counts};
