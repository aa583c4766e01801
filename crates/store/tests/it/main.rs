//! What a store promises, checked from outside.

#![allow(clippy::unwrap_used)]

mod batches;
mod bucket_log;
mod crash;
mod damage;
mod figures;
mod model;
mod rewrite;
mod s3;
mod segments;
mod weather;
