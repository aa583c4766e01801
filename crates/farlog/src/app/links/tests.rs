//! What limits become.

use super::*;
use crate::settings::surroundings::Imagined;
use crate::settings::{LoadOptions, load};

fn link(limits: &str) -> LinkOptions {
    let text = format!(
        "version: 1\nclusters:\n  a: {{ bootstrap-servers: [a:9092] }}\n  b: \
         {{ bootstrap-servers: [b:9092] }}\nlinks:\n  l: {{ source: a, target: b, \
         topics: [orders], limits: {{ {limits} }} }}\n"
    );
    let surroundings = Imagined::default();
    let loaded = load("farlog.yaml", text.as_bytes(), &LoadOptions::default(), &surroundings);
    assert!(loaded.is_accepted(), "{}", loaded.report.render());
    options(&loaded.topology.links[0], "one", false)
}

#[test]
fn every_limit_reaches_the_link() {
    let options = link(
        "fetch-partition-bytes: 256KiB, fetch-bytes: 512KiB, in-flight-batches: 7, \
         memory-bytes: 4MiB",
    );
    assert_eq!(options.fetch_partition_bytes_max, 256 << 10);
    assert_eq!(options.fetch_bytes_max, 512 << 10);
    assert_eq!(options.in_flight_max, Some(7));
    assert_eq!(options.memory_bytes, 4 << 20);
}

#[test]
fn a_large_partition_fetch_needs_no_second_setting() {
    assert_eq!(link("").fetch_bytes_max, farlog_link::limits::FETCH_BYTES_MAX);
    assert_eq!(link("fetch-partition-bytes: 8MiB").fetch_bytes_max, 8 << 20);
    let both = link("fetch-partition-bytes: 8MiB, fetch-bytes: 2MiB");
    assert_eq!(both.fetch_bytes_max, 2 << 20);
}
