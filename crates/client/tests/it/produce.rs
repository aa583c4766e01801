//! Writing and reading back, one request at a time and in a pipeline.

use std::ops::ControlFlow;
use std::time::Duration;

use farlog_client::{
    Cluster, Connection, FetchOptions, PendingResponse, ProduceRequestBuilder, ProduceTopic,
    TopicPartition, TopicSelection,
};
use farlog_testkit::kafka::KafkaVersion;
use farlog_wire::ErrorCode;
use farlog_wire::messages::produce_request::ProduceRequest;
use farlog_wire::messages::produce_response::PartitionProduceResponse;
use farlog_wire::records::{OutgoingBatch, ProducerStamp, RawBatch, records};

use crate::fixture::{batch, connect, create_topic};

/// An id that no broker has allocated: the high bits are a tag.
const TAGGED: i64 = 0x4652_0001_0000_0007;

fn stamp(base_sequence: i32) -> ProducerStamp {
    ProducerStamp { producer_id: TAGGED, producer_epoch: 0, base_sequence }
}

async fn read_all(cluster: &Cluster, partition: &TopicPartition) -> (Vec<RawBatch>, i64) {
    let mut batches = Vec::new();
    let options = FetchOptions { max_bytes: 20_000, ..FetchOptions::default() };
    let end = cluster
        .read_to_end(partition, &options, |batch| {
            batches.push(batch);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    (batches, end)
}

fn numbers(batches: &[RawBatch]) -> Vec<i32> {
    batches
        .iter()
        .flat_map(|batch| records(batch).unwrap())
        .map(|record| std::str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_is_read_back() {
    for version in KafkaVersion::ALL {
        let cluster = connect(version).await;
        let topic = create_topic(&cluster, "round-trip", 2).await;
        let partition = TopicPartition::new(topic, 1);
        assert_eq!(read_all(&cluster, &partition).await.1, 0);
        for first in [0, 100, 200] {
            let outgoing = batch(first, 100, ProducerStamp::NONE);
            let appended = cluster.produce_batch(&partition, &outgoing).await.unwrap();
            assert_eq!(appended.base_offset, i64::from(first));
        }
        let (batches, end) = read_all(&cluster, &partition).await;
        assert_eq!((numbers(&batches), end), ((0..300).collect(), 300));
        let nowhere = TopicPartition::new("nowhere", 0);
        let error = cluster.produce_batch(&nowhere, &batch(0, 1, stamp(0))).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("nowhere-0 does not exist in cluster"), "{text}");
    }
}

struct Lane {
    connection: Connection,
    topic: ProduceTopic,
}

impl Lane {
    async fn new(cluster: &Cluster, topic: &str, with_id: bool) -> Lane {
        let metadata = cluster.metadata(&TopicSelection::one(topic)).await.unwrap();
        let described = metadata.topic(topic).unwrap();
        let id = described.topic_id.filter(|_| with_id);
        let leader = described.partitions[&0].leader.unwrap();
        let mut options = cluster.connection_options();
        options.socket.reset_on_close = true;
        options.socket.user_timeout = Some(Duration::from_secs(5));
        let connection = cluster.dial(leader, &options).await.unwrap();
        Lane { connection, topic: ProduceTopic { name: topic.into(), id } }
    }

    fn send(&self, outgoing: OutgoingBatch) -> PendingResponse<ProduceRequest> {
        let mut request = ProduceRequestBuilder::new(Duration::from_secs(10));
        request.insert(&self.topic, 0, outgoing).unwrap();
        self.connection.produce(request)
    }
}

async fn answer(pending: PendingResponse<ProduceRequest>) -> PartitionProduceResponse {
    let mut response = pending.await.unwrap();
    response.responses.remove(0).partition_responses.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tagged_id_is_pipelined_20_deep_and_a_gap_is_refused() {
    for (version, with_id) in
        [(KafkaVersion::V3_9, true), (KafkaVersion::V4_3, false), (KafkaVersion::V4_3, true)]
    {
        let cluster = connect(version).await;
        let topic = create_topic(&cluster, "pipelined", 1).await;
        let lane = Lane::new(&cluster, &topic, with_id).await;
        let pending: Vec<_> =
            (0..20).map(|index| lane.send(batch(index * 50, 50, stamp(index * 50)))).collect();
        let newest = if version == KafkaVersion::V4_3 && with_id { 13 } else { 12 };
        assert!(pending[0].version() <= newest && pending[0].version() >= newest - 1);
        for (index, pending) in (0..).zip(pending) {
            let answer = answer(pending).await;
            assert_eq!(answer.error_code, ErrorCode::NONE);
            assert_eq!(answer.base_offset, index * 50);
        }
        let after_gap = answer(lane.send(batch(2_000, 10, stamp(2_000)))).await;
        assert_eq!(after_gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let duplicate = answer(lane.send(batch(950, 50, stamp(950)))).await;
        assert_eq!((duplicate.error_code, duplicate.base_offset), (ErrorCode::NONE, 950));
        let partition = TopicPartition::new(topic, 0);
        let (batches, end) = read_all(&cluster, &partition).await;
        assert_eq!((numbers(&batches), end), ((0..1_000).collect(), 1_000));
        assert!(batches.iter().all(|batch| batch.header.producer_id == TAGGED));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_partitions_share_a_request() {
    let cluster = connect(KafkaVersion::V4_3).await;
    let topic = create_topic(&cluster, "shared", 3).await;
    let lane = Lane::new(&cluster, &topic, true).await;
    let mut request = ProduceRequestBuilder::new(Duration::from_secs(10));
    for partition in 0..3 {
        let outgoing = batch(partition * 10, 10, stamp(0));
        request.insert(&lane.topic, partition, outgoing).unwrap();
    }
    let response = lane.connection.produce(request).await.unwrap();
    let answers = &response.responses[0].partition_responses;
    let codes: Vec<ErrorCode> = answers.iter().map(|answer| answer.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE; 3]);
    for partition in 0..3 {
        let name = TopicPartition::new(topic.as_str(), partition);
        let (batches, _) = read_all(&cluster, &name).await;
        assert_eq!(numbers(&batches), (partition * 10..partition * 10 + 10).collect::<Vec<_>>());
    }
}
