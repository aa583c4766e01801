//! Members of a classic group: one owner, hand-over, lost sessions.

use std::time::Duration;

use bytes::Bytes;
use farlog_client::group::{
    Assignment, Assignments, GroupError, GroupEvent, GroupMember, GroupOptions, JoinedMember,
};
use farlog_testkit::kafka::KafkaVersion;
use farlog_wire::ErrorCode;
use tokio::time::{Instant, timeout};

use crate::fixture::{connect, topic_name};

fn options(group: &str) -> GroupOptions {
    GroupOptions {
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(20),
        heartbeat_interval: Duration::from_millis(100),
        ..GroupOptions::new(group, "farlog", "owner")
    }
}

/// The first member by metadata owns everything.
fn first_owns(members: &[JoinedMember]) -> Assignments {
    let owner = members.iter().min_by(|one, other| one.metadata.cmp(&other.metadata)).unwrap();
    vec![(owner.member_id.clone(), Bytes::from_static(b"everything"))]
}

async fn join(member: &mut GroupMember, name: &'static str) -> Assignment {
    member.join(Bytes::from_static(name.as_bytes()), first_owns).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_hand_over() {
    for version in KafkaVersion::ALL {
        let cluster = connect(version).await;
        let group = topic_name("hand-over");
        let mut second = GroupMember::new(cluster.clone(), options(&group));
        let before = Instant::now();
        let alone = join(&mut second, "b").await;
        assert_eq!((&alone.assignment[..], alone.is_leader), (&b"everything"[..], true));
        let lease = second.lease();
        assert!(lease.valid_until().unwrap() >= before + Duration::from_secs(6));

        let mut first = GroupMember::new(cluster.clone(), options(&group));
        let (of_first, of_second) = tokio::join!(join(&mut first, "a"), async {
            assert!(matches!(second.event().await, GroupEvent::Rebalance));
            assert!(lease.is_valid(), "the session lives while the group is rebalanced");
            join(&mut second, "b").await
        });
        assert_eq!(of_first.generation_id, of_second.generation_id);
        assert_eq!(&of_first.assignment[..], b"everything");
        assert!(of_second.assignment.is_empty());

        let quiet = timeout(Duration::from_millis(500), second.event()).await;
        assert!(quiet.is_err(), "a settled group has no events");
        let described = cluster.describe_groups(std::slice::from_ref(&group)).await.unwrap();
        let described = described[&group].as_ref().unwrap();
        assert_eq!((&*described.state, described.members.len()), ("Stable", 2));
        let listed = cluster.list_groups().await.unwrap();
        assert!(listed.iter().any(|listed| listed.group_id == group));

        first.leave().await.unwrap();
        assert!(matches!(second.event().await, GroupEvent::Rebalance));
        assert_eq!(&join(&mut second, "b").await.assignment[..], b"everything");
        second.leave().await.unwrap();
        assert!(!lease.is_valid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_comes_back_without_a_rebalance() {
    let cluster = connect(KafkaVersion::V4_3).await;
    let group = topic_name("static");
    let options =
        |instance: &str| GroupOptions { instance_id: Some(instance.to_owned()), ..options(&group) };
    let mut one = GroupMember::new(cluster.clone(), options("one"));
    let before = join(&mut one, "a").await;
    let mut again = GroupMember::new(cluster.clone(), options("one"));
    let after = join(&mut again, "a").await;
    assert_eq!(after.assignment, before.assignment);
    let GroupEvent::Lost(GroupError::Refused(error)) = one.event().await else {
        panic!("the older one must be fenced");
    };
    assert_eq!(error.code, ErrorCode::FENCED_INSTANCE_ID);
    assert!(!one.lease().is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_member_learns_why() {
    let cluster = connect(KafkaVersion::V4_3).await;
    let group = topic_name("refused");
    let hasty = GroupOptions { session_timeout: Duration::from_millis(10), ..options(&group) };
    let mut member = GroupMember::new(cluster.clone(), hasty);
    assert!(matches!(member.event().await, GroupEvent::Lost(GroupError::NotJoined)));
    let error = member.join(Bytes::new(), first_owns).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("JoinGroup for group {group} with INVALID_SESSION")), "{text}");
    member.leave().await.unwrap();
}
