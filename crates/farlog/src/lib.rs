//! The Farlog binary as a library: settings and command line, so that both can be tested.

pub mod cli;
pub mod settings;
