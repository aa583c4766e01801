//! The cluster's own topics are compacted, so that a start does not read history for ever.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use farlog_broker::BrokerOptions;
use farlog_client::admin::{ConfigChange, ConfigOperation, ConfigResource};
use farlog_client::{Cluster, FetchOptions, TopicPartition};
use farlog_store::{Store, StoreOptions};
use farlog_wire::ErrorCode;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use farlog_wire::records::records;

use crate::fixture::{Running, loopback, start_with};

const OFFSETS: &str = "__consumer_offsets";
const TRANSACTIONS: &str = "__transaction_state";
const GROUP: &str = "somebody";
const ID: &str = "somebodys-transactions";
const CHANGES: i64 = 200;

/// Longer than any cleaner takes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn commit(cluster: &Cluster, offset: i64) {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_metadata: Some(String::new()),
        ..OffsetCommitRequestPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "greetings".to_owned(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let coordinator = cluster.group_coordinator(GROUP).await.expect("the broker answers");
    let response = coordinator.send_version(&request, 9).await.expect("the broker answers");
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
}

async fn committed(cluster: &Cluster) -> Vec<i64> {
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.to_owned(),
        topics: None,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    let coordinator = cluster.group_coordinator(GROUP).await.expect("the broker answers");
    let response = coordinator.send_version(&request, 9).await.expect("the broker answers");
    let topics = response.groups.into_iter().flat_map(|group| group.topics);
    topics.flat_map(|topic| topic.partitions).map(|one| one.committed_offset).collect()
}

/// Begins the transactional id once more; its epoch.
async fn begin_again(cluster: &Cluster) -> i16 {
    let request = InitProducerIdRequest {
        transactional_id: Some(ID.to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    // One broker coordinates everything.
    let coordinator = cluster.group_coordinator(GROUP).await.expect("the broker answers");
    let response = coordinator.send_version(&request, 4).await.expect("the broker answers");
    assert_eq!(response.error_code, ErrorCode::NONE);
    response.producer_epoch
}

/// Records of a topic, over all its partitions.
async fn records_of(cluster: &Cluster, topic: &str) -> usize {
    let names = [topic.to_owned()];
    let metadata = cluster.metadata(&farlog_client::TopicSelection::Names(names.into())).await;
    let metadata = metadata.expect("the broker answers");
    let partitions = metadata.topics[topic].partitions.len() as i32;
    let mut count = 0;
    for index in 0..partitions {
        let place = TopicPartition::new(topic, index);
        let options = FetchOptions::default();
        let counting = cluster.read_to_end(&place, &options, |batch| {
            count += records(&batch).expect("records").len();
            ControlFlow::Continue(())
        });
        counting.await.expect("the broker answers");
    }
    count
}

async fn start_over(place: &std::path::Path) -> Running {
    let options = StoreOptions { fsync: false, ..StoreOptions::new(place) };
    let (store, found) = Store::open(options).await.expect("the store opens");
    let mut options = BrokerOptions { store, ..BrokerOptions::in_memory(loopback()) };
    options.recovered = found.logs;
    options.settings.log_cleaner_backoff_ms = 10;
    start_with(options).await
}

async fn set(cluster: &Cluster, topic: &str, name: &str, value: &str) {
    let change =
        ConfigChange { name: name.to_owned(), operation: ConfigOperation::Set(value.to_owned()) };
    let changes = BTreeMap::from([(ConfigResource::topic(topic), vec![change])]);
    let done = cluster.incremental_alter_configs(&changes, false).await.expect("an answer");
    done.into_values().for_each(|done| done.expect("it is set"));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_transactions_keep_their_last_word_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let broker = start_over(place.path()).await;
    broker.topic("greetings", 1, &[]).await;
    let cluster = broker.client().await;
    commit(&cluster, 0).await;
    let mut epoch = begin_again(&cluster).await;
    for topic in [OFFSETS, TRANSACTIONS] {
        set(&cluster, topic, "segment.ms", "1").await;
        set(&cluster, topic, "min.cleanable.dirty.ratio", "0").await;
    }
    for offset in 1..=CHANGES {
        commit(&cluster, offset).await;
        epoch = begin_again(&cluster).await;
    }
    let compacted = async {
        for topic in [OFFSETS, TRANSACTIONS] {
            // The newest segment is left alone; in a millisecond more than one may be written.
            while records_of(&cluster, topic).await > 20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, compacted).await.expect("they are compacted");
    drop(cluster);
    broker.stop().await;
    let broker = start_over(place.path()).await;
    let cluster = broker.client().await;
    assert_eq!(committed(&cluster).await, [CHANGES]);
    assert_eq!(begin_again(&cluster).await, epoch + 1, "the id goes on where it was");
    broker.stop().await;
}
