//! The broker as its clients see it.

mod clients;
mod connections;
mod differential;
mod fixture;
mod foreign;
mod given_offsets;
mod groups;
mod internal_topics;
mod mirrormaker;
mod peer;
mod security;
mod transactions;
mod transactions_clients;
mod unwritten_groups;
