//! From fetched batches to batches ready to append, and when each may be sent. Pure.

mod assembler;
mod window;

pub use assembler::{Assembled, Assembler, AssemblerError, AssemblerLimits};
pub use window::{Freshness, Window};
