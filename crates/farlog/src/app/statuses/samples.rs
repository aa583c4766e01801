//! Made-up links for tests: a partition in each of the situations that matter.

use farlog_link::status::{
    ForeignOffset, GroupTrouble, GroupsMode, GroupsStatus, LinkState, LinkStatus, PartitionState,
    PartitionStatus,
};

/// 2026-11-21 10:04:11 UTC.
pub(crate) const NOW_MS: i64 = 1_795_255_451_000;

/// A link with four partitions, as instance `box-1` tells it now.
pub(crate) fn link(name: &str, state: LinkState) -> LinkStatus {
    LinkStatus {
        link: name.to_owned(),
        source: "us-east".to_owned(),
        target: "eu-west".to_owned(),
        instance: "box-1".to_owned(),
        state,
        since_ms: NOW_MS - 7_380_000,
        why: if state == LinkState::Standby {
            "instance box-2 mirrors it".to_owned()
        } else {
            String::new()
        },
        at_ms: NOW_MS,
        partitions: partitions(),
        groups: (state == LinkState::Active).then(groups),
    }
}

fn groups() -> GroupsStatus {
    GroupsStatus {
        mode: GroupsMode::Following,
        why: String::new(),
        groups: 12,
        offsets: 48,
        offsets_left_out: 0,
        groups_waiting: 1,
        written_total: 96_000,
        trouble_total: 1,
        trouble: vec![GroupTrouble {
            group: "billing".to_owned(),
            lives_in_both: true,
            why: "it has members at the target, and no longer follows: members at us-east: \
                  billing-1/10.0.0.1; at eu-west: billing-9/10.1.0.9"
                .to_owned(),
        }],
        foreign_total: 1,
        foreign: vec![ForeignOffset {
            group: "audit".to_owned(),
            source_partition: "orders-3".to_owned(),
            offset: 1_207,
        }],
    }
}

fn partitions() -> Vec<PartitionStatus> {
    let caught_up = PartitionStatus {
        source_topic: "orders".to_owned(),
        target_topic: "us-east.orders".to_owned(),
        partition: 0,
        state: PartitionState::CaughtUp,
        since_ms: NOW_MS - 600_000,
        why: String::new(),
        source_offset: 1_000_000,
        target_offset: 999_000,
        source_end_offset: 1_000_000,
        source_start_offset: 0,
        source_seen_ms: NOW_MS - 200,
        oldest_unmirrored_ms: None,
        records_total: 90_000,
        bytes_total: 92_160_000,
        batches_total: 100,
        records_lost_total: 0,
        records_aborted_total: 12,
        recoveries_total: 1,
        record_bytes_average: 1_024.0,
        retention_left_ms: None,
    };
    let catching_up = PartitionStatus {
        partition: 1,
        state: PartitionState::CatchingUp,
        source_end_offset: 1_300_000,
        oldest_unmirrored_ms: Some(NOW_MS - 95_000),
        retention_left_ms: Some(86_305_000),
        ..caught_up.clone()
    };
    let stopped = PartitionStatus {
        partition: 2,
        state: PartitionState::StoppedForeignWrite,
        why: "producer id 4711 wrote at offset 999000 of us-east.orders-2; stop that producer, \
              then delete and mirror the topic again"
            .to_owned(),
        source_end_offset: 1_000_040,
        oldest_unmirrored_ms: Some(NOW_MS - 600_000),
        retention_left_ms: Some(-1),
        ..caught_up.clone()
    };
    let unheard = PartitionStatus {
        source_topic: "refunds".to_owned(),
        target_topic: "us-east.refunds".to_owned(),
        partition: 0,
        state: PartitionState::SourceUnavailable,
        why: "broker 2 (b2:9092) cannot be reached: connection refused".to_owned(),
        source_offset: 0,
        target_offset: 0,
        source_end_offset: 0,
        source_seen_ms: 0,
        records_total: 0,
        bytes_total: 0,
        batches_total: 0,
        ..caught_up.clone()
    };
    vec![caught_up, catching_up, stopped, unheard]
}
