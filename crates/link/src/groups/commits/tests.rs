//! Histories of one partition of `__consumer_offsets` against what Kafka's coordinator makes of
//! them.

use std::collections::BTreeMap;

use farlog_wire::primitives::Uuid;
use farlog_wire::records::{BatchWriter, EndMarker, ProducerStamp, RawBatch};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Commit {
        group: u8,
        offset: i64,
    },
    Forget {
        group: u8,
    },
    InTransaction {
        producer: i64,
        group: u8,
        offset: i64,
    },
    End {
        producer: i64,
        committed: bool,
    },
    /// Of a group, not of an offset.
    Other,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = 0..3_u8;
    let step = prop_oneof![
        3 => (group.clone(), 0..1_000_i64)
            .prop_map(|(group, offset)| Step::Commit { group, offset }),
        1 => group.clone().prop_map(|group| Step::Forget { group }),
        3 => (0..3_i64, group, 0..1_000_i64)
            .prop_map(|(producer, group, offset)| Step::InTransaction { producer, group, offset }),
        2 => (0..3_i64, any::<bool>())
            .prop_map(|(producer, committed)| Step::End { producer, committed }),
        1 => Just(Step::Other),
    ];
    prop::collection::vec(step, 0..40)
}

fn key(group: u8) -> OffsetKey {
    OffsetKey { group: format!("g{group}"), topic: "orders".to_owned(), partition: 0 }
}

fn value(offset: i64) -> OffsetValue {
    OffsetValue {
        offset,
        leader_epoch: -1,
        metadata: String::new(),
        commit_timestamp_ms: 1,
        expire_timestamp_ms: -1,
        topic_id: Uuid::default(),
    }
}

fn stamp(producer_id: i64) -> ProducerStamp {
    ProducerStamp { producer_id, producer_epoch: 0, base_sequence: 0 }
}

fn to_batch(step: &Step, at: i64) -> RawBatch {
    let writer = BatchWriter::new();
    let offset_batch = |writer: BatchWriter, group, value: Option<OffsetValue>, stamp| {
        let mut writer = writer;
        let (key, value) = (key(group).to_bytes().unwrap(), value.map(|v| v.to_bytes().unwrap()));
        writer.push(1, Some(&key), value.as_deref(), &[]);
        writer.finish(stamp).unwrap()
    };
    let batch = match *step {
        Step::Commit { group, offset } => {
            offset_batch(writer, group, Some(value(offset)), ProducerStamp::NONE)
        }
        Step::Forget { group } => offset_batch(writer, group, None, ProducerStamp::NONE),
        Step::InTransaction { producer, group, offset } => {
            offset_batch(writer.transactional(), group, Some(value(offset)), stamp(producer))
        }
        Step::End { producer, committed } => EndMarker {
            producer_id: producer,
            producer_epoch: 0,
            committed,
            coordinator_epoch: 0,
            timestamp: 1,
        }
        .to_batch(),
        Step::Other => {
            let mut writer = writer;
            writer.push(1, Some(b"\0\x02\0\x02g0"), Some(b"\0\x03anything"), &[]);
            writer.finish(ProducerStamp::NONE).unwrap()
        }
    };
    let mut bytes = batch.to_bytes().to_vec();
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    RawBatch::new(bytes.into()).unwrap()
}

/// As the coordinator does it: an offset of a transaction counts at its end, unless something was
/// committed after it (`OffsetMetadataManager.replayEndTransactionMarker`).
#[derive(Default)]
struct Coordinator {
    committed: BTreeMap<u8, (i64, i64)>,
    open: BTreeMap<i64, Vec<(u8, i64, i64)>>,
}

impl Coordinator {
    fn take(&mut self, step: &Step, at: i64) {
        match *step {
            Step::Commit { group, offset } => {
                self.committed.insert(group, (offset, at));
            }
            Step::Forget { group } => {
                self.committed.remove(&group);
            }
            Step::InTransaction { producer, group, offset } => {
                self.open.entry(producer).or_default().push((group, offset, at));
            }
            Step::End { producer, committed } => {
                let open = self.open.remove(&producer).unwrap_or_default();
                for (group, offset, at) in open.into_iter().filter(|_| committed) {
                    if self.committed.get(&group).is_none_or(|(_, known)| *known < at) {
                        self.committed.insert(group, (offset, at));
                    }
                }
            }
            Step::Other => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn groups_are_where_the_coordinator_has_them(steps in steps()) {
        let (mut coordinator, mut commits) = (Coordinator::default(), Commits::default());
        let mut known: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for (at, step) in (0..).zip(&steps) {
            coordinator.take(step, at);
            for change in commits.take(&to_batch(step, at)).unwrap() {
                // As the board does it.
                if known.get(&change.key.group).is_some_and(|(_, known)| *known > change.at) {
                    continue;
                }
                match change.value {
                    Some(value) => known.insert(change.key.group, (value.offset, change.at)),
                    None => known.remove(&change.key.group),
                };
            }
        }
        let expected: BTreeMap<String, (i64, i64)> = coordinator
            .committed
            .iter()
            .map(|(group, at)| (format!("g{group}"), *at))
            .collect();
        prop_assert_eq!(known, expected);
    }
}

#[test]
fn damage_and_later_releases_are_named() {
    let mut commits = Commits::default();
    let mut writer = BatchWriter::new();
    let key = key(0).to_bytes().unwrap();
    writer.push(1, Some(&key), Some(b"\0\x63"), &[]);
    let batch = writer.finish(ProducerStamp::NONE).unwrap().to_bytes();
    let error = commits.take(&RawBatch::new(batch.clone()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("OffsetCommitValue of version 99"), "{error}");
    let mut damaged = batch.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let error = commits.take(&RawBatch::new(damaged.into()).unwrap()).unwrap_err();
    assert!(matches!(error, CommitsError::Batch(_)), "{error}");
}
