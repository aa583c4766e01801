//! Every metric: its name, what it says, and where its value comes from.

use farlog_link::status::{GroupsStatus, LinkState, LinkStatus, PartitionStatus};

/// One metric of something of type `T`.
#[derive(Clone, Copy, Debug)]
pub struct Family<T> {
    /// Without the `_total` that the exposition adds to counters.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows while the process lives.
    pub counter: bool,
    /// The value at a time in milliseconds since the epoch; `None` leaves the series out, because
    /// the value is not known or does not exist.
    pub value: fn(&T, i64) -> Option<Value>,
}

/// A value in the unit of its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Total(u64),
    /// Of a gauge that counts.
    Count(i64),
    /// Of a gauge in seconds.
    Seconds(f64),
}

impl<T> Family<T> {
    /// The name under which Prometheus stores it.
    pub fn stored_name(&self) -> String {
        if self.counter { format!("{}_total", self.name) } else { self.name.to_owned() }
    }
}

const fn gauge<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T, i64) -> Option<Value>,
) -> Family<T> {
    Family { name, help, counter: false, value }
}

const fn counter<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T, i64) -> Option<Value>,
) -> Family<T> {
    Family { name, help, counter: true, value }
}

fn seconds(value_ms: i64) -> Option<Value> {
    Some(Value::Seconds(value_ms as f64 / 1_000.0))
}

/// A value that means nothing before the source has answered once.
fn once_seen(partition: &PartitionStatus, value: impl FnOnce() -> Option<Value>) -> Option<Value> {
    if partition.source_seen_ms > 0 { value() } else { None }
}

/// A number of the groups that follow; no series if none may.
fn of_groups(link: &LinkStatus, number: fn(&GroupsStatus) -> usize) -> Option<Value> {
    let groups = link.groups.as_ref()?;
    Some(Value::Count(i64::try_from(number(groups)).unwrap_or(i64::MAX)))
}

/// Metrics of the process; the values come from the time of its start.
pub const PROCESS_FAMILIES: [Family<i64>; 2] = [
    gauge("farlog_build_info", "1, labelled with the version that runs", |_, _| {
        Some(Value::Count(1))
    }),
    gauge(
        "farlog_start_timestamp_seconds",
        "when the process started, in seconds since the epoch",
        |started_ms, _| seconds(*started_ms),
    ),
];

/// Metrics of each link.
pub const LINK_FAMILIES: [Family<LinkStatus>; 10] = [
    gauge("farlog_link_up", "1 if this instance mirrors the link or stands by", |link, _| {
        let up = matches!(link.state, LinkState::Active | LinkState::Standby);
        Some(Value::Count(i64::from(up)))
    }),
    gauge(
        "farlog_link_state_since_timestamp_seconds",
        "since when the link is in its state, in seconds since the epoch",
        |link, _| seconds(link.since_ms),
    ),
    gauge("farlog_link_partitions", "partitions that this instance mirrors", |link, _| {
        Some(Value::Count(i64::try_from(link.partitions.len()).unwrap_or(i64::MAX)))
    }),
    gauge(
        "farlog_link_partitions_needing_operator",
        "partitions that are stopped or held until somebody acts",
        |link, _| {
            let waiting = link.partitions.iter().filter(|each| each.state.needs_operator());
            Some(Value::Count(i64::try_from(waiting.count()).unwrap_or(i64::MAX)))
        },
    ),
    gauge("farlog_link_groups", "consumer groups that follow the link", |link, _| {
        of_groups(link, |groups| groups.groups)
    }),
    gauge("farlog_link_group_offsets", "offsets of those groups", |link, _| {
        of_groups(link, |groups| groups.offsets)
    }),
    gauge(
        "farlog_link_groups_waiting",
        "groups with an offset that the mirror has not reached",
        |link, _| of_groups(link, |groups| groups.groups_waiting),
    ),
    gauge(
        "farlog_link_groups_not_following",
        "groups that have members at the target, or could not be written",
        |link, _| of_groups(link, |groups| groups.trouble_total),
    ),
    gauge(
        "farlog_link_group_offsets_foreign",
        "offsets at the target that somebody else has committed, and that are left as they are",
        |link, _| of_groups(link, |groups| groups.foreign_total),
    ),
    counter(
        "farlog_link_group_offsets_committed",
        "offsets of groups committed at the target",
        |link, _| link.groups.as_ref().map(|groups| Value::Total(groups.written_total)),
    ),
];

/// Metrics of each partition.
pub const PARTITION_FAMILIES: [Family<PartitionStatus>; 16] = [
    gauge(
        "farlog_partition_state_since_timestamp_seconds",
        "since when the partition is in its state, in seconds since the epoch",
        |partition, _| seconds(partition.since_ms),
    ),
    gauge(
        "farlog_partition_lag_records",
        "source offsets not yet mirrored, transaction markers and aborted records included",
        |partition, _| once_seen(partition, || Some(Value::Count(partition.lag_records()))),
    ),
    gauge(
        "farlog_partition_lag_bytes",
        "bytes not yet mirrored, estimated from the size of records mirrored lately",
        |partition, _| once_seen(partition, || Some(Value::Count(partition.lag_bytes()))),
    ),
    gauge(
        "farlog_partition_lag_seconds",
        "age of the oldest record not yet mirrored; 0 if all were",
        |partition, now_ms| once_seen(partition, || seconds(partition.lag_ms(now_ms))),
    ),
    gauge(
        "farlog_partition_oldest_unmirrored_timestamp_seconds",
        "timestamp of the oldest record not yet mirrored; no series if all were",
        |partition, _| partition.oldest_unmirrored_ms.and_then(seconds),
    ),
    gauge(
        "farlog_partition_retention_left_seconds",
        "time until the source's retention deletes the oldest record not yet mirrored",
        |partition, _| partition.retention_left_ms.and_then(seconds),
    ),
    gauge(
        "farlog_partition_source_seen_timestamp_seconds",
        "when the source last answered; the lag is as old as that",
        |partition, _| once_seen(partition, || seconds(partition.source_seen_ms)),
    ),
    gauge(
        "farlog_partition_source_offset",
        "source offset of the next record to mirror",
        |partition, _| Some(Value::Count(partition.source_offset)),
    ),
    gauge(
        "farlog_partition_source_end_offset",
        "the source's last stable offset when it last answered",
        |partition, _| once_seen(partition, || Some(Value::Count(partition.source_end_offset))),
    ),
    gauge(
        "farlog_partition_mirror_offset",
        "offset of the next record in the mirror",
        |partition, _| Some(Value::Count(partition.target_offset)),
    ),
    counter(
        "farlog_partition_mirrored_records",
        "records that the target acknowledged to this instance",
        |partition, _| Some(Value::Total(partition.records_total)),
    ),
    counter(
        "farlog_partition_mirrored_bytes",
        "bytes of batches that the target acknowledged to this instance",
        |partition, _| Some(Value::Total(partition.bytes_total)),
    ),
    counter(
        "farlog_partition_mirrored_batches",
        "batches that the target acknowledged to this instance",
        |partition, _| Some(Value::Total(partition.batches_total)),
    ),
    counter(
        "farlog_partition_lost_records",
        "source records that retention deleted before they were mirrored",
        |partition, _| Some(Value::Total(partition.records_lost_total)),
    ),
    counter(
        "farlog_partition_aborted_records",
        "records of aborted transactions, left out on purpose",
        |partition, _| Some(Value::Total(partition.records_aborted_total)),
    ),
    counter(
        "farlog_partition_recoveries",
        "how often the position had to be read again from the target",
        |partition, _| Some(Value::Total(partition.recoveries_total)),
    ),
];
