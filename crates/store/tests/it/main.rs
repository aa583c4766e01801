//! What a store promises, checked from outside.

#![allow(clippy::unwrap_used)]

mod batches;
mod crash;
mod damage;
mod figures;
mod model;
mod segments;
mod weather;
