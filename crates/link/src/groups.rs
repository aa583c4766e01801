//! Consumer groups: where they stand, where they would go on, and how they follow a link.
//!
//! `translate` answers questions and writes nothing. The others make groups follow: `tail` reads
//! what they commit at the source, as `commits` understands it; `board` decides what is to be
//! written at the target, and `write` writes it, ahead of which `checkpoint` keeps what it was;
//! `follow` runs them. `commits` and `board` are pure.

mod board;
mod checkpoint;
mod commits;
mod follow;
mod selection;
mod tail;
mod translate;
mod write;

pub(crate) use follow::{MirrorsNow, follow};
pub use selection::{GroupSelection, Rewinds};
pub use translate::{
    Direction, GroupPosition, NotTranslated, OtherEnd, TranslateError, translate_group,
};
