//! Which instance may write: a place in the link's group at the target, and how long it is good.
//!
//! The group has one assignment: the whole link, to one member. The others wait.

use std::time::Duration;

use bytes::Bytes;
use farlog_client::group::{Assignments, GroupOptions, JoinedMember, Lease as GroupLease};
use tokio::time::Instant;

/// Protocol type of the groups of links: members of other kinds are refused by Kafka.
const PROTOCOL_TYPE: &str = "farlog-link";
/// The format of metadata and assignments.
const PROTOCOL: &str = "one-owner-v1";
/// The assignment of the owner; the others' is empty.
const OWNER: &[u8] = b"owner";

/// The group of a link at its target.
pub(crate) fn group_id(link: &str) -> String {
    format!("__farlog-{link}")
}

/// How an instance takes part in the group.
pub(crate) fn group_options(
    link: &str,
    session_timeout: Duration,
    static_instance: Option<&str>,
) -> GroupOptions {
    GroupOptions {
        session_timeout,
        rebalance_timeout: session_timeout,
        heartbeat_interval: session_timeout / 4,
        instance_id: static_instance.map(str::to_owned),
        ..GroupOptions::new(group_id(link), PROTOCOL_TYPE, PROTOCOL)
    }
}

/// What a member tells when it joins: since which generation it owns the link, 0 if it does not.
pub(crate) fn metadata(owner_since: i32) -> Bytes {
    Bytes::copy_from_slice(&owner_since.to_be_bytes())
}

/// Gives the link to the member that owns it, or else to the first by member id.
pub(crate) fn assign(members: &[JoinedMember]) -> Assignments {
    let owner_since = |member: &JoinedMember| {
        let bytes: Option<[u8; 4]> = member.metadata.as_ref().try_into().ok();
        bytes.map_or(0, i32::from_be_bytes)
    };
    let owner = members.iter().min_by_key(|member| {
        // The newest owner wins over one that slept through a generation.
        (std::cmp::Reverse(owner_since(member)), member.member_id.clone())
    });
    owner.map(|member| (member.member_id.clone(), Bytes::from_static(OWNER))).into_iter().collect()
}

/// Whether an assignment is the owner's.
pub(crate) fn is_owner(assignment: &[u8]) -> bool {
    assignment == OWNER
}

/// The right to write, as long as it lasts.
///
/// While the target remembers our producer id, the sequence check keeps two writers apart, and the
/// lease only spares useless work. While it does not, the lease is what keeps them apart: the
/// group gives the link to nobody else before it has run out.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    group: GroupLease,
    /// Clocks of two machines run at slightly different speeds.
    margin: Duration,
    /// An instance that took the place of another one of its name at once waits for that one's
    /// lease to run out, if it has one.
    predecessor_until: Instant,
}

/// What the lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseVerdict {
    Granted,
    /// The instance before this one may still write.
    NotYet,
    Lost,
}

impl Lease {
    pub(crate) fn new(
        group: GroupLease,
        session_timeout: Duration,
        predecessor_until: Instant,
    ) -> Self {
        Self { group, margin: session_timeout / 10, predecessor_until }
    }

    /// The same, for an instance that has found out that there was none before it.
    pub(crate) fn without_predecessor(self) -> Self {
        Self { predecessor_until: Instant::now(), ..self }
    }

    /// Whether the instance before this one may still write where the target remembers its
    /// producer id.
    pub(crate) fn has_predecessor(&self) -> bool {
        Instant::now() < self.predecessor_until
    }

    /// Whether a batch may be sent now, given whether the target remembers our producer id.
    pub(crate) fn allows(&self, armed: bool) -> LeaseVerdict {
        let now = Instant::now();
        match self.group.valid_until() {
            Some(until) if now + self.margin < until => {}
            _ => return LeaseVerdict::Lost,
        }
        if !armed && self.has_predecessor() {
            return LeaseVerdict::NotYet;
        }
        LeaseVerdict::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, owner_since: i32) -> JoinedMember {
        JoinedMember {
            member_id: id.to_owned(),
            instance_id: None,
            metadata: metadata(owner_since),
        }
    }

    fn owner(members: &[JoinedMember]) -> String {
        let assignments = assign(members);
        assert_eq!(assignments.len(), 1);
        assert!(is_owner(&assignments[0].1));
        assignments[0].0.clone()
    }

    #[test]
    fn the_owner_keeps_the_link_when_another_instance_joins() {
        assert_eq!(owner(&[member("a", 0), member("b", 7)]), "b");
        assert_eq!(owner(&[member("b", 0), member("a", 0)]), "a");
        assert_eq!(owner(&[member("a", 3), member("b", 7)]), "b", "the newer owner");
        assert!(assign(&[]).is_empty());
    }
}
