//! The tables of `farlog status` and `farlog lag`.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::pace::{Eta, Pace};
use super::quantity;
use super::view::{LagView, LinkView, PartitionView, StatusView};

const UNKNOWN: &str = "?";
const NONE: &str = "-";

/// One line for each link and instance.
pub fn status_table(view: &StatusView, wide: bool) -> String {
    let mut header = vec![
        Column::left("LINK"),
        Column::left("FROM"),
        Column::left("TO"),
        Column::left("STATE"),
        Column::right("FOR"),
        Column::right("PARTITIONS"),
        Column::right("NEED YOU"),
        Column::right("GROUPS"),
        Column::right("LAG"),
        Column::right("BEHIND"),
        Column::right("RATE"),
    ];
    if wide {
        header.extend([
            Column::right("BYTES/S"),
            Column::right("ETA"),
            Column::right("RETENTION LEFT"),
            Column::left("INSTANCE"),
            Column::left("HEARD FROM"),
        ]);
    }
    let rows = view.links.iter().map(|link| status_row(link, view.at_ms, wide));
    table(&header, rows)
}

fn status_row(link: &LinkView, now_ms: i64, wide: bool) -> Vec<String> {
    let is_known = !link.partitions.is_empty();
    let or_none = |text: String| if is_known { text } else { NONE.to_owned() };
    let mut row = vec![
        link.link.clone(),
        link.source.clone(),
        link.target.clone(),
        link.state.to_owned(),
        if link.since_ms == 0 { NONE.into() } else { quantity::duration(now_ms - link.since_ms) },
        or_none(link.partitions.len().to_string()),
        or_none(link.partitions_needing_operator.to_string()),
        link.groups.as_ref().map_or_else(|| NONE.to_owned(), |groups| groups.groups.to_string()),
        or_none(lag_records(&link.lag)),
        or_none(lag_time(&link.lag)),
        or_none(rate(link.pace.as_ref())),
    ];
    if wide {
        row.extend([
            or_none(byte_rate(link.pace.as_ref())),
            or_none(eta_text(link.pace.as_ref())),
            or_none(retention(&link.lag)),
            if link.instance.is_empty() { NONE.to_owned() } else { link.instance.clone() },
            if link.at_ms == 0 { NONE.to_owned() } else { quantity::instant(link.at_ms) },
        ]);
    }
    row
}

/// One line for each partition, and one for the sum of each link.
pub fn lag_table(view: &StatusView, wide: bool) -> String {
    let mut header = vec![
        Column::left("LINK"),
        Column::left("TOPIC"),
        Column::right("PARTITION"),
        Column::left("STATE"),
        Column::right("RECORDS"),
        Column::right("BYTES"),
        Column::right("BEHIND"),
        Column::right("RETENTION LEFT"),
        Column::right("RATE"),
        Column::right("ETA"),
    ];
    if wide {
        header.extend([
            Column::right("BYTES/S"),
            Column::left("OLDEST UNMIRRORED"),
            Column::left("MIRROR TOPIC"),
            Column::right("SOURCE OFFSET"),
            Column::right("SOURCE END"),
            Column::right("MIRROR OFFSET"),
            Column::right("LOST"),
        ]);
    }
    let rows = view.links.iter().filter(|link| !link.partitions.is_empty()).flat_map(|link| {
        let partitions = link.partitions.iter().map(move |each| partition_row(link, each, wide));
        partitions.chain([total_row(link, wide)])
    });
    table(&header, rows)
}

fn partition_row(link: &LinkView, partition: &PartitionView, wide: bool) -> Vec<String> {
    let pace = partition.pace.as_ref();
    let mut row = vec![
        link.link.clone(),
        partition.topic.clone(),
        partition.partition.to_string(),
        partition.state.to_owned(),
    ];
    row.extend(lag_cells(&partition.lag, pace));
    if wide {
        row.extend([
            byte_rate(pace),
            oldest(&partition.lag),
            partition.mirror_topic.clone(),
            partition.source_offset.to_string(),
            if partition.lag.known { partition.source_end_offset.to_string() } else { unknown() },
            partition.mirror_offset.to_string(),
            partition.records_lost_total.to_string(),
        ]);
    }
    row
}

fn total_row(link: &LinkView, wide: bool) -> Vec<String> {
    let pace = link.pace.as_ref();
    let mut row = vec![
        link.link.clone(),
        "(all)".to_owned(),
        link.partitions.len().to_string(),
        link.state.to_owned(),
    ];
    row.extend(lag_cells(&link.lag, pace));
    if wide {
        let lost: u64 = link.partitions.iter().map(|each| each.records_lost_total).sum();
        row.extend([byte_rate(pace), oldest(&link.lag)]);
        row.extend([NONE, NONE, NONE, NONE].map(str::to_owned));
        row.push(lost.to_string());
    }
    row
}

fn lag_cells(lag: &LagView, pace: Option<&Pace>) -> [String; 6] {
    [lag_records(lag), lag_bytes(lag), lag_time(lag), retention(lag), rate(pace), eta_text(pace)]
}

fn lag_records(lag: &LagView) -> String {
    bounded(lag, quantity::count(lag.records))
}

fn lag_bytes(lag: &LagView) -> String {
    bounded(lag, quantity::bytes(lag.bytes as f64))
}

fn lag_time(lag: &LagView) -> String {
    bounded(lag, quantity::duration(lag.ms))
}

fn bounded(lag: &LagView, text: String) -> String {
    match (lag.known, lag.at_least) {
        (false, _) => unknown(),
        (true, true) => format!(">= {text}"),
        (true, false) => text,
    }
}

fn retention(lag: &LagView) -> String {
    match lag.retention_left_ms {
        None => NONE.to_owned(),
        Some(left_ms) if left_ms <= 0 => "none: deleting".to_owned(),
        Some(left_ms) => quantity::duration(left_ms),
    }
}

fn oldest(lag: &LagView) -> String {
    lag.oldest_ms.map_or_else(|| NONE.to_owned(), quantity::instant)
}

fn rate(pace: Option<&Pace>) -> String {
    pace.map_or_else(unknown, |pace| quantity::records_per_second(pace.records_per_second))
}

fn byte_rate(pace: Option<&Pace>) -> String {
    pace.map_or_else(unknown, |pace| format!("{}/s", quantity::bytes(pace.bytes_per_second)))
}

/// Lag on the live line: `300,000 records behind (1 min 35 s)`, `caught up`.
pub fn lag_text(lag: &LagView) -> String {
    if !lag.known {
        return "lag not known yet".to_owned();
    }
    if lag.records == 0 && !lag.at_least {
        return "caught up".to_owned();
    }
    format!("{} records behind ({})", lag_records(lag), quantity::duration(lag.ms))
}

/// How the time to go is said, in tables and on the live line.
pub fn eta_text(pace: Option<&Pace>) -> String {
    match pace.map(|pace| pace.eta) {
        None | Some(Eta::Unknown) => unknown(),
        Some(Eta::CaughtUp) => NONE.to_owned(),
        Some(Eta::In { eta_ms }) => quantity::duration(eta_ms),
        Some(Eta::FallingBehind) => "never".to_owned(),
    }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

pub(super) struct Column {
    title: &'static str,
    alignment: CellAlignment,
}

impl Column {
    pub(super) fn left(title: &'static str) -> Self {
        Self { title, alignment: CellAlignment::Left }
    }

    pub(super) fn right(title: &'static str) -> Self {
        Self { title, alignment: CellAlignment::Right }
    }
}

/// Columns two spaces apart and never wrapped, so that lines can be searched and cut.
pub(super) fn table(header: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|column| column.title));
    table.add_rows(rows);
    for (index, column) in header.iter().enumerate() {
        if let Some(drawn) = table.column_mut(index) {
            drawn.set_padding((if index == 0 { 0 } else { 1 }, 1));
            drawn.set_cell_alignment(column.alignment);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
