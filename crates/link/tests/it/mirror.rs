//! What is at the source arrives at the target: once, in order, unchanged.

use farlog_link::status::LinkState;
use farlog_wire::records::{BatchWriter, Compression, OutgoingBatch, ProducerStamp};

use crate::fixture::{Seen, create_topic, log, options, pair, produce, seen, start, unique};

pub(crate) fn batch(
    codec: Compression,
    first: usize,
    count: usize,
    timestamp: i64,
) -> OutgoingBatch {
    let mut writer = BatchWriter::new().compression(codec);
    for index in first..first + count {
        let (key, value) = (format!("k{index}"), format!("v{index}"));
        let timestamp = timestamp + index as i64;
        writer.push(timestamp, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    writer.finish(ProducerStamp::NONE).unwrap()
}

pub(crate) const NOW_MS: i64 = 1_795_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_mirrors_what_is_there_and_what_comes() {
    let pair = pair().await;
    let topic = unique("plain");
    create_topic(&pair.source, &topic, 2, &[("retention.ms", "-1")]).await;
    for codec in [Compression::None, Compression::Zstd, Compression::Lz4] {
        produce(&pair.source, &topic, 0, &batch(codec, 0, 5, NOW_MS)).await;
        produce(&pair.source, &topic, 1, &batch(codec, 0, 50, NOW_MS)).await;
    }
    let link = start(&pair, options(&topic));
    link.caught_up(&pair, &topic, 2).await;
    produce(&pair.source, &topic, 0, &batch(Compression::None, 5, 5, NOW_MS)).await;
    let status = link.caught_up(&pair, &topic, 2).await;
    assert_eq!(status.state, LinkState::Active);
    link.stop().await;
    for partition in 0..2 {
        let source: Vec<Seen> = seen(&pair.source, &topic, partition).await;
        assert!(source.len() >= 20);
        assert_eq!(seen(&pair.target, &topic, partition).await, source);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_goes_on_where_the_one_before_stopped() {
    let pair = pair().await;
    let topic = unique("restart");
    create_topic(&pair.source, &topic, 1, &[("retention.ms", "-1")]).await;
    for round in 0..4 {
        for part in 0..5 {
            let first = round * 50 + part * 10;
            produce(&pair.source, &topic, 0, &batch(Compression::None, first, 10, NOW_MS)).await;
        }
        let link = start(&pair, options(&topic));
        link.caught_up(&pair, &topic, 1).await;
        if round % 2 == 0 { link.stop().await } else { link.kill().await }
    }
    let source = seen(&pair.source, &topic, 0).await;
    assert_eq!(seen(&pair.target, &topic, 0).await, source);
    for batch in log(&pair.target, &topic, 0).await {
        assert_eq!(i64::from(batch.header.base_sequence), batch.header.base_offset);
    }
}
