//! The data plane: one-way flows of raw record batches from a source cluster to a target cluster.
//!
//! A mirror partition is a deterministic function of its source partition, and every batch is
//! appended by compare-and-swap on the sequence of a producer id that the link chose, so that no
//! record is mirrored twice or not at all. This crate knows nothing of runbooks, HTTP or people.
//! Its pure parts (`identity`, `offsets`, `position`, `pipeline`, `plan`, `preserve`, `topics`)
//! take values and return values. Start reading at `link`, then `partition`.

mod apply;
mod backoff;
pub mod clock;
pub mod groups;
pub mod identity;
pub mod limits;
mod link;
pub mod mm2;
mod observe;
pub mod offsets;
pub mod options;
mod ownership;
mod partition;
pub mod pipeline;
pub mod plan;
pub mod position;
pub mod preserve;
mod publish;
mod rate;
mod session;
mod source;
pub mod state;
pub mod status;
mod target;
mod topic_writer;
pub mod topics;
mod topology;

pub use clock::Clock;
pub use link::{Link, LinkError, LinkHandle};
pub use observe::{PlanError, plan_link};
pub use options::{LinkOptions, Offsets, OnSourceDataLoss, ProducerIds, Start};
pub use publish::STATUS_TOPIC;
