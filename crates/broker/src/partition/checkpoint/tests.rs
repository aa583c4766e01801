//! A partition that is opened again knows what it knew, whatever its checkpoint says, and reads no
//! more than it must.

use std::path::Path;

use farlog_store::{LogId, RecoveredLog, Store, StoreOptions};
use farlog_wire::records::{BatchWriter, EndMarker, ProducerStamp};

use super::*;
use crate::partition::{AppendOrigin, PartitionOptions, SegmentRules};
use crate::topic_configs::TopicConfigs;

const SEGMENTS: SegmentRules = SegmentRules { bytes: 100_000, ms: i64::MAX };
const LOG: LogId = LogId { topic: [3; 16], partition: 1 };

fn options(store: &Store) -> PartitionOptions {
    PartitionOptions {
        store: store.clone(),
        log: LOG,
        topic: "t".to_owned(),
        leader_epoch: 4,
        segment_rules: SEGMENTS,
    }
}

async fn open(place: &Path) -> (Store, Option<RecoveredLog>) {
    let options = StoreOptions { fsync: false, ..StoreOptions::new(place) };
    let (store, recovery) = Store::open(options).await.unwrap();
    (store, recovery.logs.into_iter().next())
}

/// Batch number `number` of producer `number % 5`: three of the five in transactions, of which a
/// third is aborted, a third left open.
async fn append(partition: &Partition, number: i32) {
    let producer = number % 5;
    let mut writer = BatchWriter::new();
    writer.push(i64::from(number), Some(&number.to_be_bytes()), Some(&[7; 1_000]), &[]);
    let (producer_id, base_sequence) = (i64::from(producer), number / 5);
    let stamp = ProducerStamp { producer_id, producer_epoch: 2, base_sequence };
    let writer = if producer < 3 { writer.transactional() } else { writer };
    let batch = writer.finish(stamp).unwrap().to_bytes();
    let mut configs = TopicConfigs::of([].into());
    configs.segment_rules = SEGMENTS;
    let now_ms = i64::from(number) * 10;
    let placed = partition.append(batch, AppendOrigin::Client, &configs, now_ms);
    partition.settle(&mut placed.unwrap()).await.unwrap();
    if producer < 2 && number % 3 == 0 {
        let committed = producer == 0;
        let timestamp = i64::from(number);
        let (producer_epoch, coordinator_epoch) = (2, 1);
        let marker =
            EndMarker { producer_id, producer_epoch, committed, coordinator_epoch, timestamp };
        let placed = partition.append_marker(marker.to_batch(), 1, committed, now_ms);
        partition.settle(&mut placed.unwrap()).await.unwrap();
    }
}

fn known(partition: &Partition) -> Known {
    let state = partition.state();
    let mut producers = state.producers.clone();
    // What was read from the log was appended nobody knows when.
    producers.known.values_mut().for_each(|producer| producer.appended_at_ms = 0);
    Known {
        epochs: state.epochs.clone(),
        producers,
        transactions: state.transactions.clone(),
        segments: state.segments.clone(),
    }
}

#[tokio::test]
async fn only_what_came_since_is_read() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    let partition = Partition::empty(options(&store));
    for number in 0..4_000 {
        append(&partition, number).await;
    }
    partition.checkpoint(40_000);
    for number in 4_000..4_050 {
        append(&partition, number).await;
    }
    let (size_bytes, before) = (partition.size_bytes(), known(&partition));
    assert!(size_bytes > 4_000_000, "{size_bytes} bytes");
    drop((partition, store));
    let (store, found) = open(place.path()).await;
    let without = found.clone().map(|found| RecoveredLog { checkpoint: None, ..found });
    let recovered = Partition::recover(options(&store), found, 0).await.unwrap();
    assert!(recovered.bytes_read < 80_000, "{} of {size_bytes}", recovered.bytes_read);
    assert!(known(&recovered.partition) == before);
    let since_checkpoint = recovered.partition.state().producers.known[&3].clone();
    assert_eq!(since_checkpoint.appended_at_ms, 0);
    // It is as good as the whole log.
    let whole = Partition::recover(options(&store), without, 0).await.unwrap();
    assert!(whole.bytes_read >= size_bytes);
    assert!(known(&whole.partition) == before);
    assert_eq!(whole.partition.offsets(), recovered.partition.offsets());
    // Nothing came since.
    recovered.partition.checkpoint(50_000);
    drop((recovered, whole, store));
    let (store, found) = open(place.path()).await;
    let again = Partition::recover(options(&store), found, 0).await.unwrap();
    assert_eq!(again.bytes_read, 0);
    assert!(known(&again.partition) == before);
}

#[tokio::test]
async fn a_doubtful_checkpoint_is_left_aside() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = open(place.path()).await;
    store.create(LOG, 0).await.unwrap();
    let partition = Partition::empty(options(&store));
    for number in 0..40 {
        append(&partition, number).await;
    }
    let before = known(&partition);
    let encoded = partition.state().encode().unwrap();
    let at_offset = partition.offsets().high_watermark;
    let empty = || Segments::new(options(&store).segment_rules);
    let intact = Checkpoint { at_offset, state: encoded.clone() };
    let mut read = decode(&intact, empty()).unwrap();
    read.producers.known.values_mut().for_each(|producer| producer.appended_at_ms = 0);
    assert!(read == before);
    for length in 0..encoded.len() {
        let cut = Checkpoint { at_offset, state: encoded.slice(..length) };
        assert!(decode(&cut, empty()).is_err(), "{length} bytes");
    }
    let early = Checkpoint { at_offset: at_offset - 1, state: encoded.clone() };
    assert!(matches!(decode(&early, empty()), Err(CheckpointError::Contradiction(_))));
    let mut other = encoded.to_vec();
    other[0] = 9;
    let other = Checkpoint { at_offset, state: other.into() };
    assert_eq!(decode(&other, empty()), Err(CheckpointError::Version(9)));
    let found =
        RecoveredLog { id: LOG, start_offset: 0, end_offset: at_offset, checkpoint: Some(other) };
    let recovered = Partition::recover(options(&store), Some(found), 0).await.unwrap();
    assert!(known(&recovered.partition) == before);
    assert_eq!(recovered.bytes_read, partition.size_bytes());
}

#[tokio::test]
async fn many_producers_are_kept_with_their_last_batch() {
    let store = Store::in_memory();
    store.create(LOG, 0).await.unwrap();
    let partition = Partition::empty(options(&store));
    let mut state = partition.state();
    for producer_id in 0..10_000 {
        let mut producer = Producer::new(0);
        let written =
            Written { first_sequence: 1, last_sequence: 1, base_offset: 0, timestamp_ms: 0 };
        producer.batches = [written; BATCHES_REMEMBERED].into();
        state.producers.known.insert(producer_id, producer);
    }
    let encoded = state.encode().unwrap();
    let empty = Segments::new(SegmentRules::default());
    let read = decode(&Checkpoint { at_offset: 1, state: encoded }, empty).unwrap();
    assert_eq!(read.producers.known.len(), 10_000);
    assert!(read.producers.known.values().all(|producer| producer.batches.len() == 1));
}
