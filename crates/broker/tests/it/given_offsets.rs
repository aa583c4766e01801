//! `farlog.offsets=given`: batches lie where their base offsets say.

// What cannot be unwrapped here has failed its test.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use farlog_broker::BrokerOptions;
use farlog_client::{Cluster, FetchOptions, TopicPartition};
use farlog_store::{Store, StoreOptions};
use farlog_testkit::scratch::Scratch;
use farlog_wire::ErrorCode;
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::records::{BatchWriter, Compression, ProducerStamp, batches, records};

use crate::fixture::{self, Running};

const TOPIC: &str = "mirror";
/// Names its topics, not their ids.
const PRODUCE_VERSION: i16 = 12;

/// A batch of so many records that is to begin at `base_offset`.
fn batch(base_offset: i64, count: i32, stamp: ProducerStamp, codec: Compression) -> Bytes {
    let mut writer = BatchWriter::new().compression(codec);
    for offset in base_offset..base_offset + i64::from(count) {
        writer.push(1_000 + offset, None, Some(&offset.to_be_bytes()), &[]);
    }
    let mut bytes = writer.finish(stamp).unwrap().to_bytes().to_vec();
    // Not under the checksum.
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes.into()
}

fn stamp(base_sequence: i32) -> ProducerStamp {
    ProducerStamp { producer_id: 7, producer_epoch: 0, base_sequence }
}

/// Where it was appended; else Kafka's code and the sentence.
async fn produce(cluster: &Cluster, bytes: Bytes) -> Result<i64, (ErrorCode, String)> {
    produce_to(TOPIC, cluster, bytes).await
}

async fn produce_to(
    topic: &str,
    cluster: &Cluster,
    bytes: Bytes,
) -> Result<i64, (ErrorCode, String)> {
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(bytes) }],
            ..TopicProduceData::default()
        }],
    };
    let connection = cluster.connection(1).await.unwrap();
    let answer = connection.send_version(&request, PRODUCE_VERSION).await.unwrap();
    let partition = &answer.responses[0].partition_responses[0];
    match partition.error_code {
        ErrorCode::NONE => Ok(partition.base_offset),
        code => Err((code, partition.error_message.clone().unwrap_or_default())),
    }
}

/// Offset and value of all records from an offset on.
async fn read(cluster: &Cluster, offset: i64) -> Vec<(i64, i64)> {
    let place = TopicPartition::new(TOPIC, 0);
    let fetched = cluster.fetch(&place, offset, &FetchOptions::default()).await.unwrap();
    let mut all = Vec::new();
    for batch in batches(fetched.records) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let batch = batch.decompressed(1 << 20).unwrap();
        for record in records(&batch).unwrap() {
            all.push((
                record.offset,
                i64::from_be_bytes(record.value.unwrap().try_into().unwrap()),
            ));
        }
    }
    all
}

async fn open(scratch: &Scratch) -> Running {
    let (store, found) = Store::open(StoreOptions::new(scratch.join("data"))).await.unwrap();
    let options = BrokerOptions {
        store,
        recovered: found.logs,
        ..BrokerOptions::in_memory(fixture::loopback())
    };
    fixture::start_with(options).await
}

#[tokio::test]
async fn batches_lie_where_they_are_told_to_and_gaps_stay() {
    let scratch = Scratch::new("given").unwrap();
    let broker = open(&scratch).await;
    broker.topic(TOPIC, 1, &[("farlog.offsets", "given")]).await;
    let cluster = broker.client().await;
    let none = Compression::None;
    assert_eq!(produce(&cluster, batch(1_000, 2, stamp(0), none)).await, Ok(1_000));
    assert_eq!(produce(&cluster, batch(1_005, 3, stamp(2), Compression::Zstd)).await, Ok(1_005));
    // Sent again: recognised by its sequence, before its place is looked at.
    assert_eq!(produce(&cluster, batch(1_005, 3, stamp(2), Compression::Zstd)).await, Ok(1_005));
    let (code, why) = produce(&cluster, batch(1_007, 1, stamp(5), none)).await.unwrap_err();
    assert_eq!(code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(why.contains("the log ends at 1008, the batch is to begin at 1007"), "{why}");
    assert_eq!(produce(&cluster, batch(1_008, 1, stamp(5), none)).await, Ok(1_008));

    let there = [1_000, 1_001, 1_005, 1_006, 1_007, 1_008].map(|offset| (offset, offset));
    assert_eq!(read(&cluster, 0).await, there, "from the gap before the first");
    assert_eq!(read(&cluster, 1_003).await, there[2..], "from a gap");
    broker.stop().await;

    let broker = open(&scratch).await;
    let cluster = broker.client().await;
    assert_eq!(read(&cluster, 0).await, there, "after a restart");
    let (code, why) = produce(&cluster, batch(1_008, 1, stamp(6), none)).await.unwrap_err();
    assert_eq!(code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(why.contains("the log ends at 1009"), "{why}");
    assert_eq!(produce(&cluster, batch(2_000, 1, stamp(6), none)).await, Ok(2_000));
    broker.stop().await;
}

#[tokio::test]
async fn what_a_compaction_left_is_taken_as_it_is() {
    let broker = fixture::start().await;
    broker.topic(TOPIC, 1, &[("farlog.offsets", "given")]).await;
    let cluster = broker.client().await;
    // Five offsets, of which two records are left.
    let mut writer = BatchWriter::new();
    writer.push(1_000, None, Some(b"a"), &[]);
    writer.push(1_001, None, Some(b"b"), &[]);
    let whole = writer.finish(stamp(0)).unwrap().to_bytes();
    let mut left = whole.to_vec();
    left[..8].copy_from_slice(&40_i64.to_be_bytes());
    left[23..27].copy_from_slice(&4_i32.to_be_bytes());
    let crc = crc32c::crc32c(&left[21..]);
    left[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(produce(&cluster, left.clone().into()).await, Ok(40));
    let place = TopicPartition::new(TOPIC, 0);
    let fetched = cluster.fetch(&place, 40, &FetchOptions::default()).await.unwrap();
    let batch = batches(fetched.records).next().unwrap().unwrap();
    assert_eq!((batch.header.next_offset(), batch.header.record_count), (45, 2));

    // Elsewhere it is what Kafka refuses.
    broker.topic("plain", 1, &[]).await;
    let (code, _) = produce_to("plain", &cluster, left.into()).await.unwrap_err();
    assert_eq!(code, ErrorCode::INVALID_RECORD);
    broker.stop().await;
}
