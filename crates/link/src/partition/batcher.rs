//! What becomes of fetched batches, by what the link does about offsets.

use std::collections::VecDeque;

use farlog_wire::records::{BufferPool, Holes, RawBatch};

use crate::options::Offsets;
use crate::pipeline::{Assembled, Assembler, AssemblerError, AssemblerLimits};
use crate::position::Position;
use crate::preserve::{Keeper, KeeperError};
use crate::source::MemoryTicket;

type Ready = VecDeque<Assembled<MemoryTicket>>;

/// Assembles the batches of one mirror partition.
#[derive(Debug)]
pub(super) enum Batcher {
    /// Records under the next free offsets.
    Translate(Assembler<MemoryTicket>),
    /// Records under their own.
    Preserve(Keeper<MemoryTicket>),
}

/// A fetched batch that cannot be mirrored.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatcherError {
    /// Its bytes do not hold together.
    #[error("{0}")]
    Damaged(String),
    /// Its offset cannot be kept.
    #[error("{0}")]
    Offset(String),
}

impl Batcher {
    pub(super) fn new(
        offsets: Offsets,
        limits: AssemblerLimits,
        producer_id: i64,
        position: Position,
        pool: BufferPool,
        holes: Holes,
    ) -> Self {
        match offsets {
            Offsets::Translate => {
                Self::Translate(Assembler::new(limits, producer_id, position, pool))
            }
            Offsets::Preserve => {
                Self::Preserve(Keeper::new(limits, producer_id, position, pool, holes))
            }
        }
    }

    /// Takes in the records of `batch` from source offset `from` on.
    pub(super) fn push(
        &mut self,
        batch: &RawBatch,
        from: i64,
        ticket: &MemoryTicket,
        ready: &mut Ready,
    ) -> Result<(), BatcherError> {
        match self {
            Self::Translate(assembler) => Ok(assembler.push(batch, from, ticket, ready)?),
            Self::Preserve(keeper) => Ok(keeper.push(batch, from, ticket, ready)?),
        }
    }

    /// Source offsets before `until` that were not taken in have no records.
    pub(super) fn pass_over(&mut self, until: i64, timestamp_ms: i64) {
        if let Self::Preserve(keeper) = self {
            keeper.pass_over(until, timestamp_ms);
        }
    }

    /// Ends the batch under construction.
    pub(super) fn flush(&mut self, ready: &mut Ready) -> Result<(), BatcherError> {
        match self {
            Self::Translate(assembler) => {
                assembler.flush(ready);
                Ok(())
            }
            Self::Preserve(keeper) => Ok(keeper.flush(ready)?),
        }
    }

    /// Timestamp of the oldest record that waits here.
    pub(super) fn first_timestamp_ms(&self) -> Option<i64> {
        match self {
            Self::Translate(assembler) => assembler.first_timestamp_ms(),
            Self::Preserve(keeper) => keeper.first_timestamp_ms(),
        }
    }

    /// Whether something waits for more to come.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Translate(assembler) => assembler.is_open(),
            Self::Preserve(keeper) => keeper.is_open(),
        }
    }
}

impl From<AssemblerError> for BatcherError {
    fn from(error: AssemblerError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<KeeperError> for BatcherError {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::Batch { .. } => Self::Damaged(error.to_string()),
            KeeperError::HoleTooLong { .. } => Self::Offset(error.to_string()),
        }
    }
}
