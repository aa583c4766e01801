//! Classic groups whose log takes nothing: nobody is told what would be lost with the broker.

use bytes::Bytes;
use farlog_broker::BrokerOptions;
use farlog_store::{LogId, Store};
use farlog_wire::ErrorCode;
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use farlog_wire::messages::join_group_response::JoinGroupResponse;
use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use farlog_wire::messages::sync_group_response::SyncGroupResponse;

use crate::fixture::{Running, loopback, start_with};
use crate::peer::Peer;

/// A broker, and its store behind its back.
async fn start() -> (Running, Store) {
    let options = BrokerOptions::in_memory(loopback());
    let store = options.store.clone();
    (start_with(options).await, store)
}

/// The log of a group: `g` has its partition by Java's hash of its name.
async fn log_of_g(peer: &mut Peer) -> LogId {
    let name = Some("__consumer_offsets".to_owned());
    let topic = MetadataRequestTopic { name, ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let answer = peer.call(&request, 12).await.expect("an answer");
    let topic = &answer.topics[0];
    let partitions = i32::try_from(topic.partitions.len()).expect("some");
    LogId { topic: topic.topic_id.0, partition: i32::from(b'g') % partitions }
}

async fn join(peer: &mut Peer, member_id: &str) -> JoinGroupResponse {
    let request = JoinGroupRequest {
        group_id: "g".to_owned(),
        member_id: member_id.to_owned(),
        session_timeout_ms: 60_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"x"),
        }],
        ..JoinGroupRequest::default()
    };
    peer.call(&request, 3).await.expect("an answer")
}

async fn sync(peer: &mut Peer, member_id: &str, generation_id: i32) -> SyncGroupResponse {
    let assignment = Bytes::from_static(b"all of it");
    let request = SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id,
        member_id: member_id.to_owned(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member_id.to_owned(),
            assignment,
        }],
        ..SyncGroupRequest::default()
    };
    peer.call(&request, 3).await.expect("an answer")
}

async fn heartbeat(peer: &mut Peer, member_id: &str, generation_id: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id,
        member_id: member_id.to_owned(),
        ..HeartbeatRequest::default()
    };
    peer.call(&request, 3).await.expect("an answer").error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_take_is_no_groups_state() {
    let (broker, store) = start().await;
    let mut peer = Peer::new(broker.handle.address());
    let joined = join(&mut peer, "").await;
    let (member_id, generation) = (joined.member_id, joined.generation_id);
    let log = log_of_g(&mut peer).await;
    let end_offset = store.extent(log).expect("the log").end_offset;
    store.remove(log).await.expect("removed");
    let refused = sync(&mut peer, &member_id, generation).await;
    assert_eq!(refused.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert!(refused.assignment.is_empty());
    // Asked again it does not say what the log does not know…
    let refused = sync(&mut peer, &member_id, generation).await;
    assert_eq!(refused.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let told = heartbeat(&mut peer, &member_id, generation).await;
    assert_eq!(told, ErrorCode::REBALANCE_IN_PROGRESS);
    // … and when the log takes records again the group goes on.
    store.create(log, end_offset).await.expect("made");
    let joined = join(&mut peer, &member_id).await;
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, generation + 1));
    let assigned = sync(&mut peer, &member_id, generation + 1).await;
    assert_eq!(
        (assigned.error_code, &assigned.assignment[..]),
        (ErrorCode::NONE, &b"all of it"[..])
    );
    assert_eq!(heartbeat(&mut peer, &member_id, generation + 1).await, ErrorCode::NONE);
    assert!(store.extent(log).expect("the log").end_offset > end_offset, "it was written");
    broker.stop().await;
}
