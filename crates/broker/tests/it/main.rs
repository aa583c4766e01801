//! The broker as its clients see it.

mod clients;
mod fixture;
mod groups;
mod transactions;
