//! What a link must remember, as records of a compacted internal topic on the target cluster.
//!
//! Nothing is kept on local disk: the survivor of a disaster has what it needs. `record` and
//! `sealed` give the bytes, `journal` folds them into what is known, `place` finds and reads the
//! topic, `writer` writes to it.

mod journal;
mod place;
mod record;
mod sealed;
mod writer;

pub use journal::{BlockPlace, Journal, MirrorFacts};
pub(crate) use place::{StatePlace, StateReadError};
pub use record::{Claim, Entry, Fact, MirrorId, Run, StateError, StateKey, StateValue};
pub use sealed::Sealed;
pub use writer::{StateStore, StateWriteError, Written};
