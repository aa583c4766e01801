//! A member of a group that must be able to join, commit and find its offsets after every kill.

use std::time::Duration;

use bytes::Bytes;
use farlog_client::group::{GroupMember, GroupOptions, JoinedMember};
use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use super::client::Client;
use crate::history::HistoryError;

/// The group, and the topic whose offsets it commits.
const GROUP: &str = "joined";

/// Commits by the names of topics.
const OFFSET_COMMIT: i16 = 8;

/// The least that a broker takes by default.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

#[derive(Debug)]
pub(super) struct Member {
    client: Client,
    member: GroupMember,
    committed: i64,
}

impl Member {
    pub(super) fn new(client: &Client) -> Member {
        let options = GroupOptions {
            session_timeout: SESSION_TIMEOUT,
            rebalance_timeout: SESSION_TIMEOUT,
            heartbeat_interval: Duration::from_secs(1),
            ..GroupOptions::new(GROUP, "test", "numbers")
        };
        let member = GroupMember::new(client.cluster().clone(), options);
        Member { client: client.clone(), member, committed: -1 }
    }

    /// Joins the group again, finds what was committed last, and commits something else.
    pub(super) async fn join_and_commit(&mut self, offset: i64) -> Result<(), HistoryError> {
        let all_to_each = |members: &[JoinedMember]| {
            members.iter().map(|one| (one.member_id.clone(), Bytes::from_static(b"all"))).collect()
        };
        let joined = self.member.join(Bytes::from_static(b"member"), all_to_each).await;
        let joined = joined.map_err(|error| HistoryError::Fixture {
            what: format!("joining {GROUP} for offset {offset}"),
            problem: error.to_string(),
        })?;
        let found = self.client.committed(GROUP, GROUP, 0).await?;
        if found != self.committed {
            let problem = format!("{found} is committed, {} was acknowledged", self.committed);
            return Err(HistoryError::Fixture { what: format!("group {GROUP}"), problem });
        }
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: joined.generation_id,
            member_id: joined.member_id,
            retention_time_ms: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: GROUP.to_owned(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let what = format!("committing {offset} in {GROUP}");
        let committed = self.client.ask(&what, &request, OFFSET_COMMIT, |answer| {
            let partition = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
            partition.map_or(farlog_wire::ErrorCode::NONE, |partition| partition.error_code)
        });
        committed.await?;
        self.committed = offset;
        Ok(())
    }
}
