//! Histories: what may happen to two clusters and a link between them, and whether the mirror is
//! still what it must be.
//!
//! - [`generator`]: a seeded writer that does to a source cluster what real producers, cleaners,
//!   retention and operators do, and keeps an exact account of what was committed.
//! - [`reader`]: reads a partition back through raw fetches.
//! - [`checker`]: compares an account with a mirror, record by record, and names every difference.
//! - [`plant`]: puts each kind of fault into a copy, to prove that the checker finds it.
//! - [`orchestrator`]: runs a mirroring program between two clusters and does to it what the
//!   script says.
//! - [`releases`]: all that a link does, between clusters of two releases of Kafka.
//!
//! Every record says who it is ([`RecordId`]), so that a finding can name it.

pub mod account;
pub mod batch;
pub mod checker;
pub mod generator;
pub mod orchestrator;
pub mod plant;
pub mod random;
pub mod reader;
pub mod record;
mod record_id;
pub mod releases;
mod session;

pub use record_id::RecordId;
pub use session::{HistoryError, Producer, Session};
