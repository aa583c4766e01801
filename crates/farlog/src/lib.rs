//! The Farlog binary as a library: settings and command line.

pub mod settings;
