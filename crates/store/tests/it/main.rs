//! What a store promises, checked from outside.

#![allow(clippy::unwrap_used)]

mod batches;
mod crash;
mod damage;
mod figures;
mod model;
mod rewrite;
#[cfg(feature = "cloud")]
mod s3;
#[cfg(feature = "cloud")]
mod s3_server;
mod segments;
mod weather;
