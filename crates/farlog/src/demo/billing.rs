//! The consumer group `billing`: what the shop's own applications do at the source while its topics
//! are mirrored. Its members share the partitions by Kafka's classic protocol, check every record,
//! and commit how far they came.

mod member;
mod subscription;

use std::collections::BTreeMap;

use farlog_client::{Cluster, TopicPartition};
use farlog_wire::ErrorCode;
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tally::Tally;
use super::{DemoError, connect, shop};
use member::Member;

/// Its id.
pub(super) const GROUP: &str = "billing";

const MEMBERS: usize = 2;

/// The version that asks for groups by name, topics by name.
const OFFSET_FETCH: i16 = 9;

/// The group at work.
#[derive(Debug)]
pub(super) struct Billing {
    cluster: Cluster,
    members: JoinSet<()>,
    leaving: watch::Sender<bool>,
}

impl Billing {
    /// Starts its members; what they find wrong goes into the tally.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub(super) async fn start(bootstrap: &str, tally: &Tally) -> Result<Billing, DemoError> {
        let (leaving, told) = watch::channel(false);
        let mut members = JoinSet::new();
        for _ in 0..MEMBERS {
            // Each has connections of its own, as processes would.
            let member = Member::new(connect(bootstrap).await?);
            let (told, tally) = (told.clone(), tally.clone());
            members.spawn(async move {
                if let Err(failure) = member.run(told).await {
                    tally.failed(&failure);
                }
            });
        }
        Ok(Billing { cluster: connect(bootstrap).await?, members, leaving })
    }

    /// How many records the group has behind it, by the offsets that its coordinator knows.
    ///
    /// # Errors
    /// If the coordinator cannot be asked.
    pub(super) async fn committed(&self) -> Result<u64, DemoError> {
        let offsets = committed(&self.cluster).await?;
        // The topics are new: every offset is a record.
        Ok(offsets.into_values().map(i64::unsigned_abs).sum())
    }

    /// Its members commit and leave.
    pub(super) async fn leave(mut self) {
        self.leaving.send_replace(true);
        while self.members.join_next().await.is_some() {}
    }
}

/// What is committed of each partition.
async fn committed(cluster: &Cluster) -> Result<BTreeMap<TopicPartition, i64>, DemoError> {
    let what = format!("cannot ask for the offsets of {GROUP}");
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.to_owned(),
        topics: None,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    let coordinator = cluster.group_coordinator(GROUP).await.map_err(DemoError::doing(&what))?;
    let response =
        coordinator.send_version(&request, OFFSET_FETCH).await.map_err(DemoError::doing(&what))?;
    let mut offsets = BTreeMap::new();
    for group in response.groups {
        if group.error_code != ErrorCode::NONE {
            return Err(DemoError::doing(&what)(group.error_code));
        }
        for topic in group.topics.into_iter().filter(|topic| shop::has(&topic.name)) {
            for found in topic.partitions.into_iter().filter(|found| found.committed_offset >= 0) {
                let partition = TopicPartition::new(topic.name.as_str(), found.partition_index);
                offsets.insert(partition, found.committed_offset);
            }
        }
    }
    Ok(offsets)
}
