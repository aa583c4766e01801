//! The Farlog binary as a library: settings, command line and the running product, so that all of
//! it can be tested.

pub mod app;
pub mod cli;
pub mod demo;
pub mod exit;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod progress;
pub mod render;
pub mod settings;
