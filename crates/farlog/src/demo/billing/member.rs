//! One member: joins, goes on where the group was, reads, commits, and gives its partitions up when
//! the group is shared out anew.

use std::collections::BTreeMap;
use std::time::Duration;

use farlog_client::admin::IsolationLevel;
use farlog_client::group::{Assignment, GroupEvent, GroupMember, GroupOptions};
use farlog_client::{Cluster, FetchOptions, TopicPartition};
use farlog_wire::ErrorCode;
use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::records::{batches, records};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::super::load::Event;
use super::super::{DemoError, shop};
use super::{GROUP, committed, subscription};

/// Commits by the names of topics.
const OFFSET_COMMIT: i16 = 8;

/// How often a member looks for records. It asks for all its partitions over one connection, so
/// no answer may wait for records.
const LOOK: Duration = Duration::from_millis(50);

const COMMIT_INTERVAL: Duration = Duration::from_millis(500);

/// A member hears soon that another one has come.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Member {
    cluster: Cluster,
    member: GroupMember,
    /// Of the group as it is shared out at present.
    joined: Option<Assignment>,
    places: BTreeMap<TopicPartition, Place>,
}

/// Offsets of the next record.
#[derive(Clone, Copy, Debug)]
struct Place {
    read: i64,
    committed: i64,
}

/// Whether a member goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The group is shared out anew.
    Again,
    /// The demo ends.
    Leave,
}

impl Member {
    pub(super) fn new(cluster: Cluster) -> Member {
        let options = GroupOptions {
            heartbeat_interval: HEARTBEAT_INTERVAL,
            ..GroupOptions::new(GROUP, "consumer", "range")
        };
        let member = GroupMember::new(cluster.clone(), options);
        Member { cluster, member, joined: None, places: BTreeMap::new() }
    }

    /// Works until told to leave.
    ///
    /// # Errors
    /// If the cluster fails it, or if a record is not the one that belongs there.
    pub(super) async fn run(mut self, mut leaving: watch::Receiver<bool>) -> Result<(), DemoError> {
        loop {
            tokio::select! {
                joined = self.join() => joined?,
                // An error means that nobody is left to tell us: the same.
                _ = leaving.wait_for(|leaving| *leaving) => break,
            }
            if self.work(&mut leaving).await? == Turn::Leave {
                break;
            }
        }
        self.member.leave().await.map_err(DemoError::doing(format!("cannot leave {GROUP}")))
    }

    async fn join(&mut self) -> Result<(), DemoError> {
        let what = format!("cannot join {GROUP}");
        let wanted = subscription::subscription(&shop::TOPICS).map_err(DemoError::doing(&what))?;
        self.joined = None;
        let joined =
            self.member.join(wanted, subscription::range).await.map_err(DemoError::doing(&what))?;
        let assigned =
            subscription::assigned(joined.assignment.clone()).map_err(DemoError::doing(&what))?;
        let known = committed(&self.cluster).await?;
        let place = |partition: TopicPartition| {
            let committed = known.get(&partition).copied().unwrap_or(0);
            (partition, Place { read: committed, committed })
        };
        self.places = assigned.into_iter().map(place).collect();
        self.joined = Some(joined);
        Ok(())
    }

    /// Reads and commits while the group stays as it is.
    async fn work(&mut self, leaving: &mut watch::Receiver<bool>) -> Result<Turn, DemoError> {
        let mut commit_at = Instant::now();
        loop {
            self.read().await?;
            if Instant::now() >= commit_at {
                if self.commit().await? == Committed::Refused {
                    return Ok(Turn::Again);
                }
                commit_at = Instant::now() + COMMIT_INTERVAL;
            }
            let turn = tokio::select! {
                () = sleep(LOOK) => continue,
                event = self.member.event() => match event {
                    GroupEvent::Rebalance => Turn::Again,
                    // What was read and not committed is read again, by whoever gets it.
                    GroupEvent::Lost(_) => return Ok(Turn::Again),
                },
                _ = leaving.wait_for(|leaving| *leaving) => Turn::Leave,
            };
            self.commit().await?;
            return Ok(turn);
        }
    }

    async fn read(&mut self) -> Result<(), DemoError> {
        let options = FetchOptions {
            isolation: IsolationLevel::ReadCommitted,
            max_wait: Duration::ZERO,
            ..FetchOptions::default()
        };
        for (partition, place) in &mut self.places {
            let what = format!("{GROUP} cannot read {partition}");
            let fetched = self.cluster.fetch(partition, place.read, &options).await;
            for batch in batches(fetched.map_err(DemoError::doing(&what))?.records) {
                let batch = batch.map_err(DemoError::doing(&what))?;
                for record in records(&batch).map_err(DemoError::doing(&what))? {
                    if record.offset >= place.read {
                        let event: Event = serde_json::from_slice(record.value.unwrap_or_default())
                            .map_err(DemoError::doing(&what))?;
                        event.belongs_at(partition, record.offset.unsigned_abs())?;
                        place.read = record.offset + 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Commits what was read since the last time.
    async fn commit(&mut self) -> Result<Committed, DemoError> {
        let what = format!("{GROUP} cannot commit");
        let news = self.places.iter().filter(|(_, place)| place.read > place.committed);
        let topics = news.map(|(partition, place)| OffsetCommitRequestTopic {
            name: partition.topic.to_string(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: place.read,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        });
        let topics: Vec<OffsetCommitRequestTopic> = topics.collect();
        let Some(joined) = self.joined.as_ref().filter(|_| !topics.is_empty()) else {
            return Ok(Committed::All);
        };
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: joined.generation_id,
            member_id: joined.member_id.clone(),
            retention_time_ms: -1,
            topics,
            ..OffsetCommitRequest::default()
        };
        let coordinator =
            self.cluster.group_coordinator(GROUP).await.map_err(DemoError::doing(&what))?;
        let response = coordinator
            .send_version(&request, OFFSET_COMMIT)
            .await
            .map_err(DemoError::doing(&what))?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let mut codes = partitions.map(|partition| partition.error_code);
        match codes.find(|code| *code != ErrorCode::NONE) {
            None => {}
            // The group has gone on; what is not committed is read again.
            Some(
                ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID,
            ) => return Ok(Committed::Refused),
            Some(code) => return Err(DemoError::doing(&what)(code)),
        }
        self.places.values_mut().for_each(|place| place.committed = place.read);
        Ok(Committed::All)
    }
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Committed {
    All,
    /// The group is being shared out anew, or has been.
    Refused,
}
