//! The bounds of a fetch, and what each partition is told of its answer.

use std::time::Duration;

use farlog_wire::messages::fetch_response::FetchableTopicResponse;
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

#[test]
fn all_lanes_can_wait_for_data_at_the_same_time() {
    for mib in [1, 3, 6, 12, 64] {
        let memory_bytes = usize::try_from(mib * MIB).unwrap();
        let limits = LaneLimits::new(&LinkOptions { memory_bytes, ..options() });
        let mut lanes = Vec::new();
        for count in 1..=16 {
            lanes.push(limits.begin_fetching());
            let bytes = limits.bytes_max(1_000);
            assert!(bytes * count <= mib * MIB, "{count} lanes ask for {bytes} of {mib} MiB");
            assert!(bytes >= (mib * MIB / count).min(FETCH_BYTES_MAX), "{count} of {mib} MiB");
        }
        for _ in 0..1_000 {
            lanes.push(limits.begin_fetching());
        }
        assert!(limits.bytes_max(1) >= FETCH_SHARE_BYTES_MIN);
        drop(lanes);
        assert_eq!(
            limits.bytes_max(1),
            FETCH_PARTITION_BYTES_MAX,
            "lanes that ended count no more"
        );
    }
}

/// Subscriptions to partitions 0, 1, … of one topic, and where their answers arrive.
fn subscribed(count: i32) -> (Vec<Subscription>, Vec<mpsc::Receiver<Fetched>>) {
    (0..count)
        .map(|partition| {
            let (fetched, receiver) = fetched_channel();
            let source =
                SourcePartition { topic: "t".to_owned(), topic_id: Uuid([7; 16]), partition };
            let (offset, last_epoch, leader_epoch) = (0, -1, 0);
            (Subscription { source, offset, last_epoch, leader_epoch, fetched }, receiver)
        })
        .unzip()
}

fn answer(throttle_time_ms: i32, partitions: &[(i32, ErrorCode)]) -> FetchResponse {
    let partitions: Vec<PartitionData> = partitions
        .iter()
        .map(|&(partition_index, error_code)| PartitionData {
            partition_index,
            error_code,
            ..PartitionData::default()
        })
        .collect();
    let topic_id = Uuid([7; 16]);
    let topic = FetchableTopicResponse { topic_id, partitions, ..Default::default() };
    let responses = if topic.partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchResponse { throttle_time_ms, responses, ..FetchResponse::default() }
}

fn ticket() -> MemoryTicket {
    Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap())
}

/// What each partition was told, in a letter: data, ended, left out, nothing.
fn told(receivers: &mut [mpsc::Receiver<Fetched>]) -> String {
    let letter = |receiver: &mut mpsc::Receiver<Fetched>| match receiver.try_recv() {
        Ok(Fetched::Data(_)) => 'd',
        Ok(Fetched::Ended(SourceEnd::LeftOut)) => 'l',
        Ok(Fetched::Ended(_)) => 'e',
        Err(_) => '-',
    };
    receivers.iter_mut().map(letter).collect()
}

fn numbers(partitions: &[Subscription]) -> BTreeSet<i32> {
    partitions.iter().map(|subscription| subscription.source.partition).collect()
}

#[test]
fn a_partition_that_the_answer_leaves_out_is_told_so() {
    let (mut partitions, mut receivers) = subscribed(5);
    let (fine, moved) = (ErrorCode::NONE, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    // 4 was not asked for: nothing is said about it, nor is an answer for it taken.
    let response = answer(0, &[(0, moved), (2, fine), (4, fine), (2, fine)]);
    hand_out(&mut partitions, &[0, 1, 2, 3], response, &ticket());
    assert_eq!(told(&mut receivers), "eldl-");
    assert_eq!(numbers(&partitions), BTreeSet::from([2, 4]));
    assert_eq!(told(&mut receivers), "-----", "one answer for one question");
}

#[test]
fn a_throttled_broker_may_answer_nothing() {
    let (mut partitions, mut receivers) = subscribed(2);
    hand_out(&mut partitions, &[0, 1], answer(100, &[]), &ticket());
    assert_eq!((told(&mut receivers).as_str(), partitions.len()), ("--", 2));
    // With data for some, it left out the others.
    hand_out(&mut partitions, &[0, 1], answer(100, &[(1, ErrorCode::NONE)]), &ticket());
    assert_eq!((told(&mut receivers).as_str(), partitions.len()), ("ld", 1));
    hand_out(&mut partitions, &[0], answer(0, &[]), &ticket());
    assert_eq!((told(&mut receivers).as_str(), partitions.len()), ("-l", 0));
}
