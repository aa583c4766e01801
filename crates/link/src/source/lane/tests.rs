//! The bounds of a fetch, and what each partition is told of its answer.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::limits::{FETCH_BYTES_MAX, FETCH_PARTITION_BYTES_MAX};
use crate::topics::{Naming, NamingPolicy, TopicFilter, TopicSelection};

const MIB: i32 = 1024 * 1024;

fn options() -> LinkOptions {
    let naming = NamingPolicy::new(Naming::Same, "east", "west");
    let filter = TopicFilter::default();
    let topics = TopicSelection { filter, heartbeats: false, naming };
    LinkOptions::new("link", "east", "west", topics)
}

#[test]
fn a_fetch_asks_for_what_the_options_allow() {
    let limits = LaneLimits::new(&options());
    assert_eq!(limits.bytes_max(1), FETCH_PARTITION_BYTES_MAX);
    assert_eq!(limits.bytes_max(1_000), FETCH_BYTES_MAX);
    let limits = LaneLimits::new(&LinkOptions { fetch_bytes_max: 2 * MIB, ..options() });
    assert_eq!(limits.bytes_max(1), FETCH_PARTITION_BYTES_MAX);
    assert_eq!(limits.bytes_max(3), 2 * MIB);
    let limits = LaneLimits::new(&LinkOptions { fetch_bytes_max: MIB / 4, ..options() });
    assert_eq!(limits.bytes_max(1), MIB / 4, "nor is more asked of a partition");
    assert_eq!(limits.partition_bytes_max, MIB / 4);
}

#[tokio::test]
async fn no_fetch_waits_for_memory_that_there_never_is() {
    let megabytes = |count: i32| usize::try_from(count * MIB).unwrap();
    for memory_bytes in [0, 1, 1_500, megabytes(1) + 7, megabytes(12), usize::MAX] {
        for fetch_bytes_max in [0, 1, MIB, 64 * MIB, i32::MAX] {
            let limits = LaneLimits::new(&LinkOptions {
                memory_bytes,
                fetch_bytes_max,
                fetch_partition_bytes_max: fetch_bytes_max / 2,
                ..options()
            });
            let bytes = limits.bytes_max(usize::MAX);
            let reserved = timeout(Duration::from_secs(5), limits.reserve(bytes)).await;
            assert!(reserved.is_ok(), "{bytes} of {memory_bytes} bytes");
            assert!(limits.partition_bytes_max <= bytes && bytes > 0);
        }
    }
}
