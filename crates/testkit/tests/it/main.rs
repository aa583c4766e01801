//! The fixtures against the real processes they start.

mod history;
mod kafka;
mod process;
