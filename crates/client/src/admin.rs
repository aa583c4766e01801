//! Admin requests: thin typed functions on [`Cluster`](crate::Cluster), one file per area, with a
//! result for every item that was asked about.
//!
//! What has to go to the leader of a partition is sent to all leaders at once, and again while a
//! leader moves; what has to go to the controller follows the controller.

mod by_leader;
mod configs;
mod group_offsets;
mod groups;
mod offsets;
mod producers;
mod topics;

pub use configs::{
    ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ResourceType,
};
pub use group_offsets::CommittedOffset;
pub use groups::{GroupDescription, GroupListing, GroupMemberDescription};
pub use offsets::{EpochEnd, IsolationLevel, ListedOffset, OffsetSpec};
pub use producers::{ActiveProducer, AllocatedProducerId};
pub use topics::{CreatedTopic, NewTopic};
