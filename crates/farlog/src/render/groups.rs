//! What `farlog groups describe` prints.

use farlog_link::groups::{Direction, GroupPosition};
use farlog_link::offsets::Certainty;
use serde::Serialize;

use super::tables::{Column, table};
use crate::settings::topology::LinkSettings;

const UNKNOWN: &str = "?";
const NONE: &str = "-";

/// Where a group stands: the shape of `--output json` and `yaml`, which only grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// The group.
    pub group: String,
    /// The cluster where it would go on.
    pub to: String,
    /// What it has committed.
    pub partitions: Vec<GroupPartitionView>,
}

/// One committed partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupPartitionView {
    /// The link that leads to the other cluster.
    pub link: String,
    /// The cluster where the position is committed.
    pub from: String,
    /// Its topic there.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// What is committed.
    pub current_offset: i64,
    /// High watermark there; null if its leader did not answer.
    pub log_end_offset: Option<i64>,
    /// Records behind it that are not consumed.
    pub lag: Option<i64>,
    /// Its topic in the other cluster; null if there is none.
    pub target_topic: Option<String>,
    /// Where to resume there; null if that is not known.
    pub target_offset: Option<i64>,
    /// Records that are there to be read.
    pub target_lag: Option<i64>,
    /// Whether that is the first record not yet consumed.
    pub exact: bool,
    /// Records that are read again at most.
    pub reread_max: i64,
    /// What that rests on, or why nothing is known.
    pub evidence: String,
}

impl GroupView {
    /// Of a group without positions.
    pub fn new(group: &str, to: &str) -> Self {
        Self { group: group.to_owned(), to: to.to_owned(), partitions: Vec::new() }
    }

    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Adds what was found by one link.
    pub fn add(
        &mut self,
        link: &LinkSettings,
        direction: Direction,
        positions: Vec<GroupPosition>,
    ) {
        let from = match direction {
            Direction::ToTarget => &link.source,
            Direction::ToSource => &link.target,
        };
        let views = positions.into_iter().map(|position| partition(&link.name, from, position));
        self.partitions.extend(views);
    }
}

fn partition(link: &str, from: &str, position: GroupPosition) -> GroupPartitionView {
    let committed = position.committed_offset;
    let mut view = GroupPartitionView {
        link: link.to_owned(),
        from: from.to_owned(),
        topic: position.partition.topic.to_string(),
        partition: position.partition.partition,
        current_offset: committed,
        log_end_offset: position.log_end,
        lag: position.log_end.map(|end| end - committed),
        target_topic: None,
        target_offset: None,
        target_lag: None,
        exact: false,
        reread_max: 0,
        evidence: String::new(),
    };
    match position.other_end {
        Err(why) => view.evidence = why.to_string(),
        Ok(other) => {
            let (offset, runs) = (other.resume.offset, other.runs);
            view.target_topic = Some(other.partition.topic.to_string());
            view.target_offset = Some(offset);
            view.target_lag = Some((other.log_end - offset).max(0));
            let (source, mirror) = other.mirrored;
            let map = match runs {
                1 => "one run without a gap".to_owned(),
                _ => format!("{runs} runs"),
            };
            let map = format!("map of {map} up to source offset {source}, mirror offset {mirror}");
            view.evidence = match other.resume.certainty {
                Certainty::Exact => map,
                Certainty::RereadUpTo(reread_max) => {
                    view.reread_max = reread_max;
                    format!("{map}, unclear here: up to {reread_max} records are read again")
                }
            };
            view.exact = other.resume.certainty == Certainty::Exact;
        }
    }
    view
}

/// One line for each partition.
pub fn text(view: &GroupView, wide: bool) -> String {
    let mut header = vec![
        Column::left("GROUP"),
        Column::left("TOPIC"),
        Column::right("PARTITION"),
        Column::right("CURRENT-OFFSET"),
        Column::right("LOG-END-OFFSET"),
        Column::right("LAG"),
        Column::left("TARGET-TOPIC"),
        Column::right("TARGET-OFFSET"),
        Column::right("TARGET-LAG"),
        Column::left("EXACT"),
    ];
    if wide {
        header.extend([Column::left("LINK"), Column::left("EVIDENCE")]);
    }
    let number = |value: Option<i64>, otherwise: &str| {
        value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
    };
    let rows = view.partitions.iter().map(|one| {
        let exact = match (one.target_offset, one.exact) {
            (None, _) => one.evidence.clone(),
            (Some(_), true) => "yes".to_owned(),
            (Some(_), false) => format!("re-reads up to {}", one.reread_max),
        };
        let mut row = vec![
            view.group.clone(),
            one.topic.clone(),
            one.partition.to_string(),
            one.current_offset.to_string(),
            number(one.log_end_offset, UNKNOWN),
            number(one.lag, UNKNOWN),
            one.target_topic.clone().unwrap_or_else(|| NONE.to_owned()),
            number(one.target_offset, NONE),
            number(one.target_lag, NONE),
            exact,
        ];
        if wide {
            row.extend([one.link.clone(), one.evidence.clone()]);
        }
        row
    });
    table(&header, rows)
}
