//! The fixtures against the real processes they start.

mod kafka;
mod process;
