//! What a link must remember, as records of a compacted internal topic on the target cluster.
//!
//! Nothing is kept on local disk: the survivor of a disaster has what it needs. `record` gives the
//! bytes, `journal` folds them into what is known, `place` finds and reads the topic, `writer`
//! writes to it.

mod journal;
mod place;
mod record;
mod writer;

pub use journal::{Journal, MirrorFacts};
pub(crate) use place::{StatePlace, StateReadError};
pub use record::{Claim, Entry, Fact, MirrorId, Run, StateError, StateKey, StateValue};
pub use writer::{StateStore, StateWriteError, Written};
