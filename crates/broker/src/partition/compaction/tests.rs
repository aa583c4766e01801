//! Random logs, compacted again and again, against what a log must still say.

use std::collections::{BTreeMap, HashSet};

use farlog_store::{LogId, RecoveredLog, Store, StoreOptions};
use farlog_wire::records::{BatchWriter, Compression, EndMarker, ProducerStamp};
use proptest::prelude::*;

use super::*;
use crate::partition::{AppendOrigin, FetchIsolation, Offsets, PartitionOptions, SegmentRules};
use crate::topic_configs::TopicConfigs;

const LOG: LogId = LogId { topic: [7; 16], partition: 0 };
const SEGMENTS: SegmentRules = SegmentRules { bytes: 400, ms: i64::MAX };
const DELETE_RETENTION_MS: i64 = 1_000;

#[derive(Clone, Debug)]
enum Step {
    /// By nobody (0), or by an idempotent producer (1), or in a transaction of a producer (2, 3).
    Append {
        by: i64,
        records: Vec<(u8, Option<u8>)>,
        compression: Compression,
    },
    End {
        by: i64,
        committed: bool,
    },
    Compact {
        key_bytes_max: usize,
    },
    Wait {
        ms: i64,
    },
    /// At a fraction of the log, in 1/8.
    Trim {
        at: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let codec = prop_oneof![
        3 => Just(Compression::None), 1 => Just(Compression::Lz4), 1 => Just(Compression::Zstd)
    ];
    let value = prop_oneof![3 => any::<u8>().prop_map(Some), 1 => Just(None)];
    let records = proptest::collection::vec((0_u8..6, value), 1..5);
    let bytes_max = prop_oneof![3 => Just(1 << 20), 1 => 72_usize..500];
    let step = prop_oneof![
        12 => (0_i64..4, records, codec).prop_map(|(by, records, compression)| {
            Step::Append { by, records, compression }
        }),
        3 => (2_i64..4, any::<bool>()).prop_map(|(by, committed)| Step::End { by, committed }),
        3 => bytes_max.prop_map(|key_bytes_max| Step::Compact { key_bytes_max }),
        1 => (1_i64..2_000).prop_map(|ms| Step::Wait { ms }),
        1 => (0_i64..8).prop_map(|at| Step::Trim { at }),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Appended {
    key: u8,
    value: Option<u8>,
    timestamp_ms: i64,
    by: i64,
    /// `None` while its transaction is open.
    is_committed: Option<bool>,
}

struct World {
    partition: Partition,
    configs: TopicConfigs,
    now_ms: i64,
    sequences: [i32; 4],
    open: HashSet<i64>,
    /// By offset.
    appended: BTreeMap<i64, Appended>,
}

fn options(store: &Store) -> PartitionOptions {
    PartitionOptions {
        store: store.clone(),
        log: LOG,
        topic: "t".to_owned(),
        leader_epoch: 1,
        segment_rules: SEGMENTS,
    }
}

impl World {
    async fn new() -> Self {
        Self::over(Store::in_memory()).await
    }

    async fn over(store: Store) -> Self {
        store.create(LOG, 0).await.unwrap();
        let set = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut configs = TopicConfigs::of(set.into());
        configs.segment_rules = SEGMENTS;
        configs.offsets = crate::topic_configs::Offsets::Given;
        configs.compaction_rules.delete_retention_ms = DELETE_RETENTION_MS;
        Self {
            partition: Partition::empty(options(&store)),
            configs,
            now_ms: 1_000_000,
            sequences: [0; 4],
            open: HashSet::new(),
            appended: BTreeMap::new(),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append { by, records, compression } => {
                self.append(by, &records, compression).await;
            }
            Step::End { by, committed } if self.open.remove(&by) => self.end(by, committed).await,
            Step::End { .. } => {}
            Step::Compact { key_bytes_max } => self.compact(key_bytes_max).await,
            Step::Wait { ms } => self.now_ms += ms,
            Step::Trim { at } => {
                let offsets = self.partition.offsets();
                let before = offsets.start + (offsets.high_watermark - offsets.start) * at / 8;
                self.partition.delete_before(before).await.unwrap();
            }
        }
    }

    async fn append(&mut self, by: i64, records: &[(u8, Option<u8>)], compression: Compression) {
        let mut writer = BatchWriter::new().compression(compression);
        self.now_ms += 1;
        for (index, (key, value)) in (0..).zip(records) {
            let value = value.map(|value| [value; 20]);
            let value = value.as_ref().map(|value| &value[..]);
            writer.push(self.now_ms + index, Some(&[*key]), value, &[]);
        }
        // Sometimes the batch is given a place beyond the log's end.
        let gap = if records.len() == 4 { 50 } else { 0 };
        let sequence = &mut self.sequences[by as usize];
        let stamp = ProducerStamp { producer_id: by, producer_epoch: 0, base_sequence: *sequence };
        let batch = match by {
            0 => writer.finish_unsequenced().unwrap(),
            1 => writer.finish(stamp).unwrap(),
            _ => writer.transactional().finish(stamp).unwrap(),
        };
        *sequence += records.len() as i32;
        let place = self.partition.offsets().high_watermark + gap;
        let bytes = [&place.to_be_bytes()[..], &batch.to_bytes()[8..]].concat();
        let (origin, bytes) = (AppendOrigin::Client, Bytes::from(bytes));
        let placed = self.partition.append(bytes, origin, &self.configs, self.now_ms);
        let mut placed = placed.unwrap();
        self.partition.settle(&mut placed).await.unwrap();
        let in_transaction = by >= 2;
        if in_transaction {
            self.open.insert(by);
        }
        for (index, &(key, value)) in (0..).zip(records) {
            let is_committed = (!in_transaction).then_some(true);
            let timestamp_ms = self.now_ms + index;
            let record = Appended { key, value, timestamp_ms, by, is_committed };
            self.appended.insert(placed.base_offset + index, record);
        }
    }

    async fn end(&mut self, by: i64, committed: bool) {
        let marker = EndMarker {
            producer_id: by,
            producer_epoch: 0,
            committed,
            coordinator_epoch: 0,
            timestamp: self.now_ms,
        };
        let placed = self.partition.append_marker(marker.to_batch(), 0, committed, self.now_ms);
        let mut placed = placed.unwrap();
        self.partition.settle(&mut placed).await.unwrap();
        for record in self.appended.values_mut().filter(|record| record.by == by) {
            record.is_committed.get_or_insert(committed);
        }
    }

    async fn compact(&mut self, key_bytes_max: usize) {
        let rules = self.configs.compaction_rules;
        let Some(cleanable) = self.partition.cleanable(&rules, self.now_ms) else { return };
        let now_ms = self.now_ms;
        let compacted = self.partition.compact(cleanable, &rules, key_bytes_max, now_ms).await;
        let compacted = match compacted {
            Ok(compacted) => compacted,
            Err(CompactionError::TooManyKeys { .. }) if key_bytes_max < 500 => return,
            Err(error) => panic!("{error}"),
        };
        assert!(compacted.end_offset > cleanable.first_dirty_offset);
        assert!(compacted.bytes_after <= compacted.bytes_before + 100);
        self.check(Some(compacted.end_offset)).await;
    }

    /// All records that are there, and which of them committed readers are given.
    async fn read(&self) -> (BTreeMap<i64, (u8, Option<u8>, i64)>, HashSet<i64>) {
        let mut all = BTreeMap::new();
        let mut committed = HashSet::new();
        let Offsets { start, high_watermark, last_stable } = self.partition.offsets();
        let mut offset = start;
        let isolation = FetchIsolation::ReadCommitted;
        let aborted = self.partition.fetch(start, 1 << 30, true, isolation).await.unwrap().aborted;
        let aborted = aborted.unwrap();
        let mut ended = 0;
        while offset < high_watermark {
            let isolation = FetchIsolation::ReadUncommitted;
            let read = self.partition.fetch(offset, 1, true, isolation).await.unwrap();
            let batch = batches(read.records).next().unwrap().unwrap();
            batch.verify_crc().unwrap();
            let header = batch.header;
            assert!(header.base_offset >= offset || offset == start, "batches overlap");
            assert!(header.base_offset >= ended, "batches overlap");
            ended = header.next_offset();
            offset = ended;
            if header.attributes.is_control() {
                continue;
            }
            let is_aborted = header.attributes.is_transactional()
                && aborted.iter().any(|aborted| {
                    aborted.producer_id == header.producer_id
                        && (aborted.first_offset..aborted.last_offset).contains(&header.base_offset)
                });
            for record in batch.decompressed(1 << 20).unwrap().records().unwrap() {
                let record = record.unwrap();
                // Consumers skip what comes with the batch that they asked for.
                if record.offset < start {
                    continue;
                }
                let key = record.key.unwrap()[0];
                let value = record.value.map(|value| value[0]);
                all.insert(record.offset, (key, value, record.timestamp));
                if record.offset < last_stable && !is_aborted {
                    committed.insert(record.offset);
                }
            }
        }
        assert_eq!(offset, high_watermark, "the end is where it was");
        (all, committed)
    }

    /// `compacted_until` if that has just been done.
    async fn check(&self, compacted_until: Option<i64>) {
        let start = self.partition.offsets().start;
        let last_stable = self.partition.offsets().last_stable;
        let (found, committed) = self.read().await;
        for (offset, &(key, value, timestamp_ms)) in &found {
            let was = &self.appended[offset];
            assert_eq!((key, value, timestamp_ms), (was.key, was.value, was.timestamp_ms));
            let is_known = *offset < last_stable && was.is_committed == Some(true);
            assert_eq!(committed.contains(offset), is_known, "offset {offset}");
        }
        for key in 0..6 {
            let of_key = |(_, record): &(&i64, &Appended)| {
                record.key == key && record.is_committed == Some(true)
            };
            let newest = self.appended.range(start..).rfind(of_key);
            if let Some((offset, record)) = newest {
                let may_be_gone = record.value.is_none();
                assert!(found.contains_key(offset) || may_be_gone, "key {key} at {offset}");
            }
            let Some(end) = compacted_until else { continue };
            let newest = self.appended.range(start..end).rfind(of_key);
            let newest = newest.map(|(&offset, _)| offset);
            for (offset, _) in found.range(start..end).filter(|(_, found)| found.0 == key) {
                assert_eq!(Some(*offset), newest, "key {key} is there twice");
            }
        }
    }

    /// What a broker knows that reads the log again.
    async fn check_recovery(&self, store: Store) {
        let Offsets { start, high_watermark, .. } = self.partition.offsets();
        let found = RecoveredLog {
            id: LOG,
            start_offset: start,
            end_offset: high_watermark,
            checkpoint: None,
        };
        let recovered =
            Partition::recover(options(&store), Some(found), 0).await.unwrap().partition;
        let facts = |partition: &Partition| -> BTreeMap<i64, (i16, i32)> {
            let facts = partition.producers().into_iter();
            facts.map(|one| (one.producer_id, (one.epoch, one.last_sequence))).collect()
        };
        let (before, after) = (facts(&self.partition), facts(&recovered));
        // Of some only a marker may be left behind what was trimmed.
        for (producer_id, fact) in
            after.iter().filter(|(_, (_, last_sequence))| *last_sequence >= 0)
        {
            assert_eq!(before.get(producer_id), Some(fact));
        }
        if start == 0 {
            assert_eq!(before, after);
            assert_eq!(recovered.offsets(), self.partition.offsets());
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_newest_of_every_key_stays(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.step(step).await;
            }
            world.compact(1 << 20).await;
            world.check(None).await;
            let store = world.partition.store.clone();
            world.check_recovery(store).await;
        });
    }
}

/// Batches that are there, with how many records they have and whether a horizon is set.
async fn batches_of(world: &World) -> Vec<(i64, i32, bool)> {
    let isolation = FetchIsolation::ReadUncommitted;
    let read = world.partition.fetch(0, 1 << 30, true, isolation).await.unwrap();
    let headers = batches(read.records).map(|batch| batch.unwrap().header);
    headers
        .map(|one| (one.base_offset, one.record_count, one.attributes.has_delete_horizon()))
        .collect()
}

/// As many records of key 9 as fill a segment, so that all before them may be compacted.
async fn fill(world: &mut World) {
    let records = vec![(5, Some(1)); 20];
    world.append(0, &records, Compression::None).await;
    world.append(0, &records, Compression::None).await;
}

#[tokio::test]
async fn what_was_compacted_on_disk_is_found_again() {
    let place = tempfile::tempdir().unwrap();
    let on_disk = StoreOptions { fsync: false, ..StoreOptions::new(place.path()) };
    let (store, _) = Store::open(on_disk.clone()).await.unwrap();
    let mut world = World::over(store).await;
    for round in 0..20 {
        world.append(1, &[(round % 3, Some(round)), (4, None)], Compression::Zstd).await;
        world.append(2, &[(round % 2, Some(round))], Compression::None).await;
        world.end(2, round % 4 != 0).await;
        world.open.clear();
    }
    fill(&mut world).await;
    world.compact(1 << 20).await;
    let found = world.read().await;
    assert!(found.0.len() < 50, "{} records are left", found.0.len());
    let World { partition, configs, now_ms, sequences, open, appended } = world;
    drop(partition);
    let (store, recovery) = Store::open(on_disk).await.unwrap();
    let log = recovery.logs.into_iter().next();
    let partition = Partition::recover(options(&store), log, 0).await.unwrap().partition;
    let again = World { partition, configs, now_ms, sequences, open, appended };
    assert!(again.read().await == found);
    again.check(None).await;
    again.check_recovery(store).await;
}

#[tokio::test]
async fn tombstones_stay_for_their_time() {
    let mut world = World::new().await;
    world.append(0, &[(1, Some(1))], Compression::None).await;
    world.append(0, &[(1, None), (2, Some(2))], Compression::None).await;
    fill(&mut world).await;
    world.compact(1 << 20).await;
    let first = batches_of(&world).await;
    assert_eq!(first[0], (1, 2, true), "the tombstone is there, with its time");
    world.now_ms += DELETE_RETENTION_MS + 10;
    fill(&mut world).await;
    world.compact(1 << 20).await;
    let second = batches_of(&world).await;
    assert_eq!(second[0], (1, 1, true), "the tombstone is gone, key 2 is not");
}

#[tokio::test]
async fn what_a_producer_wrote_last_leaves_an_empty_batch() {
    let mut world = World::new().await;
    world.append(1, &[(1, Some(1))], Compression::Lz4).await;
    world.append(1, &[(1, Some(2))], Compression::Lz4).await;
    world.append(0, &[(1, Some(3))], Compression::None).await;
    fill(&mut world).await;
    world.compact(1 << 20).await;
    let found = batches_of(&world).await;
    assert_eq!(found[..2], [(1, 0, false), (2, 1, false)]);
    let store = world.partition.store.clone();
    world.check_recovery(store).await;
}

#[tokio::test]
async fn markers_go_when_nothing_is_left_of_their_transaction() {
    let mut world = World::new().await;
    for _ in 0..2 {
        world.append(2, &[(1, Some(1))], Compression::None).await;
        world.end(2, false).await;
        world.open.clear();
    }
    fill(&mut world).await;
    world.compact(1 << 20).await;
    // The first data is gone; the second is the producer's last.
    assert_eq!(batches_of(&world).await[..3], [(1, 1, false), (2, 0, false), (3, 1, false)]);
    fill(&mut world).await;
    world.compact(1 << 20).await;
    let with_horizon = batches_of(&world).await;
    assert_eq!(with_horizon[..3], [(1, 1, true), (2, 0, false), (3, 1, false)]);
    world.now_ms += DELETE_RETENTION_MS + 10;
    fill(&mut world).await;
    world.compact(1 << 20).await;
    assert_eq!(batches_of(&world).await[..2], [(2, 0, false), (3, 1, false)]);
}
