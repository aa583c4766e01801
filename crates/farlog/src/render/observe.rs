//! What `farlog observe` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use farlog_link::mm2::observe::{GroupPlace, MirroredPartition, Observation, Place};
use serde::Serialize;

use super::quantity;
use super::tables::{Column, table};
use crate::settings::topology::{LinkSettings, MirrorMakerSettings};

const UNKNOWN: &str = "?";
const NONE: &str = "-";

/// There is a heartbeat every second; one this old was the last.
const SILENT_MS: i64 = 60_000;

/// What was seen: the shape of `--output json` and `yaml`, which only grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObserveView {
    /// When it was looked at: milliseconds since 1970.
    pub at_ms: i64,
    /// The flows of the file.
    pub flows: Vec<FlowView>,
}

/// One flow of a MirrorMaker 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowView {
    /// `A->B`.
    pub flow: String,
    /// The cluster mirrored from.
    pub source: String,
    /// The cluster mirrored to.
    pub target: String,
    /// `running`, `silent` (members, but no heartbeat), `not-running`, `unknown`.
    pub state: &'static str,
    /// Age of the newest heartbeat; null if there never was one.
    pub heartbeat_age_ms: Option<i64>,
    /// Connect's group at the target.
    pub connect_group: String,
    /// Its members: client id and address.
    pub workers: Vec<String>,
    /// Every mirrored partition.
    pub partitions: Vec<PartitionView>,
    /// Every group's position on what is mirrored.
    pub groups: Vec<GroupPlaceView>,
    /// What could not be seen.
    pub notes: Vec<String>,
    /// Why nothing could be seen; empty if it could.
    pub error: String,
}

/// An offset, or bounds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceView {
    /// Not before this one.
    pub lowest: i64,
    /// Not behind this one; the same if it is known exactly.
    pub highest: i64,
}

/// How far a partition is mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// At the source.
    pub topic: String,
    /// At the target.
    pub mirror_topic: String,
    /// The partition.
    pub partition: i32,
    /// High watermark of the source.
    pub source_log_end: Option<i64>,
    /// High watermark of the mirror.
    pub mirror_log_end: Option<i64>,
    /// Source position behind the last mirrored record.
    pub mirrored_to: Option<PlaceView>,
    /// Offsets of the source that are not mirrored.
    pub lag: Option<PlaceView>,
    /// Source and target offset of the newest offset sync.
    pub newest_sync: Option<(i64, i64)>,
    /// Source offset that Connect has stored.
    pub stored_offset: Option<i64>,
    /// Offsets that would be mirrored a second time after a kill now, unless MirrorMaker 2 runs
    /// exactly once.
    pub again_after_kill: Option<i64>,
    /// Why something of this is not known.
    pub problem: String,
}

/// A group's position, and what becomes of it in a failover now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupPlaceView {
    /// The group.
    pub group: String,
    /// At the source.
    pub topic: String,
    /// At the target.
    pub mirror_topic: String,
    /// The partition.
    pub partition: i32,
    /// What is committed at the source.
    pub committed_offset: i64,
    /// The first record of the mirror that the group has not read.
    pub exact: Option<PlaceView>,
    /// MirrorMaker 2's checkpoint: an offset of the mirror.
    pub checkpoint: Option<i64>,
    /// What was committed when that checkpoint was made.
    pub checkpoint_of: Option<i64>,
    /// What a MirrorMaker 2 that is started now would make of the position.
    pub after_restart: Option<i64>,
    /// What the group has at the target.
    pub at_target: Option<i64>,
    /// What decides where it goes on: `at-target`, `checkpoint`, or `auto.offset.reset`.
    pub goes_on_by: &'static str,
    /// Records read again in a failover now, which Farlog's exact map saves; negative for records
    /// that are left out. Null if nothing is known of the position.
    pub rereads: Option<PlaceView>,
    /// Why something of this is not known.
    pub problem: String,
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        match place {
            Place::Exact(offset) => Self { lowest: offset, highest: offset },
            Place::Between(lowest, highest) => Self { lowest, highest },
        }
    }
}

impl PlaceView {
    fn text(self) -> String {
        if self.lowest == self.highest {
            self.lowest.to_string()
        } else {
            format!("{}..{}", self.lowest, self.highest)
        }
    }
}

impl FlowView {
    /// Of which nothing was seen yet.
    pub fn new(link: &LinkSettings, mirrormaker: &MirrorMakerSettings) -> Self {
        Self {
            flow: link.name.clone(),
            source: link.source.clone(),
            target: link.target.clone(),
            state: "unknown",
            heartbeat_age_ms: None,
            connect_group: mirrormaker.connect_group.clone(),
            workers: Vec::new(),
            partitions: Vec::new(),
            groups: Vec::new(),
            notes: Vec::new(),
            error: String::new(),
        }
    }

    /// Adds what was seen.
    pub fn take(&mut self, seen: Observation, now_ms: i64) {
        self.heartbeat_age_ms = seen.heartbeat_at_ms.map(|at_ms| (now_ms - at_ms).max(0));
        let is_heard = self.heartbeat_age_ms.is_some_and(|age_ms| age_ms < SILENT_MS);
        self.state = match (is_heard, seen.members.is_empty()) {
            (true, _) => "running",
            (false, false) => "silent",
            (false, true) if seen.connect_state.is_empty() => "unknown",
            (false, true) => "not-running",
        };
        let workers = seen.members.into_iter();
        self.workers = workers.map(|(client, host)| format!("{client} at {host}")).collect();
        self.partitions = seen.partitions.into_iter().map(partition).collect();
        self.groups = seen.positions.into_iter().map(group_place).collect();
        self.notes = seen.notes;
    }

    fn head(&self) -> String {
        let workers = match self.workers.len() {
            1 => "1 worker".to_owned(),
            count => format!("{count} workers"),
        };
        let heard = self.heartbeat_age_ms.map_or_else(
            || "no heartbeat was ever written".to_owned(),
            |age_ms| format!("heartbeat {} ago", quantity::duration(age_ms)),
        );
        let (flow, group) = (&self.flow, &self.connect_group);
        let state = match self.state {
            "running" => "is running",
            "silent" => "is silent",
            "not-running" => "is not running",
            _ => "cannot be seen",
        };
        format!("{flow}: MirrorMaker 2 {state}: {heard}, {workers} in group {group}\n")
    }
}

fn partition(seen: MirroredPartition) -> PartitionView {
    let mirrored_to: Option<PlaceView> = seen.mirrored_to.map(PlaceView::from);
    let lag = mirrored_to.zip(seen.source_end).map(|(place, end)| PlaceView {
        lowest: (end - place.highest).max(0),
        highest: (end - place.lowest).max(0),
    });
    let again = mirrored_to.zip(seen.stored_offset);
    PartitionView {
        topic: seen.source.topic.to_string(),
        mirror_topic: seen.mirror.topic.to_string(),
        partition: seen.source.partition,
        source_log_end: seen.source_end,
        mirror_log_end: seen.mirror_end,
        mirrored_to,
        lag,
        newest_sync: seen.newest_sync,
        stored_offset: seen.stored_offset,
        again_after_kill: again.map(|(place, stored)| (place.lowest - stored - 1).max(0)),
        problem: seen.problem,
    }
}

fn group_place(seen: GroupPlace) -> GroupPlaceView {
    let exact = seen.exact.map(PlaceView::from);
    let checkpoint = seen.checkpoint.map(|(_, downstream)| downstream);
    let (goes_on_at, goes_on_by) = match (seen.at_target, checkpoint) {
        (Some(at_target), _) => (Some(at_target), "at-target"),
        (None, Some(checkpoint)) => (Some(checkpoint), "checkpoint"),
        (None, None) => (None, "auto.offset.reset"),
    };
    let rereads = exact.zip(goes_on_at).map(|(exact, at)| {
        let at = at.max(seen.mirror_start);
        PlaceView { lowest: exact.lowest - at, highest: exact.highest - at }
    });
    GroupPlaceView {
        group: seen.group,
        topic: seen.source.topic.to_string(),
        mirror_topic: seen.mirror.topic.to_string(),
        partition: seen.source.partition,
        committed_offset: seen.committed_offset,
        exact,
        checkpoint,
        checkpoint_of: seen.checkpoint.map(|(upstream, _)| upstream),
        after_restart: seen.after_restart,
        at_target: seen.at_target,
        goes_on_by,
        rereads,
        problem: seen.problem,
    }
}

/// One paragraph and two tables for each flow.
pub fn text(view: &ObserveView, wide: bool) -> String {
    let mut text = String::new();
    for (index, flow) in view.flows.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        if !flow.error.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {}", flow.flow, flow.error);
            continue;
        }
        text.push_str(&flow.head());
        if !flow.partitions.is_empty() {
            text.push('\n');
            text.push_str(&if wide { partitions_table(flow) } else { topics_table(flow) });
        }
        if !flow.groups.is_empty() {
            text.push('\n');
            text.push_str(&groups_table(flow, wide));
            text.push_str(&verdict(flow));
        }
        for note in &flow.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
    }
    text
}

fn number(value: Option<i64>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
}

fn place(value: Option<PlaceView>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), PlaceView::text)
}

/// One line for each topic.
fn topics_table(flow: &FlowView) -> String {
    let mut topics: BTreeMap<(&str, &str), Vec<&PartitionView>> = BTreeMap::new();
    for one in &flow.partitions {
        topics.entry((&one.topic, &one.mirror_topic)).or_default().push(one);
    }
    let header = [
        Column::left("TOPIC"),
        Column::left("MIRROR"),
        Column::right("PARTITIONS"),
        Column::right("LAG"),
        Column::right("AGAIN AFTER KILL"),
        Column::left("NOT KNOWN"),
    ];
    let rows = topics.into_iter().map(|((topic, mirror), partitions)| {
        let known: Vec<PlaceView> = partitions.iter().filter_map(|one| one.lag).collect();
        let lag = PlaceView {
            lowest: known.iter().map(|lag| lag.lowest).sum(),
            highest: known.iter().map(|lag| lag.highest).sum(),
        };
        let again: Vec<i64> = partitions.iter().filter_map(|one| one.again_after_kill).collect();
        let unknown = partitions.iter().find(|one| !one.problem.is_empty());
        vec![
            topic.to_owned(),
            mirror.to_owned(),
            partitions.len().to_string(),
            if known.is_empty() { UNKNOWN.to_owned() } else { lag.text() },
            if again.is_empty() {
                UNKNOWN.to_owned()
            } else {
                again.iter().sum::<i64>().to_string()
            },
            unknown.map_or_else(
                || NONE.to_owned(),
                |one| format!("partition {}: {}", one.partition, one.problem),
            ),
        ]
    });
    table(&header, rows)
}

/// One line for each partition.
fn partitions_table(flow: &FlowView) -> String {
    let header = [
        Column::left("TOPIC"),
        Column::right("PARTITION"),
        Column::left("MIRROR"),
        Column::right("SOURCE-END"),
        Column::right("MIRRORED-TO"),
        Column::right("LAG"),
        Column::right("MIRROR-END"),
        Column::right("NEWEST-SYNC"),
        Column::right("STORED"),
        Column::right("AGAIN AFTER KILL"),
        Column::left("NOT KNOWN"),
    ];
    let rows = flow.partitions.iter().map(|one| {
        let sync = one.newest_sync.map(|(source, target)| format!("{source}->{target}"));
        let problem = if one.problem.is_empty() { NONE.to_owned() } else { one.problem.clone() };
        vec![
            one.topic.clone(),
            one.partition.to_string(),
            one.mirror_topic.clone(),
            number(one.source_log_end, UNKNOWN),
            place(one.mirrored_to),
            place(one.lag),
            number(one.mirror_log_end, UNKNOWN),
            sync.unwrap_or_else(|| NONE.to_owned()),
            number(one.stored_offset, NONE),
            number(one.again_after_kill, UNKNOWN),
            problem,
        ]
    });
    table(&header, rows)
}

/// One line for each position.
fn groups_table(flow: &FlowView, wide: bool) -> String {
    let mut header = vec![
        Column::left("GROUP"),
        Column::left("TOPIC"),
        Column::right("PARTITION"),
        Column::right("COMMITTED"),
        Column::right("EXACT"),
        Column::right("CHECKPOINT"),
        Column::right("AT-TARGET"),
        Column::left("FAILOVER NOW"),
    ];
    if wide {
        header.extend([
            Column::right("CHECKPOINT-OF"),
            Column::right("AFTER-RESTART"),
            Column::left("MIRROR"),
            Column::left("NOT KNOWN"),
        ]);
    }
    let rows = flow.groups.iter().map(|one| {
        let mut row = vec![
            one.group.clone(),
            one.topic.clone(),
            one.partition.to_string(),
            one.committed_offset.to_string(),
            place(one.exact),
            number(one.checkpoint, NONE),
            number(one.at_target, NONE),
            failover(one),
        ];
        if wide {
            let known = one.problem.is_empty();
            row.extend([
                number(one.checkpoint_of, NONE),
                number(one.after_restart, NONE),
                one.mirror_topic.clone(),
                if known { NONE.to_owned() } else { one.problem.clone() },
            ]);
        }
        row
    });
    table(&header, rows)
}

/// In words.
fn failover(one: &GroupPlaceView) -> String {
    let Some(rereads) = one.rereads else {
        return match one.goes_on_by {
            "auto.offset.reset" => "not translated: auto.offset.reset decides".to_owned(),
            _ => UNKNOWN.to_owned(),
        };
    };
    if rereads.highest < 0 {
        let least = PlaceView { lowest: -rereads.highest, highest: -rereads.lowest };
        return format!("leaves out {}", least.text());
    }
    if (rereads.lowest, rereads.highest) == (0, 0) {
        return "goes on exactly".to_owned();
    }
    format!("reads {} again", rereads.text())
}

/// What it comes to.
fn verdict(flow: &FlowView) -> String {
    let known: Vec<PlaceView> = flow.groups.iter().filter_map(|one| one.rereads).collect();
    let sum = |part: fn(&PlaceView) -> i64| known.iter().map(part).map(|n| n.max(0)).sum::<i64>();
    let again = PlaceView { lowest: sum(|one| one.lowest), highest: sum(|one| one.highest) };
    let left_out: i64 = known.iter().map(|one| (-one.highest).max(0)).sum();
    let lost = flow.groups.iter().filter(|one| one.goes_on_by == "auto.offset.reset").count();
    let mut text = format!("\nA failover now reads {} records again", again.text());
    if left_out > 0 {
        let _ = write!(text, " and leaves out {left_out}");
    }
    if lost > 0 {
        let positions = if lost == 1 { "position is" } else { "positions are" };
        let _ = write!(text, "; {lost} {positions} not translated at all");
    }
    text.push_str(". With Farlog's exact map: none.\n");
    text
}

#[cfg(test)]
mod tests;
