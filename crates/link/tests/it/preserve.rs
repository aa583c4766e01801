//! Mirrors that keep the offsets of their source.

use farlog_client::TopicPartition;
use farlog_link::preserve::{Filler, filler_counts};
use farlog_link::status::PartitionState;
use farlog_link::{LinkOptions, Offsets};
use farlog_wire::records::Compression;

use crate::fixture::{
    Pair, create_topic, log, log_end, log_start, options, pair, produce, seen, start, unique,
};
use crate::mirror::{NOW_MS, batch};

pub(crate) fn preserving(topic: &str) -> LinkOptions {
    LinkOptions { offsets: Offsets::Preserve, ..options(topic) }
}

/// Lets a source partition begin at an offset.
pub(crate) async fn begin_at(pair: &Pair, topic: &str, offset: i64) {
    let mut filler = Filler::default();
    let mut end = log_end(&pair.source, topic, 0).await;
    for count in filler_counts(end, offset) {
        produce(&pair.source, topic, 0, &filler.batch(end, count, 4_711).unwrap()).await;
        end += count;
    }
    let place = TopicPartition::new(topic, 0);
    let deleted = pair.source.delete_records([(place.clone(), offset)]).await;
    assert_eq!(*deleted[&place].as_ref().unwrap(), offset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_begins_where_its_source_does() {
    const FIRST: i64 = 2_500_000;
    let pair = pair().await;
    let topic = unique("begins");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    begin_at(&pair, &topic, FIRST).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    produce(&pair.source, &topic, 0, &batch(Compression::Zstd, 5, 50, NOW_MS)).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.kill().await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 55, 5, NOW_MS)).await;
    let link = start(&pair, preserving(&topic));
    let status = link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    assert_eq!(status.partitions[0].target_offset, FIRST + 60);
    assert_eq!(log_start(&pair.target, &topic, 0).await, FIRST);
    let source = seen(&pair.source, &topic, 0).await;
    assert_eq!(source.len(), 60);
    assert_eq!(source[0].offset, FIRST);
    assert_eq!(seen(&pair.target, &topic, 0).await, source);
    for batch in log(&pair.target, &topic, 0).await {
        assert_eq!(i64::from(batch.header.base_sequence), batch.header.base_offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_mirror_begins_where_its_source_does() {
    const FIRST: i64 = 150_000;
    let pair = pair().await;
    let topic = unique("compacted-begins");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    begin_at(&pair, &topic, FIRST).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    // Compacted and nothing else: Kafka deletes no records of such a topic when asked to.
    create_topic(&pair.target, &topic, 1, &[("cleanup.policy", "compact")]).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    assert_eq!(log_start(&pair.target, &topic, 0).await, FIRST);
    assert_eq!(seen(&pair.target, &topic, 0).await, seen(&pair.source, &topic, 0).await);
    let resource = farlog_client::admin::ConfigResource::topic(&topic);
    let configs = pair.target.describe_configs(std::slice::from_ref(&resource)).await.unwrap();
    let policy = configs[&resource].as_ref().unwrap()["cleanup.policy"].value.clone();
    assert_eq!(policy.as_deref(), Some("compact"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_before_the_link_came_stays_a_hole() {
    let pair = pair().await;
    let topic = unique("hole");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 10, NOW_MS)).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    begin_at(&pair, &topic, 3_500).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 20, 10, NOW_MS)).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    let source_end = log_end(&pair.source, &topic, 0).await;
    assert_eq!(log_end(&pair.target, &topic, 0).await, source_end);
    let offsets: Vec<i64> =
        seen(&pair.target, &topic, 0).await.iter().map(|record| record.offset).collect();
    let expected: Vec<i64> = (0..10).chain(source_end - 10..source_end).collect();
    assert_eq!(offsets, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_with_other_offsets_is_left_alone() {
    let pair = pair().await;
    let topic = unique("translated");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    begin_at(&pair, &topic, 100).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    let link = start(&pair, preserving(&topic));
    let status = link.state(PartitionState::StoppedOffsets).await;
    assert!(status.why.contains("ends at offset 5"), "{}", status.why);
    assert!(status.why.contains("source offset 105"), "{}", status.why);
    link.stop().await;
    assert_eq!(log_end(&pair.target, &topic, 0).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_goes_on_when_its_offsets_need_not_be_kept_any_more() {
    let pair = pair().await;
    let topic = unique("loosened");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    begin_at(&pair, &topic, 100).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    let link = start(&pair, preserving(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 5, 5, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    assert_eq!(seen(&pair.target, &topic, 0).await, seen(&pair.source, &topic, 0).await);
}
