//! MirrorMaker 2 itself, with an embedded broker as its source, as its target and as both.
//!
//! One process mirrors three ways: from Kafka to an embedded cluster (exactly once, in
//! transactions), from there back to Kafka, and from there to another embedded cluster. So each
//! broker is asked for everything that MirrorMaker and Connect below it ask of Kafka: as a source,
//! as a target, and as the place of Connect's own state and groups.

mod flow;
mod partition;

use std::time::Duration;

use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use farlog_testkit::kafka::mm2::{MirrorMaker, MirrorMakerOptions};
use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions};
use farlog_testkit::tools::Tool;
use tokio::time::{Instant, sleep};

use crate::clients::{KAFKA, run};
use crate::fixture::start;
use flow::{Flow, PARTITIONS};

/// Connect takes its time to start; this is for a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(240);

/// How often to look.
const LOOK: Duration = Duration::from_millis(200);

/// A cluster under the alias that MirrorMaker knows it by.
struct Side {
    alias: &'static str,
    bootstrap: String,
    client: Cluster,
}

impl Side {
    async fn new(alias: &'static str, bootstrap: String) -> Side {
        let servers = ServerAddress::parse_list(&bootstrap).expect("an address");
        let client = Cluster::connect(ClusterOptions::new(servers)).await;
        Side { alias, bootstrap, client: client.expect("the broker answers") }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrormaker_mirrors_from_it_and_to_it() {
    let kafka = tokio::task::spawn_blocking(|| KafkaCluster::start(KafkaOptions::new(KAFKA)));
    let kafka = kafka.await.expect("no panic").expect("Kafka starts");
    let (near_broker, far_broker) = (start().await, start().await);
    let real = Side::new("kafka", kafka.bootstrap()).await;
    let near = Side::new("near", near_broker.bootstrap()).await;
    let far = Side::new("far", far_broker.bootstrap()).await;
    for source in [&real, &near] {
        flow::prepare(source).await;
    }
    let flows = [
        Flow::new(&real, &near, &["heartbeats"]),
        Flow::new(&near, &real, &["heartbeats"]),
        Flow::new(&near, &far, &["heartbeats", "kafka.heartbeats"]),
    ];
    let options = options(&[&real, &near, &far], &flows);
    let started = tokio::task::spawn_blocking(move || MirrorMaker::start(&options));
    let mirror_maker = started.await.expect("no panic").expect("MirrorMaker starts");

    for flow in &flows {
        until(&mirror_maker, async || flow.is_settled().await).await;
    }
    for source in [&real, &near] {
        flow::go_on(source).await;
    }
    for flow in &flows {
        until(&mirror_maker, async || flow.records_are_equal(PARTITIONS).await).await;
        until(&mirror_maker, async || flow.configs_are_equal().await).await;
        until(&mirror_maker, async || flow.offset_syncs_are_there().await).await;
        until(&mirror_maker, async || flow.checkpoints_are_there().await).await;
        until(&mirror_maker, async || flow.group_is_synced().await).await;
        assert_eq!(flow.is_exactly_once().await, flow.target.alias == "near");
    }
    let asked = flows.iter().map(Flow::question);
    let told = run(Tool::java_client(KAFKA, "Translate").args(asked)).await;
    let mut expected = String::new();
    for flow in &flows {
        expected += &flow.answer().await;
    }
    assert_eq!(told, expected, "what RemoteClusterUtils makes of it");

    for source in [&real, &near] {
        flow::change(source).await;
    }
    for flow in &flows {
        until(&mirror_maker, async || flow.records_are_equal(PARTITIONS + 1).await).await;
        until(&mirror_maker, async || flow.configs_are_equal().await).await;
        flow.group_goes_on_at_the_target().await;
    }
    let killed = tokio::task::spawn_blocking(move || mirror_maker.kill());
    killed.await.expect("no panic").expect("MirrorMaker ends");
    near_broker.stop().await;
    far_broker.stop().await;
}

/// Everything as often as it can be; only the heartbeats that the flows need.
fn options(sides: &[&Side], flows: &[Flow<'_>]) -> MirrorMakerOptions {
    let aliases: Vec<&str> = sides.iter().map(|side| side.alias).collect();
    let mut options = MirrorMakerOptions::new(KAFKA)
        .jvm(JvmMode::Test)
        .heap_mb(768)
        .one_replica()
        .property("clusters", aliases.join(", "))
        .property("refresh.topics.interval.seconds", 1)
        .property("refresh.groups.interval.seconds", 1)
        .property("sync.topic.configs.interval.seconds", 1)
        .property("emit.checkpoints.interval.seconds", 1)
        .property("sync.group.offsets.enabled", true)
        .property("sync.group.offsets.interval.seconds", 1)
        // Every record is told, so that translated offsets are exact.
        .property("offset.lag.max", 0)
        .property("emit.heartbeats.enabled", false)
        .property("near.exactly.once.source.support", "enabled")
        .property("kafka.consumer.isolation.level", "read_committed");
    for side in sides {
        let alias = side.alias;
        options = options
            .property(&format!("{alias}.bootstrap.servers"), &side.bootstrap)
            // Nobody is put out of a group because the machine is slow.
            .property(&format!("{alias}.session.timeout.ms"), 60_000);
    }
    // A task that ends gets the time to say how far it came, so that none begins too early; one
    // that mirrors exactly once needs no time, and its end may wait for what waits for its end.
    for alias in ["kafka", "far"] {
        options = options
            .property(&format!("{alias}.task.shutdown.graceful.timeout.ms"), 120_000)
            .property(&format!("{alias}.offset.flush.timeout.ms"), 60_000);
    }
    for flow in flows {
        let (from, to) = (flow.source.alias, flow.target.alias);
        options = options
            .property(&format!("{from}->{to}.enabled"), true)
            .property(&format!("{from}->{to}.emit.heartbeats.enabled"), true)
            .property(&format!("{from}->{to}.topics"), flow.topic())
            .property(&format!("{from}->{to}.groups"), flow.group());
    }
    options
}

/// Looks until it is so; says why it is not when patience ends.
async fn until(mirror_maker: &MirrorMaker, check: impl AsyncFn() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(why) = check().await {
        let log = || mirror_maker.log_tail();
        assert!(Instant::now() < deadline, "{why}\nMirrorMaker said at last:\n{}", log());
        sleep(LOOK).await;
    }
}
