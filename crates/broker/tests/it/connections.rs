//! Connections as their clients see them: the order of answers, leaving, waiting for one's turn.

use std::path::Path;

use bytes::{BufMut, Bytes, BytesMut};
use farlog_broker::{BrokerOptions, BrokerSettings};
use farlog_store::{Store, StoreOptions};
use farlog_wire::frame::encode_request;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use farlog_wire::messages::list_groups_request::ListGroupsRequest;
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::records::{BatchWriter, ProducerStamp};
use farlog_wire::{ApiKey, Request};

use crate::fixture::{Running, loopback, start, start_with};
use crate::peer::{NoAnswer, Peer};

/// A request to append one record to `t-0`.
fn produce(value: &[u8]) -> ProduceRequest {
    let mut writer = BatchWriter::new();
    writer.push(0, None, Some(value), &[]);
    let records = writer.finish(ProducerStamp::NONE).expect("a batch").to_bytes();
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let topic = TopicProduceData {
        name: "t".to_owned(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..ProduceRequest::default()
    }
}

/// A fetch of `t-0` that waits for a minute if there is nothing from this offset on.
fn patient_fetch(fetch_offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset,
        partition_max_bytes: 1_000_000,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: "t".to_owned(), partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        max_bytes: 1_000_000,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

fn frame<R: Request>(request: &R, version: i16, correlation_id: i32) -> Bytes {
    encode_request(request, version, correlation_id, None).expect("a frame")
}

/// An ApiVersions request of a version that nobody knows.
fn versions_of_tomorrow(correlation_id: i32) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i16(i16::from(ApiKey::ApiVersions));
    body.put_i16(99);
    body.put_i32(correlation_id);
    body.put_i16(-1);
    body.put_u8(0);
    let mut frame = BytesMut::new();
    frame.put_u32(body.len() as u32);
    frame.put(body);
    frame.freeze()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_requests_whatever_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, found) = Store::open(StoreOptions::new(directory.path())).await.expect("a store");
    let options =
        BrokerOptions { store, recovered: found.logs, ..BrokerOptions::in_memory(loopback()) };
    let broker = start_with(options).await;
    broker.topic("t", 1, &[]).await;
    // All at once, so that the last is read while those before it wait for the disk.
    let mut bytes = BytesMut::new();
    for correlation_id in 1..=40 {
        bytes.put(frame(&produce(b"x"), 9, correlation_id));
    }
    bytes.put(versions_of_tomorrow(41));
    bytes.put(frame(&produce(b"x"), 9, 42));
    let mut peer = Peer::new(broker.handle.address());
    peer.send_bytes(&bytes).await.expect("written");
    for expected in 1..=42_i32 {
        let answer = peer.receive().await.expect("an answer");
        assert_eq!(answer[..4], expected.to_be_bytes());
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_a_request_waits_is_let_go_at_once() {
    let settings =
        BrokerSettings { group_initial_rebalance_delay_ms: 600_000, ..BrokerSettings::default() };
    let options = BrokerOptions { settings, ..BrokerOptions::in_memory(loopback()) };
    let broker = start_with(options).await;
    broker.topic("t", 1, &[]).await;
    let join = JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 60_000,
        rebalance_timeout_ms: 600_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"x"),
        }],
        ..JoinGroupRequest::default()
    };
    for request in [frame(&patient_fetch(0), 12, 1), frame(&join, 3, 1)] {
        let mut peer = Peer::new(broker.handle.address());
        peer.send_bytes(&request).await.expect("written");
        peer.leave().await;
        // The answer would come in a minute: whoever waited for it would hear nothing for so long.
        let closed = peer.receive().await;
        assert!(matches!(closed, Err(NoAnswer::Closed)), "{closed:?}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_ahead_while_a_request_waits_is_not_lost() {
    let broker = start().await;
    broker.topic("t", 1, &[]).await;
    let mut peer = Peer::new(broker.handle.address());
    let other = frame(&produce(b"x"), 9, 1);
    for (round, pieces) in (0..).zip([vec![2], vec![4], vec![2, 4, 12], vec![]]) {
        let next = versions_of_tomorrow(2);
        peer.send_bytes(&frame(&patient_fetch(round), 12, 1)).await.expect("written");
        let mut sent = 0;
        for end in pieces {
            peer.send_bytes(&next[sent..end.min(next.len())]).await.expect("written");
            sent = end.min(next.len());
        }
        let mut producer = Peer::new(broker.handle.address());
        producer.send_bytes(&other).await.expect("written");
        producer.receive().await.expect("an answer");
        peer.send_bytes(&next[sent..]).await.expect("written");
        for expected in 1..=2_i32 {
            let answer = peer.receive().await.expect("an answer");
            assert_eq!(answer[..4], expected.to_be_bytes());
        }
    }
    broker.stop().await;
}

/// A broker on disk whose requests may have a megabyte together, with the topic `t`.
async fn start_with_a_megabyte(directory: &Path) -> Running {
    let (store, found) = Store::open(StoreOptions::new(directory)).await.expect("a store");
    let settings =
        BrokerSettings { queued_max_request_bytes: 1_000_000, ..BrokerSettings::default() };
    let options = BrokerOptions {
        store,
        recovered: found.logs,
        settings,
        ..BrokerOptions::in_memory(loopback())
    };
    let broker = start_with(options).await;
    broker.topic("t", 1, &[("max.message.bytes", "4000000")]).await;
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_take_turns_and_all_are_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = start_with_a_megabyte(directory.path()).await;
    let address = broker.handle.address();
    // Who waits for records that are still to come has no place.
    let mut readers: Vec<Peer> = (0..20).map(|_| Peer::new(address)).collect();
    for reader in &mut readers {
        reader.send_bytes(&frame(&patient_fetch(0), 12, 1)).await.expect("written");
    }
    // Together 26 MB, some of them larger than all that there is.
    let producers = (0..8).map(|number| {
        let sizes = [400_000, 900_000, 600_000, 1_400_000, 10];
        let frames: Vec<Bytes> = (1..)
            .zip(sizes)
            .map(|(correlation_id, size)| frame(&produce(&vec![number; size]), 9, correlation_id))
            .collect();
        tokio::spawn(async move {
            let mut peer = Peer::new(address);
            peer.send_bytes(&frames.concat()).await.expect("written");
            for expected in 1..=5_i32 {
                let answer = peer.receive().await.expect("an answer");
                assert_eq!(answer[..4], expected.to_be_bytes());
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.expect("all are answered");
    }
    for reader in &mut readers {
        reader.receive().await.expect("records");
    }
    let mut peer = Peer::new(address);
    let asked = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t".to_owned(), partitions: vec![asked] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = peer.call(&request, 7).await.expect("an answer");
    assert_eq!(answer.topics[0].partitions[0].offset, 40, "each record once");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_stands_still_gives_its_place_to_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = start_with_a_megabyte(directory.path()).await;
    let address = broker.handle.address();
    let mut silent = Peer::new(address);
    // All the memory there is, for nothing.
    silent
        .send_bytes(&[&5_000_000_u32.to_be_bytes()[..], b"beginning"].concat())
        .await
        .expect("sent");
    let others = tokio::spawn(async move {
        let mut peer = Peer::new(address);
        loop {
            peer.call(&ListGroupsRequest::default(), 4).await.expect("an answer");
        }
    });
    let closed = silent.receive().await;
    assert!(matches!(closed, Err(NoAnswer::Closed)), "{closed:?}");
    assert!(!others.is_finished(), "the others are served");
    others.abort();
    let mut peer = Peer::new(address);
    peer.call(&ListGroupsRequest::default(), 4).await.expect("an answer");
    broker.stop().await;
}
