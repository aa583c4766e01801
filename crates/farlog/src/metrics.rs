//! Prometheus metrics, read from the links' status when they are asked for: nothing is counted
//! twice, and a scrape never touches the data path.

pub mod families;

use std::fmt;

use farlog_link::status::{LinkStatus, PartitionState, PartitionStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use crate::app::statuses::{Snapshot, Statuses};
use crate::render::view::{LINK_STATES, link_state_name};
use families::{Family, LINK_FAMILIES, PARTITION_FAMILIES, PROCESS_FAMILIES, Value};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One-hot: 1 for the state that a link is in.
pub const LINK_STATE: &str = "farlog_link_state";
/// One-hot: 1 for the state that a partition is in.
pub const PARTITION_STATE: &str = "farlog_partition_state";

/// The metrics of this process; renders what Prometheus scrapes.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Of the links that `statuses` asks.
    pub fn new(statuses: Statuses, started_ms: i64) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(LinkCollector { statuses, started_ms }));
        Self { registry }
    }

    /// OpenMetrics text.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The name of every metric as Prometheus stores it, for documentation.
pub fn names() -> Vec<String> {
    let mut names = vec![LINK_STATE.to_owned(), PARTITION_STATE.to_owned()];
    names.extend(PROCESS_FAMILIES.iter().map(Family::stored_name));
    names.extend(LINK_FAMILIES.iter().map(Family::stored_name));
    names.extend(PARTITION_FAMILIES.iter().map(Family::stored_name));
    names
}

#[derive(Debug)]
struct LinkCollector {
    statuses: Statuses,
    started_ms: i64,
}

type LinkLabels<'a> = [(&'static str, &'a str); 3];
type PartitionLabels<'a> = (LinkLabels<'a>, [(&'static str, &'a str); 3]);

// === impl LinkCollector ===

impl Collector for LinkCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.statuses.now();
        for family in &PROCESS_FAMILIES {
            let mut metric = describe(&mut encoder, family)?;
            let labels = [("version", env!("CARGO_PKG_VERSION"))];
            if let Some(value) = (family.value)(&self.started_ms, snapshot.at_ms) {
                write(metric.encode_family(&labels)?, value)?;
            }
        }
        link_states(&mut encoder, &snapshot)?;
        for family in &LINK_FAMILIES {
            let mut metric = describe(&mut encoder, family)?;
            for link in &snapshot.links {
                if let Some(value) = (family.value)(link, snapshot.at_ms) {
                    write(metric.encode_family(&link_labels(link))?, value)?;
                }
            }
        }
        partitions(&mut encoder, &snapshot)
    }
}

fn partitions(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    // Partition numbers are rendered once, not once for each family.
    let all: Vec<(&LinkStatus, &PartitionStatus, String)> = snapshot
        .links
        .iter()
        .flat_map(|link| link.partitions.iter().map(move |partition| (link, partition)))
        .map(|(link, partition)| (link, partition, partition.partition.to_string()))
        .collect();
    let help = "1 for the state that the partition is in";
    let mut metric = encoder.encode_descriptor(PARTITION_STATE, help, None, MetricType::Gauge)?;
    for (link, partition, number) in &all {
        let labels = partition_labels(link, partition, number);
        for state in PartitionState::ALL {
            let labels = (labels, [("state", state.name())]);
            let is = i64::from(partition.state == state);
            metric.encode_family(&labels)?.encode_gauge(&is)?;
        }
    }
    for family in &PARTITION_FAMILIES {
        let mut metric = describe(encoder, family)?;
        for (link, partition, number) in &all {
            if let Some(value) = (family.value)(partition, snapshot.at_ms) {
                let labels = partition_labels(link, partition, number);
                write(metric.encode_family(&labels)?, value)?;
            }
        }
    }
    Ok(())
}

fn link_states(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "1 for the state that the link is in, as this instance sees it";
    let mut metric = encoder.encode_descriptor(LINK_STATE, help, None, MetricType::Gauge)?;
    for link in &snapshot.links {
        for state in LINK_STATES {
            let labels = (link_labels(link), [("state", link_state_name(state))]);
            let is = i64::from(link.state == state);
            metric.encode_family(&labels)?.encode_gauge(&is)?;
        }
    }
    Ok(())
}

fn describe<'e, T>(
    encoder: &'e mut DescriptorEncoder<'_>,
    family: &'e Family<T>,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let kind = if family.counter { MetricType::Counter } else { MetricType::Gauge };
    encoder.encode_descriptor(family.name, family.help, None, kind)
}

fn write(mut metric: MetricEncoder<'_>, value: Value) -> fmt::Result {
    match value {
        Value::Total(total) => {
            let no_exemplar: Option<&Exemplar<[(&str, &str); 0], f64>> = None;
            metric.encode_counter(&total, no_exemplar)
        }
        Value::Count(count) => metric.encode_gauge(&count),
        Value::Seconds(seconds) => metric.encode_gauge(&seconds),
    }
}

fn link_labels(link: &LinkStatus) -> LinkLabels<'_> {
    [("link", &link.link), ("source", &link.source), ("target", &link.target)]
}

fn partition_labels<'a>(
    link: &'a LinkStatus,
    partition: &'a PartitionStatus,
    number: &'a str,
) -> PartitionLabels<'a> {
    let own = [
        ("topic", partition.source_topic.as_str()),
        ("mirror_topic", partition.target_topic.as_str()),
        ("partition", number),
    ];
    (link_labels(link), own)
}

#[cfg(test)]
mod tests;
