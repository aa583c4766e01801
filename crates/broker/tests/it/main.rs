//! The broker as its clients see it.

mod clients;
mod differential;
mod fixture;
mod groups;
mod transactions;
mod transactions_clients;
