//! Transactions, request by request: what each is answered, and what readers see.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use farlog_broker::{BrokerOptions, Clock};
use farlog_client::admin::{IsolationLevel, OffsetSpec};
use farlog_client::{Cluster, TopicPartition, TopicSelection};
use farlog_store::{Batch, LogId, RecoveredLog, Store};
use farlog_wire::ErrorCode;
use farlog_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use farlog_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use farlog_wire::messages::end_txn_request::EndTxnRequest;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::fetch_response::PartitionData;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::list_transactions_request::ListTransactionsRequest;
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use farlog_wire::records::{BatchWriter, ProducerStamp, RawBatch, batches};

use crate::fixture::{Running, loopback, start, start_with};

const COMMITTED: i8 = 1;
const UNCOMMITTED: i8 = 0;

/// The protocol before KIP-890: partitions are added first, and epochs stay.
const BEFORE: Spoken = Spoken { produce: 11, end: 4 };
/// With KIP-890: the batch adds its partition, and every end raises the epoch.
pub(crate) const SINCE: Spoken = Spoken { produce: 12, end: 5 };

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoken {
    produce: i16,
    end: i16,
}

/// A transactional producer that does as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    cluster: Cluster,
    transactional_id: String,
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Producer {
    pub(crate) async fn begin(cluster: &Cluster, transactional_id: &str, timeout_ms: i32) -> Self {
        loop {
            match Self::try_begin(cluster, transactional_id, timeout_ms).await {
                Ok(producer) => return producer,
                Err(code) => assert_eq!(code, ErrorCode::CONCURRENT_TRANSACTIONS),
            }
        }
    }

    async fn try_begin(
        cluster: &Cluster,
        transactional_id: &str,
        timeout_ms: i32,
    ) -> Result<Self, ErrorCode> {
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            transaction_timeout_ms: timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
        };
        let answer = cluster.send_any(&request).await.expect("an answer");
        let cluster = cluster.clone();
        let transactional_id = transactional_id.to_owned();
        let (id, epoch) = (answer.producer_id, answer.producer_epoch);
        match answer.error_code {
            ErrorCode::NONE => Ok(Self { cluster, transactional_id, id, epoch, sequence: 0 }),
            code => Err(code),
        }
    }

    async fn add(&self, topic: &str, partitions: &[i32]) -> ErrorCode {
        let connection = self.cluster.connection(1).await.expect("the broker");
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.clone(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: topic.to_owned(),
                partitions: partitions.to_vec(),
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = connection.send_version(&request, 3).await.expect("an answer");
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    pub(crate) async fn send(
        &mut self,
        topic: &str,
        index: i32,
        spoken: Spoken,
    ) -> Result<i64, ErrorCode> {
        let mut writer = BatchWriter::new().transactional();
        writer.push(1_000, None, Some(b"value"), &[]);
        let stamp = ProducerStamp {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: self.sequence,
        };
        let batch = writer.finish(stamp).expect("a batch");
        let request = ProduceRequest {
            transactional_id: Some(self.transactional_id.clone()),
            acks: -1,
            timeout_ms: 1_000,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: vec![PartitionProduceData {
                    index,
                    records: Some(batch.to_bytes()),
                }],
                ..TopicProduceData::default()
            }],
        };
        let connection = self.cluster.connection(1).await.expect("the broker");
        let answer = connection.send_version(&request, spoken.produce).await.expect("an answer");
        let partition = &answer.responses[0].partition_responses[0];
        match partition.error_code {
            ErrorCode::NONE => {
                self.sequence += 1;
                Ok(partition.base_offset)
            }
            code => Err(code),
        }
    }

    pub(crate) async fn end(&mut self, committed: bool, spoken: Spoken) -> Result<(), ErrorCode> {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        let connection = self.cluster.connection(1).await.expect("the broker");
        let answer = connection.send_version(&request, spoken.end).await.expect("an answer");
        if answer.error_code != ErrorCode::NONE {
            return Err(answer.error_code);
        }
        if spoken.end >= SINCE.end {
            (self.id, self.epoch, self.sequence) = (answer.producer_id, answer.producer_epoch, 0);
        }
        Ok(())
    }
}

/// One fetch from the first partition; waits for up to half a minute if there is nothing.
async fn fetch(cluster: &Cluster, topic: &str, offset: i64, isolation: i8) -> PartitionData {
    fetch_waiting(cluster, topic, offset, isolation, 30_000).await
}

async fn fetch_waiting(
    cluster: &Cluster,
    topic: &str,
    offset: i64,
    isolation_level: i8,
    max_wait_ms: i32,
) -> PartitionData {
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        isolation_level,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                partition: 0,
                fetch_offset: offset,
                partition_max_bytes: i32::MAX,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let connection = cluster.connection(1).await.expect("the broker");
    let mut answer = connection.send_version(&request, 12).await.expect("an answer");
    answer.responses[0].partitions.remove(0)
}

fn read(data: &PartitionData) -> Vec<RawBatch> {
    let records = data.records.clone().unwrap_or_default();
    batches(records).map(|batch| batch.expect("a whole batch")).collect()
}

/// Offsets of data batches that a committed reader delivers.
fn delivered(data: &PartitionData) -> Vec<i64> {
    let aborted = data.aborted_transactions.clone().unwrap_or_default();
    let mut offsets = Vec::new();
    let mut open_aborts: Vec<i64> = Vec::new();
    for batch in read(data) {
        let header = batch.header;
        let begins = |one: &&farlog_wire::messages::fetch_response::AbortedTransaction| {
            one.producer_id == header.producer_id && one.first_offset == header.base_offset
        };
        if header.attributes.is_control() {
            open_aborts.retain(|&id| id != header.producer_id);
            continue;
        }
        open_aborts.extend(aborted.iter().find(begins).map(|one| one.producer_id));
        if !open_aborts.contains(&header.producer_id) {
            offsets.push(header.base_offset);
        }
    }
    offsets
}

pub(crate) async fn state(cluster: &Cluster, id: &str) -> String {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    let answer = cluster.send_any(&request).await.expect("an answer");
    let state = &answer.transaction_states[0];
    match state.error_code {
        ErrorCode::NONE => state.transaction_state.clone(),
        code => code.name().to_owned(),
    }
}

async fn wait_for_state(cluster: &Cluster, id: &str, wanted: &str) {
    while state(cluster, id).await != wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_readers_see_what_was_committed_when_it_was() {
    for spoken in [BEFORE, SINCE] {
        let broker = start().await;
        broker.topic("t", 1, &[]).await;
        let cluster = broker.client().await;
        let mut producer = Producer::begin(&cluster, "one", 60_000).await;
        assert_eq!(state(&cluster, "one").await, "Empty");
        if spoken.produce < SINCE.produce {
            let refused = producer.send("t", 0, spoken).await;
            assert_eq!(refused, Err(ErrorCode::TRANSACTION_ABORTABLE), "not added");
            assert_eq!(producer.add("t", &[0]).await, ErrorCode::NONE);
        }
        assert_eq!(producer.send("t", 0, spoken).await, Ok(0));
        assert_eq!(producer.send("t", 0, spoken).await, Ok(1));
        assert_eq!(state(&cluster, "one").await, "Ongoing");
        let seen = fetch_waiting(&cluster, "t", 0, COMMITTED, 0).await;
        assert_eq!((seen.last_stable_offset, seen.high_watermark), (0, 2));
        assert_eq!(read(&seen).len(), 0);
        assert_eq!(read(&fetch(&cluster, "t", 0, UNCOMMITTED).await).len(), 2);
        producer.end(true, spoken).await.expect("committed");
        assert_eq!(state(&cluster, "one").await, "CompleteCommit");
        let seen = fetch(&cluster, "t", 0, COMMITTED).await;
        assert_eq!((seen.last_stable_offset, delivered(&seen)), (3, vec![0, 1]));
        // The next one is aborted.
        if spoken.produce < SINCE.produce {
            assert_eq!(producer.add("t", &[0]).await, ErrorCode::NONE);
        }
        assert_eq!(producer.send("t", 0, spoken).await, Ok(3));
        producer.end(false, spoken).await.expect("aborted");
        assert_eq!(state(&cluster, "one").await, "CompleteAbort");
        let seen = fetch(&cluster, "t", 0, COMMITTED).await;
        assert_eq!((seen.last_stable_offset, delivered(&seen)), (5, vec![0, 1]));
        let aborted = seen.aborted_transactions.expect("a list for committed readers");
        assert_eq!((aborted.len(), aborted[0].first_offset), (1, 3));
        assert_eq!(producer.epoch, if spoken.end < SINCE.end { 0 } else { 2 });
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_of_two_producers_fences_the_older() {
    for spoken in [BEFORE, SINCE] {
        let broker = start().await;
        broker.topic("t", 1, &[]).await;
        let cluster = broker.client().await;
        let mut older = Producer::begin(&cluster, "both", 60_000).await;
        assert_eq!(older.add("t", &[0]).await, ErrorCode::NONE);
        assert_eq!(older.send("t", 0, spoken).await, Ok(0));
        let first = Producer::try_begin(&cluster, "both", 60_000).await;
        assert_eq!(first.unwrap_err(), ErrorCode::CONCURRENT_TRANSACTIONS, "it is aborted first");
        let mut newer = Producer::begin(&cluster, "both", 60_000).await;
        assert_eq!((newer.id, newer.epoch), (older.id, 2));
        assert_eq!(older.send("t", 0, spoken).await, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(older.add("t", &[0]).await, ErrorCode::PRODUCER_FENCED);
        assert_eq!(older.end(true, spoken).await, Err(ErrorCode::PRODUCER_FENCED));
        assert_eq!(newer.add("t", &[0]).await, ErrorCode::NONE);
        assert_eq!(newer.send("t", 0, spoken).await, Ok(2));
        newer.end(true, spoken).await.expect("committed");
        assert_eq!(delivered(&fetch(&cluster, "t", 0, COMMITTED).await), [2]);
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_timeout_is_aborted() {
    let now_ms = Arc::new(AtomicI64::new(1_000));
    let clock = Arc::clone(&now_ms);
    let mut options = BrokerOptions::in_memory(loopback());
    options.clock = Clock::from_fn(move || clock.load(Ordering::Relaxed));
    options.settings.transaction_abort_timed_out_interval_ms = 1;
    let broker = start_with(options).await;
    broker.topic("t", 1, &[]).await;
    let cluster = broker.client().await;
    let mut slow = Producer::begin(&cluster, "slow", 5_000).await;
    assert_eq!(slow.send("t", 0, SINCE).await, Ok(0));
    now_ms.store(6_001, Ordering::Relaxed);
    // The answer comes when the marker does.
    let seen = fetch(&cluster, "t", 0, COMMITTED).await;
    assert_eq!((delivered(&seen), read(&seen).len()), (vec![], 2));
    wait_for_state(&cluster, "slow", "CompleteAbort").await;
    assert_eq!(slow.send("t", 0, SINCE).await, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    let commit = slow.end(true, SINCE).await;
    assert_eq!(commit, Err(ErrorCode::INVALID_TXN_STATE), "it is not what was done");
    // An id that nobody uses is forgotten after a week.
    now_ms.store(8 * 24 * 3_600_000, Ordering::Relaxed);
    wait_for_state(&cluster, "slow", "TRANSACTIONAL_ID_NOT_FOUND").await;
    let too_long = Producer::try_begin(&cluster, "slow", 900_001).await;
    assert_eq!(too_long.unwrap_err(), ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_late_does_not_open_a_transaction_again() {
    for spoken in [BEFORE, SINCE] {
        let broker = start().await;
        broker.topic("t", 1, &[]).await;
        let cluster = broker.client().await;
        let mut producer = Producer::begin(&cluster, "late", 60_000).await;
        assert_eq!(producer.add("t", &[0]).await, ErrorCode::NONE);
        assert_eq!(producer.send("t", 0, spoken).await, Ok(0));
        let mut late = producer.clone();
        producer.end(true, spoken).await.expect("committed");
        let code = match spoken.end < SINCE.end {
            true => ErrorCode::TRANSACTION_ABORTABLE,
            false => ErrorCode::INVALID_PRODUCER_EPOCH,
        };
        assert_eq!(late.send("t", 0, spoken).await, Err(code));
        let older = Spoken { produce: 10, ..spoken };
        let code = if spoken.end < SINCE.end { ErrorCode::INVALID_TXN_STATE } else { code };
        assert_eq!(late.send("t", 0, older).await, Err(code));
        let seen = fetch(&cluster, "t", 0, COMMITTED).await;
        assert_eq!((seen.last_stable_offset, seen.high_watermark), (2, 2));
        let mut unknown = Producer { transactional_id: "other".to_owned(), ..producer };
        let code = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(unknown.send("t", 0, spoken).await, Err(code));
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_while_a_transaction_ends_leaves_nothing_open() {
    const PARTITIONS: i32 = 4;
    let broker = start().await;
    broker.topic("t", PARTITIONS, &[]).await;
    let cluster = broker.client().await;
    let mut others = Vec::new();
    for _ in 0..PARTITIONS {
        others.push(broker.client().await);
    }
    let partitions = (0..PARTITIONS).map(|index| TopicPartition::new("t", index));
    let partitions: Vec<TopicPartition> = partitions.collect();
    let ends = async |isolation| {
        let asked = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest));
        let ends = cluster.list_offsets(isolation, asked).await;
        ends.into_values().map(|end| end.expect("an answer").offset).collect::<Vec<_>>()
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..100 {
        let spoken = if round % 2 == 0 { BEFORE } else { SINCE };
        let mut producer = Producer::begin(&cluster, "race", 60_000).await;
        assert_eq!(producer.add("t", &[0, 1]).await, ErrorCode::NONE);
        // All at once, each on a connection of its own.
        let sending = others.iter().zip(0..).map(|(other, index)| {
            let mut sender = Producer { cluster: other.clone(), ..producer.clone() };
            tokio::spawn(async move { sender.send("t", index, spoken).await })
        });
        let sending: Vec<_> = sending.collect();
        producer.end(round % 3 == 0, spoken).await.expect("it was open");
        for sent in sending {
            match sent.await.expect("no panic") {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
        let stable = ends(IsolationLevel::ReadCommitted).await;
        assert_eq!(stable, ends(IsolationLevel::ReadUncommitted).await, "after {round} rounds");
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused: no race was run");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_has_all_its_partitions_or_none() {
    let broker = start().await;
    broker.topic("t", 2, &[]).await;
    let cluster = broker.client().await;
    let producer = Producer::begin(&cluster, "all", 60_000).await;
    assert_eq!(producer.add("t", &[0, 2]).await, ErrorCode::OPERATION_NOT_ATTEMPTED);
    assert_eq!(producer.add("t", &[2, 0]).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let internal = producer.add("__transaction_state", &[0]).await;
    assert_eq!(internal, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(state(&cluster, "all").await, "Empty");
    assert_eq!(producer.add("t", &[0, 1]).await, ErrorCode::NONE);
    let request = DescribeTransactionsRequest { transactional_ids: vec!["all".to_owned()] };
    let answer = cluster.send_any(&request).await.expect("an answer");
    let described = &answer.transaction_states[0];
    assert_eq!(described.topics[0].partitions, [0, 1]);
    assert_eq!(described.transaction_timeout_ms, 60_000);
    let list = |state: &str| ListTransactionsRequest {
        state_filters: vec![state.to_owned()],
        duration_filter: -1,
        ..ListTransactionsRequest::default()
    };
    let connection = cluster.connection(1).await.expect("the broker");
    let listed = connection.send_version(&list("Ongoing"), 1).await.expect("an answer");
    assert_eq!(listed.transaction_states.len(), 1);
    let listed = connection.send_version(&list("Empty"), 1).await.expect("an answer");
    assert_eq!(listed.transaction_states.len(), 0);
    let listed = connection.send_version(&list("Odd"), 1).await.expect("an answer");
    assert_eq!(listed.unknown_state_filters, ["Odd"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_can_be_asked_for() {
    let broker = start().await;
    broker.topic("t", 1, &[]).await;
    let cluster = broker.client().await;
    let mut producer = Producer::begin(&cluster, "marked", 60_000).await;
    assert_eq!(producer.send("t", 0, SINCE).await, Ok(0));
    let marker = |coordinator_epoch, producer_epoch, partition| WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: producer.id,
            producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: "t".to_owned(),
                partition_indexes: vec![partition],
            }],
            coordinator_epoch,
            ..WritableTxnMarker::default()
        }],
    };
    for (coordinator_epoch, epoch, partition, code) in [
        (5, 0, 1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (5, 0, 0, ErrorCode::NONE),
        (4, 0, 0, ErrorCode::TRANSACTION_COORDINATOR_FENCED),
        (5, -1, 0, ErrorCode::INVALID_PRODUCER_EPOCH),
    ] {
        let request = marker(coordinator_epoch, epoch, partition);
        let answer = cluster.send_any(&request).await.expect("an answer");
        assert_eq!(answer.markers[0].topics[0].partitions[0].error_code, code);
    }
    let seen = fetch(&cluster, "t", 0, COMMITTED).await;
    assert_eq!((seen.last_stable_offset, delivered(&seen)), (2, vec![]));
    broker.stop().await;
}

/// Gives the log start away up to an offset.
async fn delete_before(cluster: &Cluster, topic: &str, offset: i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.to_owned(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset }],
        }],
        timeout_ms: 1_000,
    };
    let answer = cluster.send_any(&request).await.expect("an answer");
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_leaves_aborted_transactions_that_are_still_there() {
    let broker = start().await;
    broker.topic("t", 1, &[]).await;
    let cluster = broker.client().await;
    let mut producer = Producer::begin(&cluster, "kept", 60_000).await;
    // Aborted: 0 and 1, marker 2; 3 and 4, marker 5; committed: 6, marker 7.
    for _ in 0..2 {
        producer.send("t", 0, SINCE).await.expect("taken");
        producer.send("t", 0, SINCE).await.expect("taken");
        producer.end(false, SINCE).await.expect("aborted");
    }
    producer.send("t", 0, SINCE).await.expect("taken");
    producer.end(true, SINCE).await.expect("committed");
    delete_before(&cluster, "t", 4).await;
    let seen = fetch(&cluster, "t", 4, COMMITTED).await;
    let aborted = seen.aborted_transactions.clone().expect("a list");
    assert_eq!(aborted.iter().map(|one| one.first_offset).collect::<Vec<_>>(), [3]);
    assert_eq!(seen.log_start_offset, 4);
    delete_before(&cluster, "t", 6).await;
    let seen = fetch(&cluster, "t", 6, COMMITTED).await;
    assert_eq!(seen.aborted_transactions.clone(), Some(vec![]));
    assert_eq!(delivered(&seen), [6]);
    broker.stop().await;
}

/// What a broker finds of the logs of topics when it opens a store again.
async fn recovered(broker: &Running, store: &Store) -> Vec<RecoveredLog> {
    let cluster = broker.client().await;
    let metadata = cluster.metadata(&TopicSelection::All).await.expect("an answer");
    let mut logs = Vec::new();
    for topic in metadata.topics.values() {
        let topic_id = topic.topic_id.expect("topics have ids");
        for partition in 0.. {
            let id = LogId { topic: topic_id.0, partition };
            let Some(extent) = store.extent(id) else { break };
            let (start_offset, end_offset) = (extent.start_offset, extent.end_offset);
            logs.push(RecoveredLog { id, start_offset, end_offset, checkpoint: None });
        }
    }
    logs
}

/// Appends, as a coordinator would have before it died, that the one open transaction is to be
/// committed: its last record with another status.
async fn prepare_commit(store: &Store, logs: &mut [RecoveredLog], topic: [u8; 16]) {
    const STATUS_AT: usize = 16;
    const PREPARE_COMMIT: u8 = 2;
    let state = logs.iter_mut().filter(|log| log.id.topic == topic);
    let log = state.into_iter().find(|log| log.end_offset > 0).expect("the id is somewhere");
    let all = store.read(log.id, 0, usize::MAX, true).await.expect("it reads");
    let last = batches(all).last().expect("a batch").expect("a whole one");
    let record = last.records().expect("records").next().expect("one").expect("a whole one");
    let mut value = record.value.expect("a value").to_vec();
    assert_eq!(value[STATUS_AT], 1, "it is ongoing");
    value[STATUS_AT] = PREPARE_COMMIT;
    let mut writer = BatchWriter::new();
    writer.push(record.timestamp, record.key, Some(&value), &[]);
    let mut bytes = writer.finish_unsequenced().expect("a batch").to_bytes().to_vec();
    bytes[..8].copy_from_slice(&log.end_offset.to_be_bytes());
    let batch = Batch {
        base_offset: log.end_offset,
        next_offset: log.end_offset + 1,
        max_timestamp_ms: record.timestamp,
        bytes: Bytes::from(bytes),
    };
    store.append(log.id, batch).expect("taken").await.expect("durable");
    log.end_offset += 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_starts_again_goes_on_with_what_was_open_and_ends_what_was_prepared() {
    for is_prepared in [false, true] {
        let store = Store::in_memory();
        let options = |recovered| BrokerOptions {
            store: store.clone(),
            recovered,
            ..BrokerOptions::in_memory(loopback())
        };
        let broker = start_with(options(Vec::new())).await;
        broker.topic("t", 2, &[]).await;
        let cluster = broker.client().await;
        let mut producer = Producer::begin(&cluster, "again", 60_000).await;
        assert_eq!(producer.add("t", &[0, 1]).await, ErrorCode::NONE);
        assert_eq!(producer.send("t", 0, BEFORE).await, Ok(0));
        let mut logs = recovered(&broker, &store).await;
        let state_topic = TopicSelection::one("__transaction_state");
        let metadata = cluster.metadata(&state_topic).await.expect("an answer");
        let state_topic = metadata.topic("__transaction_state").expect("it is there");
        let state_id = state_topic.topic_id.expect("topics have ids").0;
        broker.stop().await;
        if is_prepared {
            prepare_commit(&store, &mut logs, state_id).await;
        }
        let broker = start_with(options(logs)).await;
        let cluster = broker.client().await;
        producer.cluster = cluster.clone();
        if is_prepared {
            let seen = fetch(&cluster, "t", 0, COMMITTED).await;
            assert_eq!((delivered(&seen), seen.last_stable_offset), (vec![0], 2));
            wait_for_state(&cluster, "again", "CompleteCommit").await;
        } else {
            assert_eq!(state(&cluster, "again").await, "Ongoing");
            assert_eq!(producer.send("t", 0, BEFORE).await, Ok(1));
        }
        producer.end(true, BEFORE).await.expect("committed, perhaps before");
        let seen = fetch(&cluster, "t", 0, COMMITTED).await;
        assert_eq!(seen.last_stable_offset, seen.high_watermark);
        // The other partition has a marker, too, though nothing was written to it.
        let other = TopicPartition::new("t", 1);
        let asked = [(other.clone(), OffsetSpec::Latest)];
        let mut ends = cluster.list_offsets(IsolationLevel::ReadCommitted, asked).await;
        let end = ends.remove(&other).expect("asked for").expect("an answer");
        assert_eq!(end.offset, Some(1));
        broker.stop().await;
    }
}
