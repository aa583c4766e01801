//! Groups follow the link: what they commit at the source is committed at the target, translated.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use farlog_client::admin::CommittedOffset;
use farlog_client::group::{Assignments, GroupMember, GroupOptions};
use farlog_client::{Cluster, TopicPartition};
use farlog_link::groups::{GroupSelection, Rewinds};
use farlog_link::status::{GroupsMode, LinkStatus};
use farlog_link::{LinkOptions, Start};
use farlog_wire::ErrorCode;
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use farlog_wire::records::Compression;
use tokio::time::{Instant, sleep};

use crate::fixture::{Pair, Running, create_topic, options, pair, produce, start, unique};
use crate::mirror::{NOW_MS, batch};

/// Nothing that a test waits for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn following(topic: &str) -> LinkOptions {
    LinkOptions { groups: Some(GroupSelection::everything()), ..options(topic) }
}

async fn commit(cluster: &Cluster, group: &str, topic: &str, offset: i64, metadata: &str) {
    let committed = CommittedOffset { offset, leader_epoch: None, metadata: metadata.to_owned() };
    let name = TopicPartition::new(topic, 0);
    let offsets = BTreeMap::from([(name.clone(), committed)]);
    let results = cluster.commit_group_offsets(group, &offsets).await.unwrap();
    results[&name].as_ref().unwrap();
}

async fn committed(cluster: &Cluster, group: &str, topic: &str) -> Option<CommittedOffset> {
    cluster.group_offsets(group).await.unwrap().remove(&TopicPartition::new(topic, 0))
}

/// Waits until the group has an offset at the target.
async fn arrives(pair: &Pair, link: &Running, group: &str, topic: &str, offset: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = committed(&pair.target, group, topic).await;
        if found.as_ref().is_some_and(|found| found.offset == offset) {
            return;
        }
        let status = link.handle.status().groups;
        assert!(Instant::now() < deadline, "{group}: {found:?}, not {offset}: {status:#?}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn create_and_fill(pair: &Pair, topic: &str, records: usize) {
    create_topic(&pair.source, topic, 1, &[("retention.ms", "-1")]).await;
    produce(&pair.source, topic, 0, &batch(Compression::None, 0, records, NOW_MS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_where_it_was_at_the_source() {
    let pair = pair().await;
    let topic = unique("follow");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 100).await;
    commit(&pair.source, &group, &topic, 100, "").await;
    // The mirror begins with the next record: its offsets are others.
    let link = start(&pair, LinkOptions { start: Start::Latest, ..following(&topic) });
    link.caught_up(&pair, &topic, 1).await;
    arrives(&pair, &link, &group, &topic, 0).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 100, 50, NOW_MS)).await;
    commit(&pair.source, &group, &topic, 130, "with a word").await;
    arrives(&pair, &link, &group, &topic, 30).await;
    let found = committed(&pair.target, &group, &topic).await.unwrap();
    assert_eq!(found.metadata, "with a word");
    assert_eq!(found.leader_epoch, None, "the source's leader epoch says nothing there");
    // Who goes back at the source wants to read again.
    commit(&pair.source, &group, &topic, 110, "").await;
    arrives(&pair, &link, &group, &topic, 10).await;
    link.kill().await;
    // What the instance before committed is known to be Farlog's.
    commit(&pair.source, &group, &topic, 150, "").await;
    let link = start(&pair, LinkOptions { start: Start::Latest, ..following(&topic) });
    arrives(&pair, &link, &group, &topic, 50).await;
    let status = link.until("following", follows).await.groups.unwrap();
    assert_eq!((status.foreign_total, status.trouble_total), (0, 0), "{status:#?}");
    link.stop().await;
}

fn follows(status: &LinkStatus) -> bool {
    status.groups.as_ref().is_some_and(|groups| groups.mode == GroupsMode::Following)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_beyond_the_mirror_waits_for_it() {
    let pair = pair().await;
    let topic = unique("ahead");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 10).await;
    let link = start(&pair, following(&topic));
    link.caught_up(&pair, &topic, 1).await;
    commit(&pair.source, &group, &topic, 40, "").await;
    // The end of the mirror in the end, since a consumer can resume there …
    arrives(&pair, &link, &group, &topic, 10).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 10, 20, NOW_MS)).await;
    arrives(&pair, &link, &group, &topic, 30).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 30, 20, NOW_MS)).await;
    // … and then where it is.
    arrives(&pair, &link, &group, &topic, 40).await;
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_committed_is_left_alone() {
    let pair = pair().await;
    let topic = unique("foreign");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 50).await;
    let link = start(&pair, following(&topic));
    link.caught_up(&pair, &topic, 1).await;
    commit(&pair.source, &group, &topic, 20, "").await;
    arrives(&pair, &link, &group, &topic, 20).await;
    commit(&pair.target, &group, &topic, 33, "mine").await;
    commit(&pair.source, &group, &topic, 25, "").await;
    let foreign = |status: &LinkStatus| {
        let groups = status.groups.as_ref();
        groups.is_some_and(|groups| groups.foreign.iter().any(|one| one.group == group))
    };
    let status = link.until("a foreign offset", foreign).await.groups.unwrap();
    let said = status.foreign.iter().find(|one| one.group == group).unwrap();
    assert_eq!((said.offset, said.source_partition.as_str()), (33, &*format!("{topic}-0")));
    link.kill().await;
    // Nor does another instance take it for Farlog's.
    let link = start(&pair, following(&topic));
    link.until("a foreign offset", foreign).await;
    let found = committed(&pair.target, &group, &topic).await.unwrap();
    assert_eq!((found.offset, found.metadata.as_str()), (33, "mine"));
    // Until it is again what Farlog committed.
    commit(&pair.target, &group, &topic, 20, "").await;
    commit(&pair.source, &group, &topic, 26, "").await;
    arrives(&pair, &link, &group, &topic, 26).await;
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_members_there_is_left_alone() {
    let pair = pair().await;
    let topic = unique("lives");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 50).await;
    let member_options = GroupOptions::new(group.clone(), "consumer", "range");
    let mut member = GroupMember::new(pair.target.clone(), member_options);
    let everything = |members: &[farlog_client::group::JoinedMember]| -> Assignments {
        members.iter().map(|one| (one.member_id.clone(), Bytes::new())).collect()
    };
    member.join(Bytes::new(), everything).await.unwrap();
    commit(&pair.source, &group, &topic, 20, "").await;
    let link = start(&pair, following(&topic));
    let lives = |status: &LinkStatus| {
        let groups = status.groups.as_ref();
        groups.is_some_and(|groups| groups.trouble.iter().any(|one| one.group == group))
    };
    let status = link.until("the group's members", lives).await.groups.unwrap();
    let said = status.trouble.iter().find(|one| one.group == group).unwrap();
    assert!(said.why.contains("members at the target"), "{}", said.why);
    assert!(!said.lives_in_both);
    assert_eq!(committed(&pair.target, &group, &topic).await, None);
    member.leave().await.unwrap();
    arrives(&pair, &link, &group, &topic, 20).await;
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rewinds_can_be_ignored() {
    let pair = pair().await;
    let topic = unique("rewinds");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 50).await;
    let selection = GroupSelection { rewinds: Rewinds::Ignore, ..GroupSelection::everything() };
    let link = start(&pair, LinkOptions { groups: Some(selection), ..following(&topic) });
    link.caught_up(&pair, &topic, 1).await;
    let (other, steady) = (format!("{topic}-other"), format!("{topic}-steady"));
    commit(&pair.source, &group, &topic, 40, "").await;
    arrives(&pair, &link, &group, &topic, 40).await;
    commit(&pair.source, &group, &topic, 20, "").await;
    // Commits of one group are taken in order; another one's coming after shows that nothing
    // keeps the first one's back.
    commit(&pair.source, &other, &topic, 5, "").await;
    commit(&pair.source, &steady, &topic, 6, "").await;
    arrives(&pair, &link, &other, &topic, 5).await;
    arrives(&pair, &link, &steady, &topic, 6).await;
    assert_eq!(committed(&pair.target, &group, &topic).await.unwrap().offset, 40);
    commit(&pair.source, &group, &topic, 45, "").await;
    arrives(&pair, &link, &group, &topic, 45).await;
    link.stop().await;
}

/// The kind of coordinator that transactions have.
const TRANSACTION: i8 = 1;

/// A producer that commits offsets in transactions.
struct Committer {
    id: String,
    producer_id: i64,
    epoch: i16,
}

impl Committer {
    async fn new(cluster: &Cluster, id: &str) -> Self {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let deadline = Instant::now() + PATIENCE;
        // There is but one broker; asked for, it makes its topic of transactions.
        let find = FindCoordinatorRequest {
            key: String::new(),
            key_type: TRANSACTION,
            coordinator_keys: vec![id.to_owned()],
        };
        loop {
            cluster.send_any(&find).await.unwrap();
            let answer = cluster.send_any(&request).await.unwrap();
            if answer.error_code == ErrorCode::NONE {
                let (producer_id, epoch) = (answer.producer_id, answer.producer_epoch);
                return Self { id: id.to_owned(), producer_id, epoch };
            }
            assert!(Instant::now() < deadline, "{}", answer.error_code);
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn commit(&self, cluster: &Cluster, group: &str, topic: &str, offset: i64) {
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset: offset,
            ..TxnOffsetCommitRequestPartition::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.to_owned(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: vec![partition],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = cluster.send_any(&request).await.unwrap();
            let code = answer.topics[0].partitions[0].error_code;
            if code == ErrorCode::NONE {
                return;
            }
            // The transaction before may still be writing its markers.
            assert!(code.is_retriable() && Instant::now() < deadline, "{code}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(&mut self, cluster: &Cluster, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        let answer = cluster.send_any(&request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        (self.producer_id, self.epoch) = (answer.producer_id, answer.producer_epoch);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_transactions_follow_when_they_are_committed() {
    let pair = pair().await;
    let topic = unique("transactional");
    let group = format!("{topic}-group");
    create_and_fill(&pair, &topic, 50).await;
    let link = start(&pair, following(&topic));
    link.caught_up(&pair, &topic, 1).await;
    commit(&pair.source, &group, &topic, 5, "").await;
    arrives(&pair, &link, &group, &topic, 5).await;
    let mut committer = Committer::new(&pair.source, &topic).await;
    committer.commit(&pair.source, &group, &topic, 20).await;
    committer.end(&pair.source, false).await;
    committer.commit(&pair.source, &group, &topic, 12).await;
    // What is committed beside an open transaction does not wait for it.
    let beside = format!("{group}-beside");
    commit(&pair.source, &beside, &topic, 7, "").await;
    arrives(&pair, &link, &beside, &topic, 7).await;
    assert_eq!(committed(&pair.target, &group, &topic).await.unwrap().offset, 5);
    committer.end(&pair.source, true).await;
    arrives(&pair, &link, &group, &topic, 12).await;
    link.stop().await;
}
