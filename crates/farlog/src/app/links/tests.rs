//! What limits become.

use super::*;
use crate::app::memory;
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
    let link = &loaded.topology.links[0];
    let mut options = options(link, "one", false);
    memory::divide(&[link.limits])[0].give_to(&mut options);
    options
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
