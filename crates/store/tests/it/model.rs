//! Random histories on disk and in memory: both must give the same.

use std::sync::Arc;
use std::time::Duration;

use farlog_store::{Checkpoint, LogPlace, ObjectPlace, Store, StoreOptions};
use object_store::memory::InMemory;
use proptest::prelude::*;

use crate::batches::{batch, log, next_offset, read_all, rewrite, small};

#[derive(Clone, Debug)]
enum Step {
    Create {
        log: u8,
        start: i64,
    },
    Append {
        log: u8,
        gap: i64,
        records: i32,
        payload: usize,
    },
    /// At a fraction of the log, in 1/16.
    Read {
        log: u8,
        at: i64,
        bytes_max: usize,
        at_least_one: bool,
    },
    Trim {
        log: u8,
        at: i64,
    },
    Remove {
        log: u8,
    },
    Checkpoint {
        log: u8,
    },
    /// Of its older half or all of it, keeping every so manieth batch.
    Rewrite {
        log: u8,
        at: i64,
        every: i64,
    },
    Settle,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let log = 0_u8..4;
    let gap = prop_oneof![8 => Just(0_i64), 2 => 1_i64..50, 1 => Just(1 << 33)];
    let payload = prop_oneof![4 => 0_usize..200, 1 => 500_usize..3000];
    let step = prop_oneof![
        3 => (log.clone(), 0_i64..100).prop_map(|(log, start)| Step::Create { log, start }),
        20 => (log.clone(), gap, 1..20, payload).prop_map(|(log, gap, records, payload)| {
            Step::Append { log, gap, records, payload }
        }),
        8 => (log.clone(), 0_i64..=16, 0_usize..4000, any::<bool>()).prop_map(
            |(log, at, bytes_max, at_least_one)| Step::Read { log, at, bytes_max, at_least_one }
        ),
        2 => (log.clone(), 0_i64..=16).prop_map(|(log, at)| Step::Trim { log, at }),
        1 => log.clone().prop_map(|log| Step::Remove { log }),
        2 => log.clone().prop_map(|log| Step::Checkpoint { log }),
        3 => (log, 0_i64..=16, 1_i64..4).prop_map(|(log, at, every)| {
            Step::Rewrite { log, at, every }
        }),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Pair {
    options: StoreOptions,
    disk: Option<Store>,
    memory: Store,
}

impl Pair {
    fn disk(&self) -> &Store {
        self.disk.as_ref().unwrap()
    }

    /// The offset at a fraction of a log.
    fn offset(&self, id: u8, at: i64) -> Option<i64> {
        let extent = self.memory.extent(log(id))?;
        Some(extent.start_offset + (extent.end_offset - extent.start_offset) / 16 * at)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Create { log: id, start } => {
                self.memory.create(log(id), start).await.unwrap();
                self.disk().create(log(id), start).await.unwrap();
            }
            Step::Append { log: id, gap, records, payload } => {
                let Some(extent) = self.memory.extent(log(id)) else { return };
                let batch = batch(log(id), extent.end_offset + gap, records, payload);
                self.memory.append(log(id), batch.clone()).unwrap().await.unwrap();
                self.disk().append(log(id), batch).unwrap().await.unwrap();
            }
            Step::Read { log: id, at, bytes_max, at_least_one } => {
                let Some(offset) = self.offset(id, at) else { return };
                self.read(id, offset, bytes_max, at_least_one).await;
            }
            Step::Trim { log: id, at } => {
                let Some(offset) = self.offset(id, at) else { return };
                self.memory.trim(log(id), offset).await.unwrap();
                self.disk().trim(log(id), offset).await.unwrap();
            }
            Step::Remove { log: id } => {
                self.memory.remove(log(id)).await.unwrap();
                self.disk().remove(log(id)).await.unwrap();
            }
            Step::Checkpoint { log: id } => {
                let Some(extent) = self.memory.extent(log(id)) else { return };
                let state = format!("{id} at {}", extent.end_offset).into();
                let checkpoint = Checkpoint { at_offset: extent.end_offset, state };
                self.disk().checkpoint(log(id), checkpoint);
            }
            Step::Rewrite { log: id, at, every } => {
                let Some(offset) = self.offset(id, at) else { return };
                let Some(end) = self.disk().rewritable_end(log(id), offset) else { return };
                let keep = |base_offset| base_offset % every == 0;
                rewrite(self.disk(), log(id), end, keep).await.unwrap();
                rewrite(&self.memory, log(id), end, keep).await.unwrap();
            }
            Step::Settle => self.disk().settle().await,
            Step::Reopen => self.reopen().await,
        }
    }

    async fn read(&self, id: u8, offset: i64, bytes_max: usize, at_least_one: bool) {
        let expected = self.memory.read(log(id), offset, bytes_max, at_least_one).await.unwrap();
        let found = self.disk().read(log(id), offset, bytes_max, at_least_one).await.unwrap();
        assert!(expected.starts_with(&found), "other batches");
        assert_eq!(expected.is_empty(), found.is_empty());
        if !found.is_empty() {
            // It ends where a batch ends.
            assert!(next_offset(&found) <= next_offset(&expected));
        }
    }

    async fn reopen(&mut self) {
        drop(self.disk.take());
        let (store, recovery) = Store::open(self.options.clone()).await.unwrap();
        assert!(recovery.report.was_closed);
        assert_eq!(recovery.report.torn_bytes, 0);
        for found in &recovery.logs {
            let extent = self.memory.extent(found.id).unwrap();
            assert_eq!(found.start_offset, extent.start_offset);
            assert_eq!(found.end_offset, extent.end_offset);
            if let Some(checkpoint) = &found.checkpoint {
                let state = format!("{} at {}", found.id.partition, checkpoint.at_offset);
                assert_eq!(checkpoint.state, state.as_bytes());
                assert!(checkpoint.at_offset <= found.end_offset);
            }
        }
        self.disk = Some(store);
        self.compare().await;
    }

    async fn compare(&self) {
        for id in 0..4 {
            let Some(expected) = self.memory.extent(log(id)) else {
                assert!(self.disk().extent(log(id)).is_none());
                continue;
            };
            let found = self.disk().extent(log(id)).unwrap();
            assert_eq!(found.start_offset, expected.start_offset);
            assert_eq!(found.end_offset, expected.end_offset);
            assert_eq!(found.durable_end_offset, expected.end_offset);
            // Trimmed in larger parts.
            assert!(found.size_bytes >= expected.size_bytes);
            let segments = self.disk().segments(log(id));
            let segment_bytes: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
            assert_eq!(segment_bytes, found.size_bytes);
            for step_bytes in [1, 700, 1 << 30] {
                let expected = read_all(&self.memory, log(id), expected.start_offset, step_bytes);
                let found = read_all(self.disk(), log(id), found.start_offset, step_bytes);
                assert!(expected.await == found.await, "log {id} differs");
            }
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn disk_and_memory_agree(steps in steps(), cache_bytes in prop_oneof![
        Just(0_usize), Just(1500), Just(1 << 20)
    ], log_bytes_max in prop_oneof![Just(0_u64), Just(4000), Just(1 << 20)],
    segment_bytes in prop_oneof![Just(1_usize), Just(2000), Just(1 << 20)],
    in_bucket in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let mut options = small(directory.path(), cache_bytes);
            options.log_bytes_max = log_bytes_max;
            options.segment_bytes = segment_bytes;
            if in_bucket {
                options.log_place = LogPlace::Bucket { interval: Duration::ZERO };
                options.objects = ObjectPlace::bucket(Arc::new(InMemory::new()), "");
            }
            let disk = Some(Store::open(options.clone()).await.unwrap().0);
            let mut pair = Pair { options, disk, memory: Store::in_memory() };
            for step in steps {
                pair.step(step).await;
            }
            pair.compare().await;
            pair.disk().settle().await;
            pair.compare().await;
            pair.reopen().await;
        });
    }
}
