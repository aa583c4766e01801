//! The checker against logs made by hand.

use bytes::Bytes;

use super::*;
use crate::history::RecordId;
use crate::history::batch::LogBatch;
use crate::history::plant::Planted;
use crate::history::random::Random;

fn record(ordinal: u64) -> LogRecord {
    let id = RecordId { topic: "orders".to_owned(), partition: 0, ordinal };
    LogRecord {
        offset: ordinal as i64,
        timestamp_ms: 1_000 + ordinal as i64,
        key: ordinal.is_multiple_of(2).then(|| Bytes::from_static(b"key")),
        value: if ordinal % 5 == 4 { None } else { Some(id.to_field().into()) },
        headers: vec![(Bytes::from_static(b"id"), Some(id.to_field().into()))],
    }
}

/// A log with these records at offsets from 0, in one batch of a link.
fn log_of(mut records: Vec<LogRecord>) -> PartitionLog {
    for (offset, record) in (0..).zip(&mut records) {
        record.offset = offset;
    }
    let count = records.len() as i64;
    let batch = LogBatch {
        base_offset: 0,
        last_offset: count - 1,
        record_count: count as i32,
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
        delete_horizon: false,
        marker: None,
    };
    PartitionLog {
        topic: "orders".to_owned(),
        end_offset: count,
        batches: vec![batch],
        records,
        ..PartitionLog::default()
    }
}

fn expected() -> Vec<Expected> {
    log_of((0..50).map(record).collect()).expected()
}

fn whole(mirror: &PartitionLog) -> Report {
    check(&expected(), &BTreeSet::new(), mirror, Extent::Whole)
}

#[test]
fn a_clean_copy_has_no_findings() {
    let report = whole(&log_of((0..50).map(record).collect()));
    assert_eq!((report.findings_total, report.expected_total), (0, 50), "{report}");
}

#[test]
fn each_planted_fault_is_found_once_and_named() {
    let aborted = vec![record(1_000)];
    let identities = aborted.iter().map(LogRecord::identity).collect();
    for planted in Planted::ALL {
        for seed in 0..20 {
            let mut copy: Vec<LogRecord> = (0..50).map(record).collect();
            let mut random = Random::new(seed);
            let identity = planted.plant(&mut copy, &aborted, &mut random).unwrap();
            let report = check(&expected(), &identities, &log_of(copy), Extent::Whole);
            assert_eq!(report.findings_total, 1, "{planted:?} seed {seed}: {report}");
            assert_eq!(report.findings[0].fault, planted.fault(), "{planted:?} {seed}: {report}");
            // Of two exchanged neighbours either may be called the one out of order.
            if planted != Planted::Swap {
                assert_eq!(report.findings[0].record, Some(identity), "{planted:?}: {report}");
            }
        }
    }
}

#[test]
fn a_finding_names_topic_partition_offsets_and_record() {
    let mut copy: Vec<LogRecord> = (0..50).map(record).collect();
    copy.remove(17);
    let report = whole(&log_of(copy));
    assert_eq!(
        report.findings[0].to_string(),
        "orders-0 at mirror offset 17: orders/0#17 lost (source offset 17): committed at the source"
    );
}

#[test]
fn a_prefix_may_miss_the_end_and_nothing_else() {
    let mut copy: Vec<LogRecord> = (0..40).map(record).collect();
    let report = check(&expected(), &BTreeSet::new(), &log_of(copy.clone()), Extent::Prefix);
    assert_eq!(report.findings_total, 0, "{report}");
    copy.remove(3);
    let report = check(&expected(), &BTreeSet::new(), &log_of(copy), Extent::Prefix);
    assert_eq!(report.count(Fault::Lost), 1, "{report}");
}

#[test]
fn what_compaction_took_may_be_missing_or_there() {
    let mut expected = expected();
    expected[5].required = false;
    expected[6].required = false;
    let mut copy: Vec<LogRecord> = (0..50).map(record).collect();
    copy.remove(5);
    let report = check(&expected, &BTreeSet::new(), &log_of(copy), Extent::Whole);
    assert_eq!(report.findings_total, 0, "{report}");
}

#[test]
fn sequences_and_writers_are_checked() {
    let mut mirror = log_of((0..50).map(record).collect());
    mirror.batches.push(LogBatch { base_offset: 50, base_sequence: 49, ..mirror.batches[0] });
    mirror.batches.push(LogBatch {
        base_offset: (1 << 31) + 5,
        base_sequence: 5,
        producer_id: 8,
        ..mirror.batches[0]
    });
    let report = whole(&mirror);
    assert_eq!(report.count(Fault::Sequence), 1, "{report}");
    assert_eq!(report.count(Fault::Writers), 1, "{report}");
    assert_eq!(report.findings_total, 2, "{report}");
}

#[test]
fn a_lost_stretch_is_counted_in_full() {
    let report = whole(&log_of((0..10).chain(20..50).map(record).collect()));
    assert_eq!(report.count(Fault::Lost), 10, "{report}");
}
