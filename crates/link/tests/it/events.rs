//! What happens to topics while a link runs: each has a state, and none is silent.

use std::time::Duration;

use farlog_client::TopicPartition;
use farlog_link::status::PartitionState;
use farlog_wire::records::Compression;
use tokio::time::sleep;

use crate::fixture::{create_topic, log_end, options, pair, produce, seen, start, unique};
use crate::mirror::{NOW_MS, batch};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_source_topic_leaves_its_mirror() {
    let pair = pair().await;
    let topic = unique("deleted");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    let before = seen(&pair.target, &topic, 0).await;
    pair.source.delete_topics(std::slice::from_ref(&topic)).await.unwrap();
    let status = link.state(PartitionState::HeldSourceDeleted).await;
    assert!(status.why.contains(&topic), "{}", status.why);
    // Also for an instance that starts later, and when the name comes back as another topic.
    link.stop().await;
    let link = start(&pair, options(&topic));
    link.state(PartitionState::HeldSourceDeleted).await;
    create_topic(&pair.source, &topic, 1, &[]).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 100, 50, NOW_MS)).await;
    let status = link.state(PartitionState::HeldSourceRecreated).await;
    assert!(status.why.contains("created again"), "{}", status.why);
    link.stop().await;
    assert_eq!(seen(&pair.target, &topic, 0).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_write_stops_the_partition_and_is_named() {
    let pair = pair().await;
    let topic = unique("foreign");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 5, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    produce(&pair.target, &topic, 0, &batch(Compression::None, 0, 1, NOW_MS)).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 5, 5, NOW_MS)).await;
    let status = link.state(PartitionState::StoppedForeignWrite).await;
    assert!(status.why.contains("another"), "{}", status.why);
    let end = log_end(&pair.target, &topic, 0).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 10, 5, NOW_MS)).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(log_end(&pair.target, &topic, 0).await, end, "nothing is written any more");
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_that_overtakes_the_link_is_told() {
    let pair = pair().await;
    let topic = unique("overtaken");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 0, 10, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 10, 10, NOW_MS)).await;
    let place = TopicPartition::new(topic.as_str(), 0);
    let deleted = pair.source.delete_records([(place.clone(), 15)]).await;
    assert_eq!(deleted[&place].as_ref().unwrap(), &15);
    let link = start(&pair, options(&topic));
    let status = link.caught_up(&pair, &topic, 1).await;
    assert_eq!(status.partitions[0].records_lost_total, 5);
    let values: Vec<_> = seen(&pair.target, &topic, 0).await.into_iter().map(|r| r.value).collect();
    let expected = (0..10).chain(15..20).map(|index| Some(format!("v{index}")));
    assert_eq!(values, expected.collect::<Vec<_>>());
    // The gap is remembered: the next instance counts from behind it.
    link.kill().await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 20, 10, NOW_MS)).await;
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 1).await;
    link.stop().await;
    assert_eq!(seen(&pair.target, &topic, 0).await.len(), 25);
}
