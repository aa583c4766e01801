//! Groups as they are listed and described.

use bytes::Bytes;

use super::classic::State;
use super::consumer::{ConsumerMember, Partitions};
use super::{Groups, Kind};

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupListing {
    pub(crate) group: String,
    /// Empty for a group that only keeps offsets.
    pub(crate) protocol_type: String,
    pub(crate) state: &'static str,
    /// `classic` or `consumer`.
    pub(crate) group_type: &'static str,
}

/// A classic group in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedClassic {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    /// Empty unless the group is stable.
    pub(crate) protocol: String,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Empty unless the group is stable.
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

/// A consumer group in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedConsumer {
    pub(crate) state: &'static str,
    pub(crate) epoch: i32,
    pub(crate) target_epoch: i32,
    pub(crate) assignor: &'static str,
    /// Each with its id and what it shall have.
    pub(crate) members: Vec<(String, ConsumerMember, Partitions)>,
}

impl Groups {
    /// All groups.
    pub(crate) fn list(&self) -> Vec<GroupListing> {
        let inner = self.lock();
        let listing = |(id, group): (&String, &super::Group)| match &group.kind {
            Kind::Classic(classic) => GroupListing {
                group: id.clone(),
                protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
                state: classic.state().name(),
                group_type: "classic",
            },
            Kind::Consumer(consumer) => GroupListing {
                group: id.clone(),
                protocol_type: "consumer".to_owned(),
                state: consumer.state_name(),
                group_type: "consumer",
            },
        };
        inner.groups.iter().map(listing).collect()
    }

    /// A consumer group in detail; `None` if there is no such group.
    pub(crate) fn describe_consumer(&self, id: &str) -> Option<DescribedConsumer> {
        let inner = self.lock();
        let Kind::Consumer(consumer) = &inner.groups.get(id)?.kind else { return None };
        let members = consumer.members().iter().map(|(member_id, member)| {
            let target = consumer.target_of(member_id);
            (member_id.clone(), member.clone(), target)
        });
        Some(DescribedConsumer {
            state: consumer.state_name(),
            epoch: consumer.epoch(),
            target_epoch: consumer.target_epoch(),
            assignor: consumer.assignor().name(),
            members: members.collect(),
        })
    }

    /// A classic group in detail; `None` if there is no such group.
    pub(crate) fn describe_classic(&self, id: &str) -> Option<DescribedClassic> {
        let inner = self.lock();
        let Kind::Classic(classic) = &inner.groups.get(id)?.kind else { return None };
        let is_stable = classic.state() == State::Stable;
        let protocol = classic.protocol().filter(|_| is_stable).unwrap_or_default();
        let members = classic.members().iter().map(|(member_id, member)| DescribedMember {
            member_id: member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        Some(DescribedClassic {
            state: classic.state().name(),
            protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
            protocol: protocol.to_owned(),
            members: members.collect(),
        })
    }
}
